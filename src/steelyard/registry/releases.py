"""Releases: immutable, numbered sets of versions, and the pointer to the one in force."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.registry.versions import PRODUCTION, RECOMMENDED, Registry, utc_now
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.releases import Gate, Release
from steelyard.schema.runs import VersionRecord

RESERVED = (PRODUCTION, RECOMMENDED)
"""Aliases that commands move themselves."""


class Releases:
    """Releases of one registry. A release and the move of `production` are one transaction: a crash leaves the old or the new."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._database = registry.database

    def in_force(self) -> Release | None:
        """The release behind `production`; None before the first."""
        with self._database.connect() as connection:
            number = _in_force(connection)
            return None if number is None else _release(connection, number)

    def get(self, number: int) -> Release:
        """One release.

        Raises:
            NotFoundError: there is none of this number.
        """
        with self._database.connect() as connection:
            return _release(connection, number)

    def all(self) -> list[Release]:
        """All releases, oldest first."""
        with self._database.connect() as connection:
            rows = connection.execute("SELECT number FROM releases ORDER BY number").fetchall()
            return [_release(connection, int(row[0])) for row in rows]

    def make(
        self,
        versions: Mapping[str, VersionRecord],
        *,
        generation: int,
        pinned: bool,
        gates: Sequence[Gate],
        forced: bool,
        why: str,
        evidence: Mapping[str, Any],
    ) -> Release:
        """Make the next release of these versions (by component) and let it answer from now on."""
        with self._database.connect() as connection:
            previous = _in_force(connection)
            row = connection.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM releases").fetchone()
            number, now = int(row[0]), utc_now()
            kept = [{**gate.to_json(), "flipped": [one.item for one in gate.flipped]} for gate in gates]
            connection.execute(
                "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, now, previous, generation, pinned, forced, self._registry.who, why, json.dumps(kept)),
            )
            for component, record in versions.items():
                connection.execute(
                    "INSERT INTO release_versions VALUES (?, ?, ?, ?)",
                    (number, component, record.candidate, record.version),
                )
            connection.execute("INSERT INTO production (release, moved) VALUES (?, ?)", (number, now))
            told = {
                "release": number,
                "previous": previous,
                "versions": [record.name for record in versions.values()],
                "artefacts": {record.name: record.artefact for record in versions.values()},
                "generation": generation,
                "pinned": pinned,
                "forced": forced,
                "gates": kept,
                **evidence,
            }
            self._registry.note(connection, "release.made", why, told)
            return _release(connection, number)

    def roll_back(self, to: int | None = None, why: str = "") -> tuple[Release, Release]:
        """Let an earlier release answer again: the one before that in force, or release `to`. Returns (now, before).

        Nothing is fitted, built or loaded: one pointer moves.

        Raises:
            UserError: nothing was released, there is none before, or `to` is in force already.
            NotFoundError: there is no release `to`.
        """
        with self._database.connect() as connection:
            number = _in_force(connection)
            if number is None:
                raise UserError(
                    "nothing was released yet, so there is nothing to go back to.",
                    remedy="Make the first release with `steelyard release`.",
                    code="registry.no_release",
                )
            before = _release(connection, number)
            target = before.previous if to is None else to
            if target is None:
                raise UserError(
                    f"release {number} is the first: there is none before it.",
                    remedy="Name a release with --to, or make one.",
                    code="registry.first_release",
                )
            found = _release(connection, target)
            if target == number:
                raise UserError(
                    f"release {number} is in force already.",
                    remedy="Name another with --to.",
                    code="registry.in_force",
                )
            connection.execute("INSERT INTO production (release, moved) VALUES (?, ?)", (target, utc_now()))
            self._registry.note(connection, "release.rolled_back", why, {"release": target, "from": number})
        return found, before


def check_alias(name: str) -> None:
    """Nothing, when a user may give an alias this name.

    Raises:
        UserError: a command moves it, or it could be taken for something else.
    """
    if name in RESERVED or not name.replace("-", "").replace("_", "").isalnum() or name.isdigit():
        own = f"'{name}' is moved by Steelyard itself" if name in RESERVED else f"{name!r} is no name for an alias"
        raise UserError(
            f"{own}.",
            remedy="Choose a name of letters, digits, '-' and '_', such as 'candidate-for-march'.",
            code="registry.bad_alias",
        )


def _in_force(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT release FROM production ORDER BY id DESC LIMIT 1").fetchone()
    return int(row[0]) if row else None


def _release(connection: sqlite3.Connection, number: int) -> Release:
    row = connection.execute("SELECT * FROM releases WHERE number = ?", (number,)).fetchone()
    if row is None:
        last = connection.execute("SELECT MAX(number) FROM releases").fetchone()[0]
        held = f"There are releases 1 to {last}." if last else "Nothing was released yet: run `steelyard release`."
        raise NotFoundError(f"there is no release {number}.", remedy=held, code="registry.unknown_release")
    held_rows = connection.execute(
        "SELECT component, candidate, version FROM release_versions WHERE release = ? ORDER BY rowid", (number,)
    )
    return Release(
        number=number,
        created=row["created"],
        previous=row["previous"],
        generation=int(row["generation"]),
        pinned=bool(row["pinned"]),
        forced=bool(row["forced"]),
        who=row["who"],
        why=row["why"],
        versions={one["component"]: (one["candidate"], int(one["version"])) for one in held_rows},
        gates=tuple(json.loads(row["gates"])),
    )
