"""Which versions answered a request: a small log, read by `steelyard versions --request ID`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from steelyard.schema.errors import NotFoundError, StoreError
from steelyard.schema.releases import RequestTrace

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, at TEXT NOT NULL, component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
    release INTEGER, generation INTEGER NOT NULL, dataset TEXT NOT NULL, text TEXT
) STRICT
"""

SHORTEST_ID = 6
"""Characters of an id that are enough to ask for a request, where no other begins with them."""

WAIT_S = 30.0


class RequestLog:
    """Traces in a SQLite file of their own, so that answering never waits for the registry; safe for several processes.

    In WAL mode with normal synchronisation: a crash of the process loses nothing, a power cut at most the last requests.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, trace: RequestTrace) -> None:
        """Keep one trace.

        Raises:
            StoreError: the file is locked or damaged.
        """
        names = ", ".join(trace.__dict__)
        marks = ", ".join(f":{name}" for name in trace.__dict__)
        with self._open() as connection:
            connection.execute(f"INSERT INTO requests ({names}) VALUES ({marks})", trace.__dict__)

    def get(self, request: str) -> RequestTrace:
        """The trace of a request, by its id or by a beginning of it that no other has.

        Raises:
            NotFoundError: there is none, or several begin so.
        """
        rows: list[sqlite3.Row] = []
        if self.path.is_file() and len(request) >= SHORTEST_ID:
            with self._open() as connection:
                # Ids are hexadecimal, so a range holds exactly those that begin with the text.
                rows = connection.execute(
                    "SELECT * FROM requests WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (request, request + "g")
                ).fetchall()
        if len(rows) != 1:
            why = "several requests begin with" if rows else "there is no request"
            raise NotFoundError(
                f"{why} '{request}'.",
                remedy="Give the whole `trace_id` of the answer.",
                code="registry.unknown_request",
            )
        return RequestTrace(**dict(rows[0]))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as connection, connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(SCHEMA)
                yield connection
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the log of requests cannot be used: {error}.",
                where=str(self.path),
                remedy="Move the file away; a new one is begun.",
                code="registry.requests",
            ) from error
