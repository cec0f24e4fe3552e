"""A folder that goes through the past of its documents, step by step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from steelyard.corpus.past import Past
from steelyard.schema.history import Change

Every = Literal["day", "week", "month", "quarter", "year"]

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step changed in the folder; a renamed document counts in `renamed` and, where its text changed too, in `changed`."""

    at: datetime
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def documents(self) -> int:
        """How many documents the step touched."""
        return len(self.added) + len(self.changed) + len(self.deleted) + len(self.renamed)


class Replay:
    """Writes into `folder` what the documents were at each moment asked for; time goes forward.

    The folder belongs to the replay: files that the past does not know are removed by the first step. A file's modification time is
    the moment of its last change, so that an ingest dates its version by it. A replay that was cut short goes on with any later
    moment: the first step compares the folder with the past.
    """

    def __init__(self, past: Past, folder: Path) -> None:
        self._past = past
        self._folder = folder
        self._standing: dict[str, Change] = {}
        self._begun = False

    def advance(self, at: datetime) -> Step:
        """Bring the folder to `at` (aware, inclusive) and say what changed since the step before.

        The first step counts every document as added.
        """
        before, now = self._standing, self._past.state(at, self._standing)
        moved = [
            (change.before, path)
            for path, change in now.items()
            if change.before in before and path not in before and change.before not in now
        ]
        came_from = {path: old for old, path in moved}
        gone = sorted(before.keys() - now.keys())
        fresh = [change for path, change in sorted(now.items()) if before.get(path) != change]
        self._clear(set(now))
        for change, content in zip(fresh, self._past.contents(fresh), strict=True):
            self._write(change, content)
        self._standing, self._begun = now, True
        origin = {change.path: before.get(came_from.get(change.path, change.path)) for change in fresh}
        return Step(
            at=at,
            added=tuple(path for path, old in origin.items() if old is None),
            changed=tuple(path for path, old in origin.items() if old is not None and old.key != now[path].key),
            deleted=tuple(path for path in gone if path not in came_from.values()),
            renamed=tuple(sorted((old, path) for old, path in moved if old is not None)),
        )

    def _clear(self, keep: set[str]) -> None:
        """Remove what is not kept; at the first step whatever lies in the folder, later only what the past knew."""
        if self._begun:
            leaving = [self._folder / path for path in self._standing.keys() - keep]
        else:
            leaving = [path for path in _files(self._folder) if path.relative_to(self._folder).as_posix() not in keep]
        for path in leaving:
            path.unlink(missing_ok=True)

    def _write(self, change: Change, content: bytes) -> None:
        path = self._folder / change.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
        os.utime(path, (change.at.timestamp(), change.at.timestamp()))


def moments(begin: datetime, end: datetime, every: Every) -> list[datetime]:
    """The steps of a replay from `begin` to `end` (aware): `begin`, then the first instant of every further period, up to `end`.

    >>> [at.date().isoformat() for at in moments(datetime(2025, 11, 9, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "month")]
    ['2025-11-09', '2025-12-01', '2026-01-01', '2026-02-01']
    """
    found = [begin]
    while (following := _following(found[-1], every)) <= end:
        found.append(following)
    return found


def _following(at: datetime, every: Every) -> datetime:
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if every in _DAYS:
        return day + timedelta(days=_DAYS[every])
    size = _MONTHS[every]
    months = day.year * 12 + day.month - 1
    year, month = divmod((months // size + 1) * size, 12)
    return day.replace(year=year, month=month + 1, day=1)


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        yield from (Path(top, name) for name in names)
