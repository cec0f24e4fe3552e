"""Canaries and shadows: which runs, what was seen of it so far, and how it ended."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from time import time
from typing import Any

from steelyard.registry.side_file import SideFile
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.trials import Trial, TrialKind, TrialState

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS trials (
        number INTEGER PRIMARY KEY, kind TEXT NOT NULL, versions TEXT NOT NULL, share REAL NOT NULL, split_by TEXT NOT NULL,
        release INTEGER, began REAL NOT NULL, state TEXT NOT NULL, ended REAL, who TEXT NOT NULL, why TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '', upto REAL NOT NULL, progress TEXT NOT NULL DEFAULT '{}'
    ) STRICT
    """,
    """
    CREATE TABLE IF NOT EXISTS compared (
        trial INTEGER NOT NULL, component TEXT NOT NULL, compared INTEGER NOT NULL, agreed INTEGER NOT NULL,
        only_production INTEGER NOT NULL, only_shadow INTEGER NOT NULL, failed INTEGER NOT NULL, PRIMARY KEY (trial, component)
    ) STRICT
    """,
    "CREATE TABLE IF NOT EXISTS differing (trial INTEGER NOT NULL, request TEXT NOT NULL, component TEXT NOT NULL) STRICT",
)

COUNTS = ("compared", "agreed", "only_production", "only_shadow", "failed")

KEPT_DIFFERING = 200
"""Requests on which a shadow differs that are named: enough to look through."""

FILE = SideFile(
    schema=SCHEMA,
    called="the record of trials",
    remedy="Move the file away: trials are forgotten, and production answers everybody.",
    code="trials.damaged",
)


class Trials:
    """Trials in a SQLite file of their own, so that a process sees cheaply when one begins or ends; safe for several processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(
        self,
        kind: TrialKind,
        versions: Mapping[str, tuple[str, int]],
        *,
        share: float,
        split_by: str,
        release: int | None,
        who: str,
        why: str,
    ) -> Trial:
        """Begin a trial.

        Raises:
            UserError: one of its kind runs already.
        """
        with self._open() as connection:
            row = connection.execute("SELECT * FROM trials WHERE kind = ? AND state = 'running'", (kind,)).fetchone()
            if row is not None:
                raise UserError(
                    f"{kind} {row['number']} runs already.",
                    remedy=f"End it with `steelyard {kind} stop` first.",
                    code="trials.running",
                )
            now = time()
            made = connection.execute(
                "INSERT INTO trials (kind, versions, share, split_by, release, began, state, who, why, upto) "
                "VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)",
                (kind, json.dumps(dict(versions)), share, split_by, release, now, who, why, now),
            )
            return _trial(connection.execute("SELECT * FROM trials WHERE number = ?", (made.lastrowid,)).fetchone())

    def running(self, kind: TrialKind) -> Trial | None:
        """The trial of a kind that runs now."""
        return self._one("SELECT * FROM trials WHERE kind = ? AND state = 'running'", (kind,))

    def latest(self, kind: TrialKind) -> Trial:
        """The newest trial of a kind, running or not.

        Raises:
            NotFoundError: there was none.
        """
        found = self.newest(kind)
        if found is None:
            raise NotFoundError(
                f"there was no {kind} yet.",
                remedy=f"Begin one with `steelyard {kind} start COMPONENT/CANDIDATE@VERSION`.",
                code="trials.none",
            )
        return found

    def newest(self, kind: TrialKind) -> Trial | None:
        """As `latest`; None where there was none."""
        return self._one("SELECT * FROM trials WHERE kind = ? ORDER BY number DESC LIMIT 1", (kind,))

    def end(self, number: int, state: TrialState, reason: str) -> bool:
        """End a trial; whether it was running until now."""
        with self._open() as connection:
            done = connection.execute(
                "UPDATE trials SET state = ?, ended = ?, reason = ? WHERE number = ? AND state = 'running'",
                (state, time(), reason, number),
            )
            return done.rowcount == 1

    def reason(self, number: int) -> str:
        """Why a trial ended; "" while it runs."""
        with self._open() as connection:
            return str(connection.execute("SELECT reason FROM trials WHERE number = ?", (number,)).fetchone()[0])

    def progress(self, number: int) -> tuple[float, dict[str, Any]]:
        """Up to when (UTC seconds) a trial was judged, and the state of its test; an empty one at the beginning."""
        with self._open() as connection:
            row = connection.execute("SELECT upto, progress FROM trials WHERE number = ?", (number,)).fetchone()
            return float(row["upto"]), json.loads(row["progress"])

    def advance(self, number: int, before: float, upto: float, progress: Mapping[str, Any]) -> bool:
        """Keep what was judged, when nobody else has judged the same blocks meanwhile; whether it was kept."""
        with self._open() as connection:
            done = connection.execute(
                "UPDATE trials SET upto = ?, progress = ? WHERE number = ? AND upto = ? AND state = 'running'",
                (upto, json.dumps(progress), number, before),
            )
            return done.rowcount == 1

    def compare(self, number: int, request: str, outcomes: Mapping[str, str]) -> None:
        """Count one request that a shadow was asked as well; `outcomes` is, by component, one of COUNTS (but the first)."""
        with self._open() as connection:
            for component, outcome in outcomes.items():
                marks = [1, *(int(name == outcome) for name in COUNTS[1:])]
                added = ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTS)
                connection.execute(
                    f"INSERT INTO compared (trial, component, {', '.join(COUNTS)}) VALUES (?, ?, ?, ?, ?, ?, ?) "
                    f"ON CONFLICT DO UPDATE SET {added}",
                    (number, component, *marks),
                )
                if outcome != "agreed":
                    connection.execute(
                        "INSERT INTO differing SELECT ?1, ?2, ?3 WHERE (SELECT COUNT(*) FROM differing WHERE trial = ?1) < ?4",
                        (number, request, component, KEPT_DIFFERING),
                    )

    def compared(self, number: int) -> dict[str, dict[str, int]]:
        """The counts of a shadow, by component."""
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM compared WHERE trial = ? ORDER BY component", (number,)).fetchall()
        return {row["component"]: {name: int(row[name]) for name in COUNTS} for row in rows}

    def differing(self, number: int, last: int) -> list[str]:
        """The ids of some requests on which a shadow said something else, newest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT request FROM differing WHERE trial = ? GROUP BY request ORDER BY MAX(rowid) DESC LIMIT ?",
                (number, last),
            )
            return [str(row[0]) for row in rows]

    def _one(self, query: str, values: tuple[Any, ...]) -> Trial | None:
        if not self.path.is_file():
            return None
        with self._open() as connection:
            row = connection.execute(query, values).fetchone()
        return None if row is None else _trial(row)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return FILE.open(self.path)


def _trial(row: sqlite3.Row) -> Trial:
    versions = {name: (candidate, int(version)) for name, (candidate, version) in json.loads(row["versions"]).items()}
    names = ("number", "kind", "share", "split_by", "release", "began", "state", "ended", "who", "why")
    return Trial(versions=versions, **{name: row[name] for name in names})
