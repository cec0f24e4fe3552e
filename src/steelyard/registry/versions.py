"""The registry: which candidate versions exist, what they came from, and where an alias points."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from steelyard.registry.database import Database
from steelyard.schema.errors import NotFoundError, nearest
from steelyard.schema.runs import VersionRecord

RECOMMENDED = "recommended"
"""The alias that `weigh` moves to its recommendation."""


def utc_now() -> str:
    """The time now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Registry:
    """Versions never change; aliases move."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def add(self, record: VersionRecord) -> VersionRecord:
        """Store a fitted candidate under the next version number of its component and candidate.

        `record.version` is ignored; the stored record is returned.
        """
        with self._database.connect() as connection:
            row = connection.execute(
                "SELECT COALESCE(MAX(version), 0) + 1 FROM versions WHERE component = ? AND candidate = ?",
                (record.component, record.candidate),
            ).fetchone()
            stored = VersionRecord(**{**record.__dict__, "version": int(row[0])})
            values = {**stored.__dict__, "metrics": json.dumps(dict(stored.metrics), sort_keys=True)}
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(f"INSERT INTO versions ({names}) VALUES ({marks})", values)
        return stored

    def by_inputs(self, component: str, candidate: str, inputs: str) -> VersionRecord | None:
        """The newest version fitted from exactly these inputs, None when there is none."""
        with self._database.connect() as connection:
            row = connection.execute(
                "SELECT * FROM versions WHERE component = ? AND candidate = ? AND inputs = ? ORDER BY version DESC LIMIT 1",
                (component, candidate, inputs),
            ).fetchone()
        return _record(row) if row else None

    def versions(self, component: str | None = None) -> list[VersionRecord]:
        """All versions (of one component), oldest first."""
        with self._database.connect() as connection:
            rows = connection.execute(
                "SELECT * FROM versions WHERE ? IS NULL OR component = ? ORDER BY created, rowid",
                (component, component),
            ).fetchall()
        return [_record(row) for row in rows]

    def get(self, component: str, candidate: str, version: int | None = None) -> VersionRecord:
        """One version; the newest when `version` is None.

        Raises:
            NotFoundError: nothing registered under that name; the nearest is named.
        """
        found = [one for one in self.versions(component) if one.candidate == candidate]
        if version is not None:
            found = [one for one in found if one.version == version]
        if not found:
            known = sorted({one.candidate for one in self.versions(component)})
            near = nearest(candidate, known)
            hint = f"Did you mean '{near[0]}'?" if near else f"Run `steelyard train {component}/{candidate}` first."
            name = f"{component}/{candidate}" + (f"@{version}" if version is not None else "")
            raise NotFoundError(f"there is no version '{name}'.", remedy=hint, code="registry.unknown_version")
        return max(found, key=lambda one: one.version)

    def point(self, component: str, alias: str, record: VersionRecord) -> None:
        """Move an alias of a component to a version."""
        with self._database.connect() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO aliases (component, alias, candidate, version, moved) VALUES (?, ?, ?, ?, ?)",
                (component, alias, record.candidate, record.version, utc_now()),
            )

    def alias(self, component: str, alias: str) -> VersionRecord | None:
        """The version an alias points to, None when it was never set."""
        with self._database.connect() as connection:
            row = connection.execute(
                "SELECT candidate, version FROM aliases WHERE component = ? AND alias = ?", (component, alias)
            ).fetchone()
        return self.get(component, row["candidate"], row["version"]) if row else None

    def note_holdout_use(self, dataset: str, record: VersionRecord, items: int) -> int:
        """Record that a version was scored on the holdout of `dataset`; returns how often any version of it was."""
        with self._database.connect() as connection:
            connection.execute(
                "INSERT INTO holdout_uses VALUES (?, ?, ?, ?, ?, ?)",
                (dataset, record.component, record.candidate, record.version, items, utc_now()),
            )
            row = connection.execute(
                "SELECT COUNT(*) FROM holdout_uses WHERE dataset = ? AND component = ? AND candidate = ?",
                (dataset, record.component, record.candidate),
            ).fetchone()
        return int(row[0])

    def holdout_uses(self, component: str, dataset: str) -> dict[str, int]:
        """Per candidate, how often the holdout of `dataset` was scored with it."""
        with self._database.connect() as connection:
            rows = connection.execute(
                "SELECT candidate, COUNT(*) AS uses FROM holdout_uses WHERE component = ? AND dataset = ? GROUP BY candidate",
                (component, dataset),
            ).fetchall()
        return {row["candidate"]: int(row["uses"]) for row in rows}


def _record(row: sqlite3.Row) -> VersionRecord:
    values = dict(row)
    values["metrics"] = json.loads(values["metrics"])
    return VersionRecord(**values)
