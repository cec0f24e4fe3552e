"""Append-only records, each sealed with the hash of the one before: an edit, a cut or another order is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BEGINNING = "0" * 64
"""What stands before the first record."""

CUT = "chain.cut"
"""The kind of the record that says which records were cut away, and seals the hash of the last of them."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A record before it is sealed."""

    at: str
    who: str
    what: str
    why: str
    evidence: Mapping[str, Any]


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
        return entry_of(self.extend(connection, [Draft(at=at, who=who, what=what, why=why, evidence=evidence)])[0])

    def extend(self, connection: sqlite3.Connection, drafts: Sequence[Draft]) -> list[_Row]:
        """Add records in this order; they are there when the connection's transaction is. Returned as rows: see `entry_of`."""
        head = connection.execute(f"SELECT entries, hash FROM {self.name}_head").fetchone()
        number, previous = int(head[0]), str(head[1])
        rows: list[_Row] = []
        for one in drafts:
            number += 1
            text = json.dumps(dict(one.evidence), sort_keys=True, ensure_ascii=False, allow_nan=False)
            sealed = _seal(number, one.at, one.who, one.what, one.why, text, previous)
            rows.append((number, one.at, one.who, one.what, one.why, text, previous, sealed))
            previous = sealed
        marks = ", ".join("?" * len(_COLUMNS.split(", ")))
        connection.executemany(f"INSERT INTO {self.name} ({_COLUMNS}) VALUES ({marks})", rows)
        connection.execute(f"UPDATE {self.name}_head SET entries = ?, hash = ?", (number, previous))
        return rows

    def entries(self, connection: sqlite3.Connection) -> Iterator[Entry]:
        """All records, oldest first."""
        for row in connection.execute(f"SELECT {_COLUMNS} FROM {self.name} ORDER BY number"):
            yield entry_of(row)

    def cut(
        self, connection: sqlite3.Connection, *, through: int, at: str, who: str, why: str, evidence: Mapping[str, Any]
    ) -> Entry:
        """Delete the records up to number `through`, and seal into the chain that, when, by whom and why this was done.

        The hash of the last deleted record is in the new one, and commits to all before it: what is left goes on from there, and a copy
        of what was deleted can be proven to be it. Everything happens in the connection's transaction, the lifting of the guard too.

        Raises:
            ValueError: there is no such record, or it is the last: a chain is never emptied.
        """
        row = connection.execute(f"SELECT hash FROM {self.name} WHERE number = ?", (through,)).fetchone()
        (last,) = connection.execute(f"SELECT entries FROM {self.name}_head").fetchone()
        if row is None or through >= last:
            raise ValueError(f"record {through} cannot be cut away: the chain has {last} records")
        (count,) = connection.execute(f"SELECT count(*) FROM {self.name} WHERE number <= ?", (through,)).fetchone()
        told = {**evidence, "through": through, "hash": row[0], "records": count}
        sealed = self.append(connection, at=at, who=who, what=CUT, why=why, evidence=told)
        connection.execute(f"DROP TRIGGER {self.name}_no_delete")
        connection.execute(f"DELETE FROM {self.name} WHERE number <= ?", (through,))
        connection.execute(guard(self.name, "DELETE"))
        return sealed

    def verify(self, connection: sqlite3.Connection, expected: str | None = None) -> Verified:
        """Recompute every hash. `expected` is a hash kept elsewhere that some record of the chain must carry."""
        walk = _Walk()
        for row in connection.execute(f"SELECT {_COLUMNS} FROM {self.name} ORDER BY number"):
            walk.step(row)
        walk.end()
        broken, last, previous = walk.broken, walk.last, walk.previous
        entries, head = connection.execute(f"SELECT entries, hash FROM {self.name}_head").fetchone() or (0, BEGINNING)
        if (entries, head) != (last, previous):
            broken.append(f"record {last + 1}: cut off, the chain had {entries} records and has {last}")
        if expected is not None and expected not in walk.seen:
            broken.append(f"no record carries the hash {expected[:16]} that was kept elsewhere")
        broken += [f"the guard {name} was removed" for name in missing_guards(connection, self.name)]
        return Verified(entries=last, head=previous, broken=tuple(broken))

    def lines(self, connection: sqlite3.Connection, through: int | None = None) -> Iterator[str]:
        """The chain (up to a number) as JSON Lines, oldest first; each line carries its hash: `verify_lines` needs no database."""
        for entry in self.entries(connection):
            if through is not None and entry.number > through:
                return
            yield json.dumps(entry.to_json(), ensure_ascii=False, sort_keys=True)


class _Walk:
    """Walks over the records of a chain, oldest first, and notes every break."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.seen = {BEGINNING}
        self.previous = BEGINNING
        self.last = 0
        self._cuts: set[tuple[int, str]] = set()
        self._begins: tuple[int, str] | None = None

    def step(self, row: _Row) -> None:
        number, at, who, what, why, evidence, before, sealed = row
        if self._begins is None:
            # What was cut away with a record of it is not missing; `end` knows whether there is one.
            self._begins = (number, before)
            self.last, self.previous = number - 1, before
            self.seen.add(before)
        if number != self.last + 1:
            self.broken.append(f"record {self.last + 1}: missing, record {number} follows record {self.last}")
        elif before != self.previous:
            self.broken.append(f"record {number}: it does not follow the record before it")
        if _seal(number, at, who, what, why, evidence, before) != sealed:
            self.broken.append(f"record {number}: its content is not what was sealed")
        elif what == CUT:
            told = json.loads(evidence)
            self._cuts.add((told["through"], told["hash"]))
        self.last, self.previous = number, sealed
        self.seen.add(sealed)

    def end(self, *, part: bool = False) -> None:
        """After the last record; of a `part`, such as an archive, it does not matter where it begins."""
        if self._begins is None or part:
            return
        number, before = self._begins
        if number == 1 and before != BEGINNING:
            self.broken.insert(0, "record 1: it does not follow the record before it")
        if number > 1 and (number - 1, before) not in self._cuts:
            self.broken.insert(0, f"record 1: missing, record {number} follows record 0")


def verify_lines(lines: Iterable[str]) -> tuple[Verified, int]:
    """Check records that `Chain.lines` wrote, such as an archive of what was cut away; and the number of the first (0 for none).

    The hash of its last record is the `head` that came out: the record of the cut names the same.
    """
    walk, first, at = _Walk(), 0, 0
    for at, line in enumerate(lines, start=1):
        try:
            raw = json.loads(line)
            text = json.dumps(raw["evidence"], sort_keys=True, ensure_ascii=False, allow_nan=False)
            row = (raw["number"], raw["at"], raw["who"], raw["what"], raw["why"], text, raw["previous"], raw["hash"])
            walk.step(row)
        except (ValueError, KeyError, TypeError):
            walk.broken.append(f"line {at}: it is no record")
            continue
        first = first or int(raw["number"])
    walk.end(part=True)
    return Verified(entries=at, head=walk.previous, broken=tuple(walk.broken)), first


def is_sealed(entry: Entry) -> bool:
    """Whether a record is what its own hash seals; its place in the chain is for `Chain.verify`."""
    text = json.dumps(dict(entry.evidence), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return entry.hash == _seal(entry.number, entry.at, entry.who, entry.what, entry.why, text, entry.previous)


def guard(table: str, verb: str) -> str:
    """The trigger that refuses UPDATE or DELETE on `table`."""
    return (
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def append_only(table: str) -> str:
    """Triggers that let rows of `table` be added and nothing else."""
    return "".join(f"{guard(table, verb)};\n" for verb in ("UPDATE", "DELETE"))


def missing_guards(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of those triggers of `append_only` that are gone."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
    there = {str(row[0]) for row in rows}
    return [name for name in (f"{table}_no_update", f"{table}_no_delete") if name not in there]


def entry_of(row: Sequence[Any]) -> Entry:
    """The record of a row of `_COLUMNS`."""
    number, at, who, what, why, evidence, previous, sealed = row
    return Entry(
        number=number,
        at=at,
        who=who,
        what=what,
        why=why,
        evidence=json.loads(evidence),
        previous=previous,
        hash=sealed,
    )


_Row = tuple[int, str, str, str, str, str, str, str]

_COLUMNS = "number, at, who, what, why, evidence, previous, hash"


def _seal(number: int, at: str, who: str, what: str, why: str, evidence: str, previous: str) -> str:
    text = json.dumps([number, at, who, what, why, evidence, previous], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
