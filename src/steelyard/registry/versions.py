"""The registry: which candidate versions exist, what they came from, and where an alias points."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from steelyard.registry.chain import Entry, Verified
from steelyard.registry.database import HISTORY, Database
from steelyard.registry.unaltered import altered
from steelyard.schema.errors import NotFoundError, nearest
from steelyard.schema.runs import VersionRecord

RECOMMENDED = "recommended"
"""The alias that `weigh` moves to its recommendation."""

PRODUCTION = "production"
"""The alias that a release moves, for all its components at once."""


def whoami() -> str:
    """The account this process runs as, for the history; `unknown` where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


_MAPPINGS = ("metrics", "files", "parity")
"""Fields of a version that are stored as JSON."""


def utc_now() -> str:
    """The time now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Registry:
    """Versions never change; aliases move. Every change is written into the history, in the same transaction."""

    def __init__(self, path: Path, who: str | None = None) -> None:
        self.database = Database(path)
        self.who = whoami() if who is None else who

    def add(self, record: VersionRecord) -> VersionRecord:
        """Store a fitted candidate under the next version number of its component and candidate.

        `record.version` is ignored; the stored record is returned.
        """
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT COALESCE(MAX(version), 0) + 1 FROM versions WHERE component = ? AND candidate = ?",
                (record.component, record.candidate),
            ).fetchone()
            stored = VersionRecord(**{**record.__dict__, "version": int(row[0])})
            values = {**stored.__dict__, **{name: _text(stored, name) for name in _MAPPINGS}}
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(f"INSERT INTO versions ({names}) VALUES ({marks})", values)
            evidence = {**stored.to_json(), "parity": _without_rows(stored)}
            self.note(connection, "version.registered", "fitted", evidence)
        return stored

    def note(self, connection: sqlite3.Connection, what: str, why: str, evidence: dict[str, object]) -> Entry:
        """Add to the history inside a transaction of the registry's database."""
        return HISTORY.append(connection, at=utc_now(), who=self.who, what=what, why=why, evidence=evidence)

    def history(self) -> list[Entry]:
        """Everything that was done, oldest first."""
        with self.database.connect() as connection:
            return list(HISTORY.entries(connection))

    def history_lines(self) -> Iterator[str]:
        """The history as JSON Lines, oldest first."""
        with self.database.connect() as connection:
            yield from HISTORY.lines(connection)

    def verify(self, expected: str | None = None) -> Verified:
        """Check the history, and versions, releases and aliases against it; `expected` is a hash of it kept elsewhere."""
        with self.database.connect() as connection:
            found = HISTORY.verify(connection, expected)
            more = tuple(altered(connection, list(HISTORY.entries(connection))))
        return Verified(entries=found.entries, head=found.head, broken=(*found.broken, *more))

    def by_inputs(self, component: str, candidate: str, inputs: str) -> VersionRecord | None:
        """The newest version fitted from exactly these inputs, None when there is none."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT * FROM versions WHERE component = ? AND candidate = ? AND inputs = ? ORDER BY version DESC LIMIT 1",
                (component, candidate, inputs),
            ).fetchone()
        return _record(row) if row else None

    def versions(self, component: str | None = None) -> list[VersionRecord]:
        """All versions (of one component), oldest first."""
        with self.database.connect() as connection:
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

    def point(self, component: str, alias: str, record: VersionRecord, why: str = "") -> None:
        """Move an alias of a component to a version; where it points there already, nothing is done."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT candidate, version FROM aliases WHERE component = ? AND alias = ?", (component, alias)
            ).fetchone()
            before = f"{component}/{row['candidate']}@{row['version']}" if row else None
            if before == record.name:
                return
            connection.execute(
                "INSERT OR REPLACE INTO aliases (component, alias, candidate, version, moved) VALUES (?, ?, ?, ?, ?)",
                (component, alias, record.candidate, record.version, utc_now()),
            )
            evidence: dict[str, object] = {"component": component, "alias": alias, "from": before, "to": record.name}
            self.note(connection, "alias.moved", why, evidence)

    def aliases(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Where each alias points: (component, alias) to (candidate, version)."""
        with self.database.connect() as connection:
            rows = connection.execute("SELECT * FROM aliases ORDER BY component, alias").fetchall()
        return {(row["component"], row["alias"]): (row["candidate"], int(row["version"])) for row in rows}

    def alias(self, component: str, alias: str) -> VersionRecord | None:
        """The version an alias points to, None when it was never set."""
        with self.database.connect() as connection:
            row = connection.execute(
                "SELECT candidate, version FROM aliases WHERE component = ? AND alias = ?", (component, alias)
            ).fetchone()
        return self.get(component, row["candidate"], row["version"]) if row else None

    def note_holdout_use(self, dataset: str, record: VersionRecord, items: int) -> int:
        """Record that a version was scored on the holdout of `dataset`; returns how often any version of it was."""
        with self.database.connect() as connection:
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
        with self.database.connect() as connection:
            rows = connection.execute(
                "SELECT candidate, COUNT(*) AS uses FROM holdout_uses WHERE component = ? AND dataset = ? GROUP BY candidate",
                (component, dataset),
            ).fetchall()
        return {row["candidate"]: int(row["uses"]) for row in rows}


def _record(row: sqlite3.Row) -> VersionRecord:
    values = dict(row)
    return VersionRecord(**{**values, **{name: json.loads(values[name]) for name in _MAPPINGS}})


def _text(record: VersionRecord, name: str) -> str:
    return json.dumps(dict(getattr(record, name)), sort_keys=True, ensure_ascii=False)


def _without_rows(record: VersionRecord) -> dict[str, object]:
    """The parity without its flipped rows: the history says what was measured and holds no texts, so it can be kept for ever."""
    return {name: value for name, value in record.parity.items() if name != "flipped"}
