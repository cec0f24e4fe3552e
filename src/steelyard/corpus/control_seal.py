"""Seals the history of the control plane: each change carries the hash of the one before, so an edit, a cut or another order is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence

BEGINNING = "0" * 64

_COLUMNS = "epoch, at, by, kind, subject, why, detail"

GUARDS = ("change_stays", "change_remains")
"""Triggers that let changes be added and nothing else."""


def put_change(connection: sqlite3.Connection, change: Sequence[object]) -> None:
    """Add a change (`epoch, at, by, kind, subject, why, detail`) behind the newest, inside a transaction."""
    row = connection.execute("SELECT changes, hash FROM change_head").fetchone()
    count, previous = (int(row[0]), str(row[1])) if row else _unsealed(connection)
    sealed = seal(change, previous)
    connection.execute(
        f"INSERT INTO change ({_COLUMNS}, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*change, previous, sealed),
    )
    connection.execute("INSERT OR REPLACE INTO change_head VALUES (1, ?, ?)", (count + 1, sealed))


def check_changes(connection: sqlite3.Connection) -> tuple[int, str, tuple[str, ...], frozenset[str]]:
    """How many changes there are, the hash of the newest, everything that was done to them, and all their hashes.

    Changes of before they were sealed are held together: the first sealed one carries the hash of them all.
    """
    rows = connection.execute(f"SELECT {_COLUMNS}, previous, hash FROM change ORDER BY epoch").fetchall()
    older = [row for row in rows if not row[-1]]
    broken: list[str] = []
    if older and any(row[-1] for row in rows[: len(older)]):
        broken.append("a change lost its seal")
    previous = _digest(row[:7] for row in older) if older else BEGINNING
    for row in rows[len(older) :]:
        if row[7] != previous:
            broken.append(f"change {row[0]}: it does not follow the one before it")
        if seal(row[:7], row[7]) != row[8]:
            broken.append(f"change {row[0]}: it is not what was sealed")
        previous = row[8]
    head = connection.execute("SELECT changes, hash FROM change_head").fetchone()
    if head is not None and (int(head[0]), head[1]) != (len(rows), previous):
        broken.append(f"the newest changes were cut off: there were {head[0]} and are {len(rows)}")
    if head is None and len(older) < len(rows):
        broken.append("what says how many changes there are was removed")
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    broken += [f"the guard {name} was removed" for name in GUARDS if name not in there]
    return len(rows), previous, tuple(broken), frozenset(row[8] for row in rows)


def seal(change: Sequence[object], previous: str) -> str:
    """The hash of a change behind another."""
    text = json.dumps([*change, previous], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unsealed(connection: sqlite3.Connection) -> tuple[int, str]:
    """The changes of before there were seals: how many, and one hash over them all."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM change ORDER BY epoch").fetchall()
    return len(rows), _digest(rows) if rows else BEGINNING


def _digest(rows: Iterable[Sequence[object]]) -> str:
    whole = hashlib.sha256()
    for row in rows:
        whole.update(json.dumps(list(row), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return whole.hexdigest()
