"""The past of documents as dated changes, whatever keeps it: git, dated folders, or a change log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

from steelyard.corpus import history
from steelyard.corpus.change_log import is_change_log, read_change_log
from steelyard.corpus.parsing import format_of
from steelyard.schema.errors import NotFoundError
from steelyard.schema.history import Change

Contents = Callable[[Sequence[Change]], Iterator[bytes]]
"""The bytes of changes that are no deletions, in the order given."""

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Past:
    """Changes in the order they happened (by `at`, then path), with the bytes each left.

    `changes` holds documents only: hidden files and formats that no parser reads are left out. `until` is how far the past is known:
    nothing changed between the last change and then.
    """

    changes: tuple[Change, ...]
    contents: Contents = field(repr=False)
    until: datetime

    def state(self, at: datetime, since: Mapping[str, Change] | None = None) -> dict[str, Change]:
        """The last change of every document that exists at `at` (inclusive), by path; `since` is an earlier state to start from.

        Only changes after the newest one in `since` are read again, so stepping through a long past is linear.
        """
        standing = dict(since or {})
        begin = max((change.at for change in standing.values()), default=None)
        for change in self.changes:
            if change.at > at:
                break
            if begin is not None and change.at < begin:
                continue
            if change.before is not None:
                standing.pop(change.before, None)
            if change.deleted:
                standing.pop(change.path, None)
            else:
                standing[change.path] = change
        return standing

    def begins(self) -> datetime:
        """When the first change happened.

        Raises:
            NotFoundError: there is none.
        """
        return self._changed()[0].at

    def ends(self) -> datetime:
        """How far the past is known; errors as `begins`."""
        return max(self._changed()[-1].at, self.until)

    def _changed(self) -> tuple[Change, ...]:
        if not self.changes:
            raise NotFoundError(
                "the history holds no documents.",
                remedy="Name a folder in git, a folder of dated folders, or a change log, with documents that have a reader.",
                code="history.empty",
            )
        return self.changes


def read_past(path: Path, inside: str = "") -> Past:
    """The past that `path` keeps: a change log (JSON Lines, also gzipped), a folder of folders named by date, or git.

    `path` may lie in a git working tree or be a bare repository; `inside` is the folder of documents in a bare one.

    Raises:
        NotFoundError: there is nothing at `path`, or it keeps no past.
        DataError: the change log is wrong; every problem is named.
    """
    if path.is_file() and is_change_log(path):
        changes, texts = read_change_log(path)
        last = max((change.at for change in changes), default=EPOCH)
        return Past(_documents(changes), lambda wanted: (texts[change.key or ""] for change in wanted), last)
    if path.is_dir() and (dated := dated_folders(path)):
        return _read_folders(dated)
    repo = history.bare_repository(path, inside) or history.repository(path)
    if repo is None or not path.exists():
        missing = not path.exists()
        raise NotFoundError(
            f"there is nothing at '{path}'." if missing else f"'{path}' keeps no history.",
            remedy="Name a git working tree or bare repository, folders named like 2026-01-31, or a change log (.jsonl, .jsonl.gz).",
            code="history.missing" if missing else "history.none",
        )
    changes = history.changes(repo)
    return Past(
        _documents(changes),
        lambda wanted: history.contents(repo, [change.key or "" for change in wanted]),
        datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
    )


def dated_folders(path: Path) -> list[tuple[date, Path]]:
    """The folders below `path` that are named by a date (2026-01-31 or 20260131), oldest first."""
    found = []
    for entry in path.iterdir():
        try:
            found.append((date.fromisoformat(entry.name), entry))
        except ValueError:
            continue
    return sorted(pair for pair in found if pair[1].is_dir())


def _read_folders(dated: Sequence[tuple[date, Path]]) -> Past:
    """Each folder is the whole corpus of its day; what differs from the one before is a change of that day.

    A file that goes while one of the same bytes comes has moved: that keeps its history in one piece.
    """
    changes: list[Change] = []
    standing: dict[str, str] = {}
    places: dict[str, Path] = {}
    for day, folder in dated:
        at = datetime.combine(day, time(), UTC)
        now = dict(_hashed(folder))
        gone = {path: key for path, key in standing.items() if path not in now}
        moved = {key: path for path, key in sorted(gone.items(), reverse=True)}
        renamed: set[str] = set()
        for path, key in sorted(now.items()):
            if standing.get(path) == key:
                continue
            before = moved.pop(key, None) if path not in standing else None
            if before is not None:
                renamed.add(before)
            places.setdefault(key, folder / path)
            changes.append(Change(at=at, path=path, key=key, before=before))
        changes += [Change(at=at, path=path, key=None) for path in sorted(gone) if path not in renamed]
        standing = now
    last = datetime.combine(dated[-1][0], time(), UTC)
    return Past(_documents(changes), lambda wanted: (places[change.key or ""].read_bytes() for change in wanted), last)


def _hashed(folder: Path) -> Iterator[tuple[str, str]]:
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(top, name)
            if not path.is_symlink() and path.is_file():
                yield path.relative_to(folder).as_posix(), history.blob_id(path.read_bytes())


def _documents(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that concern documents, in order; a document renamed into something else is deleted."""
    kept: list[Change] = []
    for change in changes:
        if _is_document(change.path):
            kept.append(change)
        elif change.before is not None and _is_document(change.before):
            kept.append(Change(at=change.at, path=change.before, key=None))
    return tuple(sorted(kept, key=lambda change: change.at))


def _is_document(path: str) -> bool:
    return format_of(path) is not None and not any(part.startswith(".") for part in path.split("/"))
