"""The registry's SQLite database: numbered changes, applied once and recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from steelyard.registry.chain import Chain, append_only
from steelyard.schema.errors import StoreError

HISTORY = Chain("history")
"""Who did what with versions, aliases and releases, and why."""

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
    f"""
    ALTER TABLE versions ADD COLUMN files TEXT NOT NULL DEFAULT '{{}}';
    ALTER TABLE versions ADD COLUMN parity TEXT NOT NULL DEFAULT '{{}}';
    ALTER TABLE versions ADD COLUMN cost_usd REAL NOT NULL DEFAULT 0.0;
    {append_only("versions")}
    CREATE TABLE releases (
        number INTEGER PRIMARY KEY, created TEXT NOT NULL, previous INTEGER, generation INTEGER NOT NULL,
        pinned INTEGER NOT NULL, forced INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, gates TEXT NOT NULL
    ) STRICT;
    {append_only("releases")}
    CREATE TABLE release_versions (
        release INTEGER NOT NULL, component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (release, component)
    ) STRICT;
    {append_only("release_versions")}
    CREATE TABLE production (id INTEGER PRIMARY KEY, release INTEGER NOT NULL, moved TEXT NOT NULL) STRICT;
    {append_only("production")}
    {HISTORY.sql()}
    """,
    f"""
    CREATE TABLE ledger (
        component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER, kind TEXT NOT NULL, rows INTEGER NOT NULL,
        seconds REAL NOT NULL, cpu_seconds REAL NOT NULL, energy_wh REAL NOT NULL, energy_source TEXT NOT NULL, usd REAL NOT NULL,
        created TEXT NOT NULL
    ) STRICT;
    {append_only("ledger")}
    """,
)

WAIT_S = 30.0
"""How long a writer waits for another."""

RETRY_S = 0.02


class Database:
    """A SQLite file in WAL mode with full synchronisation, brought to the newest schema on opening.

    Safe for several processes: writers wait for each other up to WAIT_S. `migrations` are scripts, each applied once, in order.
    """

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path = path
        self._migrations = migrations

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction: committed when the block ends, rolled back when it raises.

        Raises:
            StoreError: another process keeps the file locked, or the file is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            self._open(connection)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()

    def _open(self, connection: sqlite3.Connection) -> None:
        try:
            _begin(connection)
            self._migrate(connection)
        except sqlite3.DatabaseError as error:
            busy = _is_busy(error)
            raise StoreError(
                f"the {self.path.stem} is {'locked by another process' if busy else 'damaged'}: {error}.",
                where=str(self.path),
                remedy="Wait until it has ended and run the command again."
                if busy
                else "Restore the file from a backup.",
                code="registry.locked" if busy else "registry.damaged",
            ) from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        done = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, script in enumerate(self._migrations[done:], start=done + 1):
            # Statement by statement: `executescript` would commit the transaction.
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one; a trigger has semicolons inside."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \n;"):
                yield statement
            statement = ""


def _begin(connection: sqlite3.Connection) -> None:
    deadline = monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            # SQLite's own timeout does not cover the switch to WAL, which two processes that open a new file race for.
            if not _is_busy(error) or monotonic() > deadline:
                raise
            sleep(RETRY_S)
        else:
            return


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    # The low byte is the kind of error; the rest says more closely what it was.
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
