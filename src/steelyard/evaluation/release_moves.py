"""When a release began to count, and how long it took until every request that began was answered by it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from steelyard.evaluation.streaming_clients import Told
from steelyard.registry.releases import Releases
from steelyard.registry.versions import Registry

LOOK_S = 0.003
"""How often the registry is looked at; what a move is timed too late by."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """The pointer moved from one release to another, at a time of `monotonic`."""

    at: float
    before: int | None
    after: int | None


class Moves:
    """Follows the release in force of a workspace in a thread of its own; use as a context, then read `found`."""

    def __init__(self, registry: Path) -> None:
        self._path = registry
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.found: list[Move] = []

    def __enter__(self) -> Moves:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        releases = Releases(Registry(self._path))
        now = _number(releases)
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            seen: Any = None
            while not self._ended.wait(LOOK_S):
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version == seen:
                    continue
                at, seen = monotonic(), version
                number = _number(releases)
                if number != now:
                    self.found.append(Move(at=at, before=now, after=number))
                    now = number


def swap_figures(moves: Sequence[Move], told: Sequence[Told]) -> dict[str, Any]:
    """`swaps` that the clients saw both sides of, and of those the median and the longest time.

    `swap_ms` is how long after the move a request still began that the release before answered (0: none did); `first_ms` is when the
    first answer of the new release was read to its end. Moves within which the server was down are left out by `told` itself: nobody was
    answered.
    """
    late, first = [], []
    for at, move in enumerate(moves):
        until = moves[at + 1].at if at + 1 < len(moves) else float("inf")
        # What was sent before the next move and answered after it is the next move's affair: a rollback goes back to `before`.
        after = [one for one in told if move.at < one.begun and one.ended < until]
        new = [one.ended for one in told if move.at < one.ended < until and one.release == move.after]
        if not new or not any(one.release == move.before and one.ended > move.at - 5.0 for one in told):
            continue
        old = [one.begun for one in after if one.release == move.before]
        late.append(max(old, default=move.at) - move.at)
        first.append(min(new) - move.at)
    if not late:
        return {"swaps": 0}
    return {
        "swaps": len(late),
        "swap_ms": round(median(late) * 1000, 1),
        "swap_max_ms": round(max(late) * 1000, 1),
        "first_ms": round(median(first) * 1000, 1),
        "first_max_ms": round(max(first) * 1000, 1),
    }


def _number(releases: Releases) -> int | None:
    found = releases.in_force()
    return None if found is None else found.number
