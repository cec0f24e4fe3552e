"""How long a change of a source takes until it is answered from, and whether anybody follows the sources."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from steelyard.corpus import layout
from steelyard.corpus.database import Database
from steelyard.corpus.sources import Listing, SourceRule

KEPT = 1000
"""Changes remembered of each source; the summary is over these."""
SILENT_S = 180.0
"""A watcher that gave no sign of life for this long is taken for dead; it gives one with every look at the sources, or each minute."""

CLOCK_GRAIN_S = 0.05
"""File systems stamp changes with a clock that ticks some milliseconds behind ours."""


@dataclass(frozen=True, kw_only=True)
class SourceFreshness:
    """A source: documents at the last scan, when that was, and the lag of its recorded changes in seconds (None without any).

    A change counts from the file system's own time of it, so the wait for an ingest to be started is in it. Of the changes that one
    generation brought, the one that waited longest counts.
    """

    source: str
    documents: int
    scanned_at: datetime
    changes: int
    last_s: float | None
    median_s: float | None
    worst_s: float | None

    def to_json(self) -> dict[str, Any]:
        """The record with the keys that `status --json` shows."""
        return {
            "source": self.source,
            "documents": self.documents,
            "scanned": self.scanned_at.isoformat(timespec="seconds"),
            "changes": self.changes,
            "lag_s": {"last": self.last_s, "median": self.median_s, "worst": self.worst_s},
        }


class Freshness:
    """The record in `sources.sqlite`: scans, lags, and the watcher's sign of life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def scanned_at(self, source: str) -> datetime | None:
        """When a source was last scanned to the end, or None."""
        query = "SELECT at FROM scanned WHERE source = ?"
        row = self._database.connection.execute(query, (source,)).fetchone()
        return layout.moment(row[0]) if row else None

    def record(
        self,
        rules: Sequence[SourceRule],
        root: Path,
        listing: Listing,
        touched: Mapping[str, str],
        generation: int,
        until: datetime,
    ) -> None:
        """Record the scan that gave `listing`, and how long the changes that `generation` now answers from had to wait.

        `touched` names the source of each document that changed. What lay there unchanged when its source was scanned before came in
        by another way (a new rule, another encoder) and is no wait; nor is anything that the first scan of a source finds. No change
        of before `until` is left to be looked at.
        """
        now = time.time()
        stamps = {file.document: file.changed_ns for file in listing.files}
        waits: dict[str, list[float]] = {}
        for document, source in touched.items():
            stamp = stamps.get(document)
            moment = _folder_time(root / document) if stamp is None else stamp / 1e9
            before = self.scanned_at(source)
            if moment is not None and before is not None and moment >= before.timestamp() - CLOCK_GRAIN_S:
                waits.setdefault(source, []).append(max(0.0, now - moment))
        counts = dict.fromkeys((rule.path for rule in rules), 0)
        for file in listing.files:
            counts[file.source] += 1
        self._write(counts if listing.looked is None else None, until, generation, waits)

    def _write(
        self,
        documents: Mapping[str, int] | None,
        at: datetime,
        generation: int,
        waits: Mapping[str, Sequence[float]],
    ) -> None:
        begun = layout.stamp(at)
        with self._database.transaction() as connection:
            if documents is None:
                # How many files a source has is counted when all of it is looked at.
                connection.execute("UPDATE scanned SET at = max(at, ?)", (begun,))
            else:
                connection.execute("DELETE FROM scanned")
                rows = [(source, begun, count) for source, count in documents.items()]
                connection.executemany("INSERT INTO scanned VALUES (?, ?, ?)", rows)
            for source, seconds in waits.items():
                connection.execute(
                    "INSERT INTO lag (source, generation, at, documents, seconds) VALUES (?, ?, ?, ?, ?)",
                    (source, generation, begun, len(seconds), max(seconds)),
                )
                connection.execute(
                    "DELETE FROM lag WHERE source = ?1 AND id <= "
                    f"(SELECT id FROM lag WHERE source = ?1 ORDER BY id DESC LIMIT 1 OFFSET {KEPT})",
                    (source,),
                )

    def sources(self) -> list[SourceFreshness]:
        """Every source of the last scan, in name order."""
        connection = self._database.connection
        found = []
        for source, at, documents in connection.execute("SELECT source, at, documents FROM scanned ORDER BY source"):
            rows = connection.execute("SELECT seconds FROM lag WHERE source = ? ORDER BY id", (source,))
            seconds = [float(row[0]) for row in rows]
            found.append(
                SourceFreshness(
                    source=source,
                    documents=documents,
                    scanned_at=layout.moment(at),
                    changes=len(seconds),
                    last_s=seconds[-1] if seconds else None,
                    median_s=median(seconds) if seconds else None,
                    worst_s=max(seconds, default=None),
                )
            )
        return found

    def lags(self, generation: int) -> dict[str, float]:
        """Seconds that the changes which made `generation` waited, by source; empty when none was recorded."""
        query = "SELECT source, seconds FROM lag WHERE generation = ? ORDER BY id"
        return {
            str(source): float(seconds) for source, seconds in self._database.connection.execute(query, (generation,))
        }

    def alive(self, since: datetime) -> None:
        """Say that this process follows the sources, since `since`."""
        with self._database.transaction() as connection:
            row = (os.getpid(), layout.stamp(since), layout.stamp(datetime.now(UTC)))
            connection.execute("INSERT OR REPLACE INTO watcher VALUES (1, ?, ?, ?)", row)

    def ended(self) -> None:
        """Say that this process follows them no more."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM watcher WHERE process = ?", (os.getpid(),))

    def watched_since(self) -> datetime | None:
        """Since when a process that still gives signs of life follows the sources; None when none does."""
        row = self._database.connection.execute("SELECT since, at FROM watcher").fetchone()
        if row is None or datetime.now(UTC) - layout.moment(row[1]) > timedelta(seconds=SILENT_S):
            return None
        return layout.moment(row[0])


def _folder_time(path: Path) -> float | None:
    """When the folder of a file that is gone last changed, which is when it went or later; None when that is gone too."""
    try:
        return path.parent.stat().st_mtime
    except OSError:
        return None
