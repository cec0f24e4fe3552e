"""Notices cheaply that another process has written to one of the workspace's databases."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

Beat = tuple[tuple[int, int], ...]
"""Per file: its inode (0: there is none) and SQLite's count of the commits seen."""


class Pulse:
    """The state of some SQLite files as a value that differs after every commit of somebody else; a few microseconds to read.

    SQLite's `data_version` of one kept connection a file; a file that was put back from a backup is another inode. Safe for many threads.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._open: dict[Path, tuple[int, sqlite3.Connection]] = {}
        self._guard = Lock()

    def read(self) -> Beat:
        """The state now; a file that cannot be read at this moment counts as changed."""
        with self._guard:
            return tuple(self._beat(path) for path in self._paths)

    def close(self) -> None:
        """Close the connections; a later `read` opens new ones."""
        with self._guard:
            for _, connection in self._open.values():
                connection.close()
            self._open.clear()

    def _beat(self, path: Path) -> tuple[int, int]:
        try:
            inode = os.stat(path).st_ino
        except OSError:
            return 0, 0
        held = self._open.get(path)
        try:
            if held is None or held[0] != inode:
                if held is not None:
                    held[1].close()
                held = (inode, sqlite3.connect(path, isolation_level=None, check_same_thread=False))
                self._open[path] = held
            return inode, int(held[1].execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.DatabaseError:
            self._open.pop(path, None)
            return inode, -1
