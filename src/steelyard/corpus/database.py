"""An SQLite file: numbered migrations, one connection a thread, transactions that are written or not."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn
from weakref import WeakSet

from steelyard.schema.errors import StoreError

NAMES = 500
"""Names in one condition; SQLite takes at least 999 parameters."""

BUSY_S = 30.0
"""How long a writer waits for another; the longest transaction here is well under a second."""


class Connection(sqlite3.Connection):
    """A connection whose reads fail in our terms as well: a damaged page shows itself only when it is reached."""

    path: Path

    def cursor(self, *_: Any) -> Any:
        """A cursor of this kind."""
        return super().cursor(Cursor)

    def execute(self, *arguments: Any) -> Any:
        """See `sqlite3.Connection.execute`, which would take a cursor of the base class."""
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        """See `sqlite3.Connection.executemany`."""
        return self.cursor().executemany(*arguments)


class Cursor(sqlite3.Cursor):
    """A cursor that raises StoreError where SQLite raises DatabaseError, but for the errors of the statement itself."""

    connection: Connection

    def execute(self, *arguments: Any) -> Cursor:
        """See `sqlite3.Cursor.execute`."""
        try:
            super().execute(*arguments)
        except sqlite3.DatabaseError as error:
            _raise_named(self.connection, error)
        return self

    def executemany(self, *arguments: Any) -> Cursor:
        """See `sqlite3.Cursor.executemany`."""
        try:
            super().executemany(*arguments)
        except sqlite3.DatabaseError as error:
            _raise_named(self.connection, error)
        return self

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.DatabaseError as error:
            _raise_named(self.connection, error)

    def fetchone(self) -> Any:
        """See `sqlite3.Cursor.fetchone`."""
        try:
            return super().fetchone()
        except sqlite3.DatabaseError as error:
            _raise_named(self.connection, error)

    def fetchall(self) -> list[Any]:
        """See `sqlite3.Cursor.fetchall`."""
        try:
            return super().fetchall()
        except sqlite3.DatabaseError as error:
            _raise_named(self.connection, error)


class _OfThread:
    """The connection of one thread, which alone holds this: closed when the thread ends, however many a server begins and ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """An SQLite database in WAL mode, brought up to date when opened; every thread has a connection of its own, closed when it ends.

    `migrations` are SQL scripts; each is applied once, in order, and recorded. `synchronous` FULL survives a power cut; NORMAL may
    lose the last transactions then, and suits a cache. What is deleted is overwritten with zeros at once (`secure_delete`).
    """

    def __init__(self, path: Path, migrations: Sequence[str], synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._local = threading.local()
        self._open: WeakSet[_OfThread] = WeakSet()
        self._guard = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._migrate(migrations)
        self._file = _identity(path)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            try:
                # Each thread uses its own; `close` may be called from any.
                made = sqlite3.connect(
                    self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, factory=Connection
                )
                made.path = self.path
                found = made
                found.execute("PRAGMA journal_mode = WAL")
                found.execute(f"PRAGMA synchronous = {self._synchronous}")
                found.execute("PRAGMA foreign_keys = ON")
                found.execute("PRAGMA secure_delete = ON")
            except sqlite3.DatabaseError as error:
                raise broken(self.path, error) from error
            self._local.connection, self._local.held = found, _OfThread(made)
            with self._guard:
                self._open.add(self._local.held)
        return found

    def named(self, query: str, column: str, names: Collection[str] | None) -> list[Any]:
        """The rows of a query without a condition, or of those alone whose `column` is one of `names`."""
        if names is None:
            return list(self.connection.execute(query).fetchall())
        found: list[Any] = []
        listed = list(names)
        for start in range(0, len(listed), NAMES):
            some = listed[start : start + NAMES]
            marks = ",".join("?" * len(some))
            found += self.connection.execute(f"{query} WHERE {column} IN ({marks})", some).fetchall()
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
            raise broken(self.path, error) from error

    def shrink(self) -> bool:
        """Write the file anew without free pages, and empty its log: nothing deleted is left in either.

        False when a reader elsewhere still needs the log; then a later call empties it.

        Raises:
            StoreError: the file is damaged, or the disk has no room for a second copy of it.
        """
        self.connection.execute("VACUUM")
        busy, _, _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def damage(self) -> list[str]:
        """What SQLite's own check finds wrong with the file; empty when it is whole."""
        try:
            found = [row[0] for row in self.connection.execute("PRAGMA integrity_check(20)").fetchall()]
            found += [
                f"a row of {row[0]} refers to a missing row of {row[2]}"
                for row in self.connection.execute("PRAGMA foreign_key_check").fetchall()
            ]
        except StoreError as error:
            return [error.message]
        return [text for text in found if text != "ok"]

    def is_there(self) -> bool:
        """Whether the file is still the one that was opened; what is written into one that was removed is lost."""
        return self._file is not None and _identity(self.path) == self._file

    def close(self) -> None:
        """Close every thread's connection; the object can be used again and opens new ones."""
        with self._guard:
            held, self._open = list(self._open), WeakSet()
        for one in held:
            one.connection.close()
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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; a trigger holds semicolons of its own."""
    pending = ""
    for part in script.split(";")[:-1]:
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends with a semicolon"


def _raise_named(connection: Connection, error: sqlite3.DatabaseError) -> NoReturn:
    """Raise our error for one of the file; errors of the statement itself stay what they are."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        raise error
    raise broken(connection.path, error) from error


FULL_CODES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
)
"""SQLite's codes for a write that found no room; a limit on the size of files shows as one of the later ones."""


def broken(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """Our error for one of SQLite's: the disk is full, the file is locked, or it is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in FULL_CODES:
        return StoreError(
            f"there is no room left on the disk ({error}).",
            where=path.name,
            remedy="Make room and run the command again; what answered before still answers.",
            code="corpus.disk_full",
        )
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
        return StoreError(
            f"another process keeps the database locked ({error}).",
            where=path.name,
            remedy="Wait for it to end, then run the command again.",
            code="corpus.database_locked",
        )
    return StoreError(
        f"the database cannot be used ({error}).",
        where=path.name,
        remedy="Run `steelyard doctor`: it says what is damaged and what can be made again.",
        code="corpus.database",
    )
