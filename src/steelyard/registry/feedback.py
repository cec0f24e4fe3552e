"""What people said of answers, and what a reviewer made of it: kept for good, because nobody can say it again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from steelyard.registry.side_file import SideFile
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.feedback import Feedback, FeedbackState, Verdict

SCHEMA = """
CREATE TABLE IF NOT EXISTS feedback (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, request TEXT NOT NULL, component TEXT, versions TEXT NOT NULL,
    verdict TEXT NOT NULL, label TEXT, answer TEXT, comment TEXT, question TEXT, caller TEXT NOT NULL, state TEXT NOT NULL,
    reviewed TEXT, reviewer TEXT, row TEXT
) STRICT
"""
BY_REQUEST = "CREATE INDEX IF NOT EXISTS feedback_by_request ON feedback (request)"

FILE = SideFile(
    schema=(SCHEMA, BY_REQUEST),
    called="the feedback",
    remedy="Restore the file from a backup: feedback cannot be rebuilt.",
    code="feedback.damaged",
    durable=True,
)


class FeedbackLog:
    """Feedback in a SQLite file of its own with full synchronisation; safe for several processes. It cannot be rebuilt: back it up."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, one: Feedback) -> Feedback:
        """Keep one piece of feedback; returns it with its number.

        What the same caller said before of the same request and component is replaced, unless it was reviewed.

        Raises:
            StoreError: the file is locked or damaged.
        """
        values = {**one.__dict__, "versions": json.dumps(list(one.versions))}
        values.pop("number")
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        with self._open() as connection:
            connection.execute(
                "DELETE FROM feedback WHERE request = ? AND caller = ? AND component IS ? AND state = 'new'",
                (one.request, one.caller, one.component),
            )
            made = connection.execute(f"INSERT INTO feedback ({names}) VALUES ({marks})", values)
            return Feedback(**{**one.__dict__, "number": made.lastrowid})

    def get(self, number: int) -> Feedback:
        """One piece of feedback.

        Raises:
            NotFoundError: there is none of this number.
        """
        with self._open() as connection:
            row = connection.execute("SELECT * FROM feedback WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise NotFoundError(
                f"there is no feedback {number}.",
                remedy="`steelyard feedback list` names what there is.",
                code="feedback.unknown",
            )
        return _feedback(row)

    def all(self, state: FeedbackState | None = None) -> list[Feedback]:
        """All feedback (in one state), oldest first; none where nothing was ever given."""
        if not self.path.is_file():
            return []
        with self._open() as connection:
            rows = connection.execute(
                "SELECT * FROM feedback WHERE ?1 IS NULL OR state = ?1 ORDER BY number", (state,)
            ).fetchall()
        return [_feedback(row) for row in rows]

    def all_since(self, since: str) -> list[Feedback]:
        """The feedback given since a time (ISO 8601, UTC), oldest first."""
        if not self.path.is_file():
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM feedback WHERE at >= ? ORDER BY number", (since,)).fetchall()
        return [_feedback(row) for row in rows]

    def verdicts(self, since: str) -> list[tuple[str, str | None, Verdict]]:
        """(request, component, verdict) of feedback given since a time (ISO 8601, UTC), oldest first."""
        if not self.path.is_file():
            return []
        with self._open() as connection:
            query = "SELECT request, component, verdict FROM feedback WHERE at >= ? ORDER BY number"
            return [(row[0], row[1], row[2]) for row in connection.execute(query, (since,))]

    def settle(
        self, number: int, state: FeedbackState, *, at: str, reviewer: str, row: dict[str, Any] | None = None
    ) -> Feedback:
        """Accept or reject one piece of feedback; `row` is what it became in the labelled data.

        Raises:
            NotFoundError: there is none of this number.
            UserError: it was reviewed already.
        """
        held = self.get(number)
        if held.state != "new":
            raise UserError(
                f"feedback {number} was {held.state} already, by {held.reviewer}.",
                remedy="Correct the row in the examples file where it should be otherwise.",
                code="feedback.settled",
            )
        with self._open() as connection:
            connection.execute(
                "UPDATE feedback SET state = ?, reviewed = ?, reviewer = ?, row = ? WHERE number = ?",
                (state, at, reviewer, None if row is None else json.dumps(row, ensure_ascii=False), number),
            )
        return self.get(number)

    def forget(self, quotes: Callable[[str], bool]) -> int:
        """Empty every text of people for which `quotes` is true; the verdicts stay. How many pieces of feedback held one.

        Raises:
            StoreError: the file is locked or damaged.
        """
        return FILE.blank(self.path, "feedback", ("answer", "comment", "question", "row"), quotes)

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return FILE.open(self.path)


def _feedback(row: sqlite3.Row) -> Feedback:
    return Feedback(**{**dict(row), "versions": tuple(json.loads(row["versions"]))})
