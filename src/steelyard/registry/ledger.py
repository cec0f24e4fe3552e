"""The training ledger: seconds, energy and USD of every fit, in the registry's file; entries are only ever added."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from steelyard.registry.database import Database
from steelyard.schema.ledger import Effort, LedgerEntry

_EFFORT = ("seconds", "cpu_seconds", "energy_wh", "energy_source")
_OWN = ("component", "candidate", "version", "kind", "rows", "usd", "created")


class Ledger:
    """What fits took. The entries stay when a version is pruned: the money was spent."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def add(self, entry: LedgerEntry) -> None:
        """Append an entry."""
        values = entry.to_json()
        names = (*_OWN, *_EFFORT)
        marks = ", ".join(f":{name}" for name in names)
        with self._database.connect() as connection:
            connection.execute(f"INSERT INTO ledger ({', '.join(names)}) VALUES ({marks})", values)

    def entries(self, component: str | None = None, candidate: str | None = None) -> list[LedgerEntry]:
        """Every entry (of a component, of a candidate), oldest first."""
        with self._database.connect() as connection:
            rows = connection.execute(
                "SELECT * FROM ledger WHERE (?1 IS NULL OR component = ?1) AND (?2 IS NULL OR candidate = ?2) ORDER BY rowid",
                (component, candidate),
            ).fetchall()
        return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> LedgerEntry:
    effort = Effort(**{name: row[name] for name in _EFFORT})
    return LedgerEntry(**{name: row[name] for name in _OWN}, effort=effort)
