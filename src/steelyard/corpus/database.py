"""An SQLite file: numbered migrations, one connection a thread, transactions that are written or not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from steelyard.schema.errors import StoreError

BUSY_S = 30.0
"""How long a writer waits for another; the longest transaction here is well under a second."""


class Database:
    """An SQLite database in WAL mode, brought up to date when opened.

    `migrations` are SQL scripts; each is applied once, in order, and recorded. `synchronous` FULL survives a power cut; NORMAL may
    lose the last transactions then, and suits a cache.
    """

    def __init__(self, path: Path, migrations: Sequence[str], synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._migrate(migrations)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            try:
                # Each thread uses its own; `close` may be called from any.
                found = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
                found.execute("PRAGMA journal_mode = WAL")
                found.execute(f"PRAGMA synchronous = {self._synchronous}")
                found.execute("PRAGMA foreign_keys = ON")
            except sqlite3.DatabaseError as error:
                raise self._broken(error) from error
            self._local.connection = found
            with self._guard:
                self._open.append(found)
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end of the block, and undone when the block raises.

        Raises:
            StoreError: the file is damaged, full or locked by a stuck process.
        """
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close every thread's connection; the object can be used again and opens new ones."""
        with self._guard:
            connections, self._open = self._open, []
        for connection in connections:
            connection.close()
        self._local = threading.local()

    def _migrate(self, migrations: Sequence[str]) -> None:
        with self.transaction() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)"
            )
            (applied,) = connection.execute("SELECT coalesce(max(number), 0) FROM migration").fetchone()
            if applied > len(migrations):
                raise StoreError(
                    f"the file was written by a newer steelyard (its layout is {applied}, this one knows {len(migrations)}).",
                    where=self.path.name,
                    remedy="Install the newer version again.",
                    code="corpus.newer_database",
                )
            for number, script in enumerate(migrations[applied:], start=applied + 1):
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute("INSERT INTO migration VALUES (?, ?)", (number, datetime.now(UTC).isoformat()))

    def _broken(self, error: sqlite3.DatabaseError) -> StoreError:
        return StoreError(
            f"the database cannot be used ({error}).",
            where=self.path.name,
            remedy="Check the disk; restore the file from a backup, or delete the workspace's state and ingest again.",
            code="corpus.database",
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; a trigger holds semicolons of its own."""
    pending = ""
    for part in script.split(";")[:-1]:
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends with a semicolon"
