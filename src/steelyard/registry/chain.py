"""Append-only records, each sealed with the hash of the one before: an edit, a cut or another order is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BEGINNING = "0" * 64
"""What stands before the first record."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record of a chain: who did what, why, and what it rested on. `hash` seals it together with `previous`."""

    number: int
    at: str
    who: str
    what: str
    why: str
    evidence: Mapping[str, Any]
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return {**self.__dict__, "evidence": dict(self.evidence)}


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a verification found: how many records there are, the hash of the last, and every break with its place."""

    entries: int
    head: str
    broken: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.broken

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {"whole": self.whole, "entries": self.entries, "head": self.head, "broken": list(self.broken)}


class Chain:
    """A hash chain in a table of a SQLite database; its methods take an open connection and join its transaction.

    The table refuses updates and deletions. Who goes around that with a tool of their own is found by `verify`: by the hashes, by the
    numbers, and at the end of the chain by the head that is kept beside it. Only somebody who writes the whole chain and its head anew
    is not: against that, keep the hash of the last record elsewhere and give it to `verify`.
    """

    def __init__(self, name: str) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name for a table")
        self.name = name

    def sql(self) -> str:
        """The statements that make the chain, for a numbered change of its database."""
        return f"""
        CREATE TABLE {self.name} (
            number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, why TEXT NOT NULL,
            evidence TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
        ) STRICT;
        CREATE TABLE {self.name}_head (
            one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER NOT NULL, hash TEXT NOT NULL
        ) STRICT;
        INSERT INTO {self.name}_head VALUES (1, 0, '{BEGINNING}');
        {append_only(self.name)}
        """

    def append(
        self, connection: sqlite3.Connection, *, at: str, who: str, what: str, why: str, evidence: Mapping[str, Any]
    ) -> Entry:
        """Add one record; it is there when the connection's transaction is."""
        head = connection.execute(f"SELECT entries, hash FROM {self.name}_head").fetchone()
        text = json.dumps(dict(evidence), sort_keys=True, ensure_ascii=False, allow_nan=False)
        number, previous = int(head[0]) + 1, str(head[1])
        sealed = _seal(number, at, who, what, why, text, previous)
        connection.execute(
            f"INSERT INTO {self.name} (number, at, who, what, why, evidence, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, at, who, what, why, text, previous, sealed),
        )
        connection.execute(f"UPDATE {self.name}_head SET entries = ?, hash = ?", (number, sealed))
        return Entry(
            number=number,
            at=at,
            who=who,
            what=what,
            why=why,
            evidence=json.loads(text),
            previous=previous,
            hash=sealed,
        )

    def entries(self, connection: sqlite3.Connection) -> Iterator[Entry]:
        """All records, oldest first."""
        for row in connection.execute(f"SELECT {_COLUMNS} FROM {self.name} ORDER BY number"):
            number, at, who, what, why, evidence, previous, sealed = row
            yield Entry(
                number=number,
                at=at,
                who=who,
                what=what,
                why=why,
                evidence=json.loads(evidence),
                previous=previous,
                hash=sealed,
            )

    def verify(self, connection: sqlite3.Connection, expected: str | None = None) -> Verified:
        """Recompute every hash. `expected` is a hash kept elsewhere that some record of the chain must carry."""
        broken: list[str] = []
        previous, last, seen = BEGINNING, 0, {BEGINNING}
        for row in connection.execute(f"SELECT {_COLUMNS} FROM {self.name} ORDER BY number"):
            number, at, who, what, why, evidence, before, sealed = row
            if number != last + 1:
                broken.append(f"record {last + 1}: missing, record {number} follows record {last}")
            elif before != previous:
                broken.append(f"record {number}: it does not follow the record before it")
            if _seal(number, at, who, what, why, evidence, before) != sealed:
                broken.append(f"record {number}: its content is not what was sealed")
            last, previous = number, sealed
            seen.add(sealed)
        entries, head = connection.execute(f"SELECT entries, hash FROM {self.name}_head").fetchone() or (0, BEGINNING)
        if (entries, head) != (last, previous):
            broken.append(f"record {last + 1}: cut off, the chain had {entries} records and has {last}")
        if expected is not None and expected not in seen:
            broken.append(f"no record carries the hash {expected[:16]} that was kept elsewhere")
        broken += [f"the guard {name} was removed" for name in missing_guards(connection, self.name)]
        return Verified(entries=last, head=previous, broken=tuple(broken))

    def lines(self, connection: sqlite3.Connection) -> Iterator[str]:
        """The chain as JSON Lines, oldest first; each line carries its hash, so a copy can be checked without the database."""
        for entry in self.entries(connection):
            yield json.dumps(entry.to_json(), ensure_ascii=False, sort_keys=True)


def append_only(table: str) -> str:
    """Triggers that let rows of `table` be added and nothing else."""
    return "".join(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;\n"
        for verb in ("UPDATE", "DELETE")
    )


def missing_guards(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of those triggers of `append_only` that are gone."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
    there = {str(row[0]) for row in rows}
    return [name for name in (f"{table}_no_update", f"{table}_no_delete") if name not in there]


_COLUMNS = "number, at, who, what, why, evidence, previous, hash"


def _seal(number: int, at: str, who: str, what: str, why: str, evidence: str, previous: str) -> str:
    text = json.dumps([number, at, who, what, why, evidence, previous], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
