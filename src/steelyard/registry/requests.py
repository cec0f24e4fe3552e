"""Which versions answered a request: a small log, read by `steelyard versions --request ID`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from steelyard.registry.side_file import SideFile
from steelyard.schema.errors import NotFoundError
from steelyard.schema.releases import RequestTrace

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, at TEXT NOT NULL, component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
    release INTEGER, generation INTEGER NOT NULL, dataset TEXT NOT NULL, text TEXT
) STRICT
"""

SHORTEST_ID = 6
"""Characters of an id that are enough to ask for a request, where no other begins with them."""

FILE = SideFile(
    schema=(SCHEMA,),
    called="the log of requests",
    remedy="Move the file away; a new one is begun.",
    code="registry.requests",
)


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

    def forget(self, quotes: Callable[[str], bool]) -> int:
        """Empty every kept question for which `quotes` is true; the traces stay. How many there were.

        Raises:
            StoreError: the file is locked or damaged.
        """
        return FILE.blank(self.path, "requests", ("text",), quotes)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return FILE.open(self.path)
