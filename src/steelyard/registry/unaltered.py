"""Holds the registry's tables against its history: a row that somebody edited around the guards no longer agrees with it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from steelyard.registry.chain import Entry, missing_guards

GUARDED_TABLES = ("versions", "releases", "release_versions", "production")

SEALED = (
    "dataset", "inputs", "artefact", "folder", "code_version", "seed", "seconds", "cost_usd", "created",
)  # fmt: skip
"""Columns of a version that must be what its record of registration says."""


def altered(connection: sqlite3.Connection, entries: Sequence[Entry]) -> Iterator[str]:
    """Every row of versions, releases, production and aliases that is not what the history says, and every guard that is gone."""
    for table in GUARDED_TABLES:
        yield from (f"the guard {name} was removed" for name in missing_guards(connection, table))
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        by_kind.setdefault(entry.what, []).append(entry)
    yield from _versions(connection, by_kind.get("version.registered", []))
    yield from _releases(connection, by_kind.get("release.made", []))
    yield from _production(connection, [one for one in entries if one.what in ("release.made", "release.rolled_back")])
    yield from _aliases(connection, by_kind.get("alias.moved", []))


def _versions(connection: sqlite3.Connection, registered: Sequence[Entry]) -> Iterator[str]:
    rows = {_name(row): row for row in connection.execute("SELECT * FROM versions ORDER BY rowid")}
    names = [_name(entry.evidence) for entry in registered]
    # Versions of before the history was kept have no record; every later one has.
    later = list(rows)[list(rows).index(names[0]) :] if names and names[0] in rows else []
    yield from (f"version {name}: the history knows nothing of it" for name in later if name not in set(names))
    for entry in registered:
        told = entry.evidence
        name = _name(told)
        row = rows.get(name)
        if row is None:
            yield f"version {name}: it was registered and is gone"
            continue
        wrong = [column for column in SEALED if row[column] != told[column]]
        wrong += [column for column in ("metrics", "files") if json.loads(row[column]) != told[column]]
        if wrong:
            yield f"version {name}: {', '.join(wrong)} is not what was registered"


def _releases(connection: sqlite3.Connection, made: Sequence[Entry]) -> Iterator[str]:
    rows = {int(row["number"]): row for row in connection.execute("SELECT * FROM releases")}
    told_numbers = set()
    for entry in made:
        told = entry.evidence
        number = int(told["release"])
        told_numbers.add(number)
        row = rows.get(number)
        held = connection.execute("SELECT * FROM release_versions WHERE release = ? ORDER BY component", (number,))
        if row is None:
            yield f"release {number}: it was made and is gone"
        elif (
            sorted(_name(one) for one in held) != sorted(told["versions"])
            or [row["generation"], bool(row["pinned"]), bool(row["forced"])]
            != [told["generation"], told["pinned"], told["forced"]]
            or (row["who"], row["why"]) != (entry.who, entry.why)
        ):
            yield f"release {number}: it is not what was released"
    yield from (f"release {number}: the history knows nothing of it" for number in sorted(rows.keys() - told_numbers))


def _production(connection: sqlite3.Connection, moves: Sequence[Entry]) -> Iterator[str]:
    now = [int(row[0]) for row in connection.execute("SELECT release FROM production ORDER BY id")]
    if now != [int(one.evidence["release"]) for one in moves]:
        yield "production: its moves are not those of the history"


def _aliases(connection: sqlite3.Connection, moved: Sequence[Entry]) -> Iterator[str]:
    last: dict[tuple[str, str], str] = {}
    for entry in moved:
        last[(entry.evidence["component"], entry.evidence["alias"])] = entry.evidence["to"]
    for row in connection.execute("SELECT * FROM aliases"):
        key = (row["component"], row["alias"])
        # An alias of before the history was kept has no record.
        if key in last and last[key] != _name(row):
            yield f"alias {row['alias']} of {row['component']}: it points elsewhere than the history says"


def _name(row: Any) -> str:
    return f"{row['component']}/{row['candidate']}@{row['version']}"
