"""The registry's SQLite database: numbered changes, applied once and recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE versions (
        component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL, dataset TEXT NOT NULL,
        inputs TEXT NOT NULL, artefact TEXT NOT NULL, folder TEXT NOT NULL, code_version TEXT NOT NULL, seed INTEGER NOT NULL,
        seconds REAL NOT NULL, metrics TEXT NOT NULL, created TEXT NOT NULL,
        PRIMARY KEY (component, candidate, version)
    ) STRICT;
    CREATE INDEX versions_by_inputs ON versions (component, candidate, inputs);
    CREATE TABLE aliases (
        component TEXT NOT NULL, alias TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
        moved TEXT NOT NULL, PRIMARY KEY (component, alias)
    ) STRICT;
    CREATE TABLE holdout_uses (
        dataset TEXT NOT NULL, component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
        items INTEGER NOT NULL, used TEXT NOT NULL
    ) STRICT;
    """,
)


class Database:
    """A SQLite file in WAL mode with full synchronisation, brought to the newest schema on opening.

    Safe for several processes: writers wait for each other up to 30 s.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction: committed when the block ends, rolled back when it raises."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            self._migrate(connection)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()

    def _migrate(self, connection: sqlite3.Connection) -> None:
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, script in enumerate(MIGRATIONS[done:], start=done + 1):
            # Statement by statement: `executescript` would commit the transaction.
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
