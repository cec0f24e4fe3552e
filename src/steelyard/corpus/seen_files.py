"""What the last scan saw of each file: one whose place, size and times did not change is not read again."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from steelyard.corpus import layout
from steelyard.corpus.database import Database

SETTLED_NS = 2 * 10**9
"""A file that changed this shortly before it was read is read again next time: within the grain of the clock of a file system (FAT: two
seconds) a second change would leave the same times."""

MIGRATIONS = (
    """
    CREATE TABLE seen (
        document TEXT PRIMARY KEY,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        changed_ns INTEGER NOT NULL,
        version TEXT NOT NULL,
        valid_from TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE scanned (source TEXT PRIMARY KEY, at TEXT NOT NULL, documents INTEGER NOT NULL);
    CREATE TABLE lag (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        generation INTEGER NOT NULL,
        at TEXT NOT NULL,
        documents INTEGER NOT NULL,
        seconds REAL NOT NULL
    );
    CREATE INDEX lag_source ON lag (source, id);
    CREATE TABLE watcher (id INTEGER PRIMARY KEY CHECK (id = 1), process INTEGER NOT NULL, since TEXT NOT NULL, at TEXT NOT NULL);
    """,
)
"""The tables of `sources.sqlite`: `seen` is this file's, the others are `freshness`'s."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was read: where it lay, its size and times in nanoseconds, the SHA-256 of its bytes, and the date it got."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    version: str
    valid_from: datetime

    def holds(self, status: os.stat_result) -> bool:
        """Whether the file is surely the one that was read. The change time (ctime) cannot be set back, so an edit always shows."""
        seen = (self.device, self.inode, self.size, self.modified_ns, self.changed_ns)
        return seen == (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class SeenFiles:
    """Sightings in `sources.sqlite` beside the library. The file is a cache: without it the sources are read once more."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before: dict[str, Sighting] = {}

    def load(self, documents: Collection[str] | None = None) -> Mapping[str, Sighting]:
        """The sightings of these documents, or of all, by document."""
        query = "SELECT document, device, inode, size, modified_ns, changed_ns, version, valid_from FROM seen"
        rows = self._database.named(query, "document", documents)
        self._before = {
            document: Sighting(device, inode, size, modified_ns, changed_ns, version, layout.moment(date))
            for document, device, inode, size, modified_ns, changed_ns, version, date in rows
        }
        return self._before

    def keep(self, now: Mapping[str, Sighting]) -> None:
        """Make `now` what was seen; only differences from what `load` gave are written."""
        gone = [(document,) for document in self._before if document not in now]
        fresh = [
            (
                document,
                one.device,
                one.inode,
                one.size,
                one.modified_ns,
                one.changed_ns,
                one.version,
                layout.stamp(one.valid_from),
            )
            for document, one in now.items()
            if self._before.get(document) != one
        ]
        if gone or fresh:
            with self._database.transaction() as connection:
                connection.executemany("DELETE FROM seen WHERE document = ?", gone)
                connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)", fresh)
        self._before = dict(now)


def settled(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file that was read between these two can be known again by its times alone."""
    unmoved = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return unmoved and time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > SETTLED_NS


def read_whole(path: Path | str, max_bytes: int) -> tuple[bytes, os.stat_result, bool]:
    """(bytes, status, settled) of a plain file, never more than `max_bytes`, also of one that grows or was swapped meanwhile.

    Raises:
        OSError: it cannot be read, is no plain file (a pipe is not waited for), or is larger.
    """
    # Without blocking: opening a pipe that took the file's place would wait for a writer for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {max_bytes / 2**20:.0f} MiB")
        return content, status, settled(status, os.fstat(handle))


def open_sources(library: Path) -> Database:
    """The database `sources.sqlite` beside a library's file."""
    return Database(library.with_name("sources.sqlite"), MIGRATIONS, synchronous="NORMAL")
