"""SQLite files beside the registry: records of what happens, each in a file of its own, that several processes write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from steelyard.schema.errors import StoreError

WAIT_S = 30.0
"""How long a writer waits for another."""


@dataclass(frozen=True, kw_only=True)
class SideFile:
    """What a file is: its statements, which may all be run again, what it is called, and what to do when it is damaged.

    `durable`: a committed record outlives a crash of the machine; otherwise the last commits may be lost, never the file.
    """

    schema: Sequence[str]
    called: str
    remedy: str
    code: str
    durable: bool = False

    @contextmanager
    def open(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction: committed when the block ends. The file is made when it is not there.

        Raises:
            StoreError: the file is locked or damaged.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(path, timeout=WAIT_S)) as connection, connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {'FULL' if self.durable else 'NORMAL'}")
                for statement in self.schema:
                    connection.execute(statement)
                yield connection
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.called} cannot be used: {error}.", where=str(path), remedy=self.remedy, code=self.code
            ) from error

    def blank(self, path: Path, table: str, columns: Sequence[str], quotes: Callable[[str], bool]) -> int:
        """Empty the texts in these columns for which `quotes` is true, on the disk too; how many records held one.

        The records stay. Nothing is done where there is no file.

        Raises:
            StoreError: the file is locked or damaged.
        """
        if not path.is_file():
            return 0
        touched = 0
        with self.open(path) as connection:
            connection.commit()
            connection.execute("PRAGMA secure_delete = ON")
            rows = connection.execute(f"SELECT rowid AS place, {', '.join(columns)} FROM {table}").fetchall()
            for row in rows:
                gone = [name for name in columns if row[name] is not None and quotes(row[name])]
                if gone:
                    sets = ", ".join(f"{name} = NULL" for name in gone)
                    connection.execute(f"UPDATE {table} SET {sets} WHERE rowid = ?", (row["place"],))
                    touched += 1
            connection.commit()
            if touched:
                # Pages that were freed before still hold their bytes, and so does the log of writes.
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return touched
