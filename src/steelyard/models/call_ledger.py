"""Every call to a generator, metered once, and its answer by content: one SQLite file beside the workspace's other state."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from steelyard.schema.errors import StoreError
from steelyard.schema.generation import Completion, TokenUse

Outcome = Literal["answered", "failed", "cut"]

WAIT_S = 30.0
"""How long a writer waits for another process."""

REFRESH_S = 1.0
"""How long what other processes keep and spend may go unnoticed; what this one does counts at once."""

BURST_S, GATHER_S = 0.01, 0.001
"""A write so soon after another is of calls that end together: it waits a moment for more of them, as fifty transactions take longer."""

READ_ROWS = 500  # host parameters of one SQL statement; SQLite's old limit is 999
WRITE_ROWS = 64  # rows of one statement: 13 parameters each

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, generator TEXT NOT NULL, model TEXT NOT NULL, purpose TEXT NOT NULL,
    characters INTEGER NOT NULL, input INTEGER NOT NULL, cached INTEGER NOT NULL, output INTEGER NOT NULL,
    seconds REAL NOT NULL, usd REAL NOT NULL, outcome TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS months (
    month TEXT PRIMARY KEY, calls INTEGER NOT NULL, usd REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL, model TEXT NOT NULL, notes TEXT NOT NULL,
    input INTEGER NOT NULL, cached INTEGER NOT NULL, output INTEGER NOT NULL, seconds REAL NOT NULL, usd REAL NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS calls_stay BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'calls are only added'); END;
CREATE TRIGGER IF NOT EXISTS calls_hold BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'calls are only added'); END;
"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One paid call: what it was for, what it used, what it cost. `characters` is the length of its prompt."""

    key: bytes
    generator: str
    model: str
    purpose: str
    characters: int
    use: TokenUse
    seconds: float
    usd: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What calls took together; `characters` is the length of their prompts."""

    calls: int
    use: TokenUse
    seconds: float
    usd: float
    characters: int = 0

    def to_json(self) -> dict[str, Any]:
        """The sums as JSON."""
        tokens = {"input": self.use.input, "cached": self.use.cached, "output": self.use.output}
        return {"calls": self.calls, **tokens, "seconds": self.seconds, "usd": self.usd}


class _Entry:
    """A call on its way into the file; `settled` once it is there, or cannot come there."""

    def __init__(self, call: Call, answer: Completion | None) -> None:
        self.call, self.answer = call, answer
        self.settled = threading.Event()
        self.error: BaseException | None = None

    def values(self) -> tuple[Any, ...]:
        one = self.call
        named = (one.key, one.generator, one.model, one.purpose, one.characters)
        return (*named, *_counts(one.use), one.seconds, one.usd, one.outcome)

    def kept(self) -> tuple[Any, ...] | None:
        if (answer := self.answer) is None:
            return None
        said = (self.call.key, answer.text, answer.finish, answer.model, json.dumps(answer.notes))
        return (*said, *_counts(self.call.use), self.call.seconds, self.call.usd)


class CallLedger:
    """Calls and kept answers of one workspace. Safe for several threads and processes; calls are only ever added.

    An answer is written with its call in one transaction, as soon as it is there: a process that is killed loses what was in flight.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock, self._writing, self._looking = threading.Lock(), threading.Lock(), threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[_Entry] = deque()
        self._wrote = float("-inf")
        # What was last seen in the file: keys of answers, and the month with its money; `_version` counts what others wrote.
        self._seen: set[bytes] = set()
        self._last_row, self._spent, self._fresh_until, self._version = 0, ("", 0.0), 0.0, -1

    def kept(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """The answers kept under `keys`, as they were when they were made, marked as reused."""
        found: dict[bytes, Completion] = {}
        self._look()
        # A key that is in no answer needs no look into the file, where other callers wait for each other.
        keys = [key for key in keys if key in self._seen]
        if not keys:
            return found
        with self._open() as database:
            for start in range(0, len(keys), READ_ROWS):
                part = keys[start : start + READ_ROWS]
                marks = ",".join("?" * len(part))
                rows = database.execute(f"SELECT * FROM answers WHERE key IN ({marks})", part).fetchall()
                found.update((row["key"], _completion(row)) for row in rows)
        return found

    def month_usd_lately(self) -> float:
        """As `month_usd` of this month; what other processes spent in the last REFRESH_S may be missing."""
        self._look()
        month, usd = self._spent
        return usd if month == _month(datetime.now(UTC)) else 0.0

    def _look(self) -> None:
        """Take note of the keys and the month's money in the file, where that was not done lately.

        One caller looks, the others go on with what was seen before: fifty that begin together would else wait for each other.
        """
        month = _month(datetime.now(UTC))
        known = self._spent[0] == month
        if (known and monotonic() < self._fresh_until) or not self._looking.acquire(blocking=not known):
            return
        try:
            if self._spent[0] == month and monotonic() < self._fresh_until:
                return  # another thread did while this one waited
            if self.path.is_file():
                with self._open() as database:
                    self._read_news(database, month)
        finally:
            self._looking.release()

    def _read_news(self, database: sqlite3.Connection, month: str) -> None:
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or self._spent[0] != month:
            top = database.execute("SELECT coalesce(max(rowid), 0) FROM answers").fetchone()[0]
            after = self._last_row if top >= self._last_row else 0
            rows = database.execute("SELECT key FROM answers WHERE rowid > ? AND rowid <= ?", (after, top))
            self._seen.update(row["key"] for row in rows)
            found = database.execute("SELECT usd FROM months WHERE month = ?", (month,)).fetchone()
            self._last_row, self._spent = top, (month, 0.0 if found is None else float(found["usd"]))
            self._version = version
        self._fresh_until = monotonic() + REFRESH_S

    def add(self, call: Call, answer: Completion | None) -> None:
        """Enter a call, and keep its answer where it has one; both are in the file when this returns.

        Calls that end together share a transaction: one of them writes for all that have queued up until then.
        """
        entry = _Entry(call, answer)
        self._waiting.append(entry)
        # Looked at again after each round: what was queued while one wrote was left to that one.
        while self._waiting and self._writing.acquire(blocking=False):
            try:
                if monotonic() - self._wrote < BURST_S:
                    sleep(GATHER_S)
                self._write([self._waiting.popleft() for _ in range(len(self._waiting))])
                self._wrote = monotonic()
            finally:
                self._writing.release()
        entry.settled.wait()
        if entry.error is not None:
            raise entry.error

    def _write(self, entries: Sequence[_Entry]) -> None:
        """Enter them all or none; whoever waits for one is told."""
        try:
            with self._open() as database:
                self._insert(database, entries)
        except BaseException as error:
            for one in entries:
                one.error = error
            if not isinstance(error, StoreError):
                raise
        finally:
            for one in entries:
                one.settled.set()

    def _insert(self, database: sqlite3.Connection, entries: Sequence[_Entry]) -> None:
        now = datetime.now(UTC)
        created = now.isoformat(timespec="milliseconds")
        kept = [row for one in entries if (row := one.kept()) is not None]
        with database:
            database.execute("BEGIN IMMEDIATE")
            columns = (
                "key, generator, model, purpose, characters, input, cached, output, seconds, usd, outcome, created"
            )
            _insert_rows(database, f"INSERT INTO calls ({columns})", [(*one.values(), created) for one in entries])
            database.execute(
                "INSERT INTO months VALUES (?, ?, ?) ON CONFLICT (month) DO UPDATE SET"
                " calls = calls + excluded.calls, usd = usd + excluded.usd",
                (_month(now), len(entries), sum(one.call.usd for one in entries)),
            )
            # The last of equal keys stays, as it would one by one.
            _insert_rows(database, "INSERT OR REPLACE INTO answers", kept)
        self._note(entries, _month(now))

    def _note(self, entries: Sequence[_Entry], month: str) -> None:
        self._seen.update(one.call.key for one in entries if one.answer is not None)
        if self._spent[0] == month:  # else the next look reads it from the file
            self._spent = (month, self._spent[1] + sum(one.call.usd for one in entries))

    def month_usd(self, moment: datetime | None = None) -> float:
        """USD that the calls of a calendar month (UTC; this one by default) cost."""
        if not self.path.is_file():
            return 0.0
        with self._open() as database:
            row = database.execute(
                "SELECT usd FROM months WHERE month = ?", (_month(moment or datetime.now(UTC)),)
            ).fetchone()
        return 0.0 if row is None else float(row["usd"])

    def spent(self, purpose: str | None = None) -> Spent:
        """What all calls took together, or those of one purpose."""
        if not self.path.is_file():
            return Spent(calls=0, use=TokenUse(), seconds=0.0, usd=0.0)
        with self._open() as database:
            row = database.execute(
                "SELECT count(*) calls, total(input) input, total(cached) cached, total(output) output, total(seconds) seconds,"
                " total(usd) usd, total(characters) characters FROM calls WHERE ?1 IS NULL OR purpose = ?1",
                (purpose,),
            ).fetchone()
        use = TokenUse(input=int(row["input"]), cached=int(row["cached"]), output=int(row["output"]))
        return Spent(
            calls=row["calls"], use=use, seconds=row["seconds"], usd=row["usd"], characters=int(row["characters"])
        )

    def by_purpose(self) -> dict[str, Spent]:
        """What the calls of each purpose took, the dearest first."""
        if not self.path.is_file():
            return {}
        with self._open() as database:
            rows = database.execute(
                "SELECT purpose FROM calls GROUP BY purpose ORDER BY total(usd) DESC, purpose"
            ).fetchall()
        return {row["purpose"]: self.spent(row["purpose"]) for row in rows}

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a SELECT over `calls` finds; [] where no call was made yet."""
        if not self.path.is_file():
            return []
        with self._open() as database:
            return database.execute(query, values).fetchall()

    def tokens_per_character(self, generator: str, least: int) -> float | None:
        """Prompt tokens a character over the answered calls of a generator; None with fewer than `least` of them."""
        found = self.rows(
            "SELECT count(*) calls, total(input + cached) tokens, total(characters) characters FROM calls"
            " WHERE generator = ? AND outcome = 'answered'",
            (generator,),
        )
        enough = found and found[0]["calls"] >= least and found[0]["characters"] > 0
        return found[0]["tokens"] / found[0]["characters"] if enough else None

    def forget_answers(self) -> int:
        """Drop all kept answers, e.g. because they may quote an erased document; the calls and their money stay. Returns how many."""
        if not self.path.is_file():
            return 0
        with self._open() as database:
            count = database.execute("DELETE FROM answers").rowcount
            _leave_no_trace(database)
        return int(count)

    def give_up_answers(
        self, days: float, most_bytes: int, *, now: datetime | None = None, dry_run: bool = False
    ) -> int:
        """Drop the answers that were paid more than `days` ago, and the oldest until `most_bytes` of text are left. Returns how many.

        The calls and their money stay. An answer that was asked for again counts from then, where it had to be paid again.
        """
        if not self.path.is_file():
            return 0
        since = ((now or datetime.now(UTC)) - timedelta(days=days)).isoformat(timespec="milliseconds")
        # An answer is written anew whenever it is paid, so row numbers ascend with time.
        doomed = (
            "WITH late AS MATERIALIZED (SELECT DISTINCT key FROM calls WHERE created >= ?1)"
            " SELECT key FROM (SELECT key, sum(length(CAST(text AS BLOB))) OVER (ORDER BY rowid DESC) size FROM answers)"
            " WHERE size > ?2 UNION SELECT key FROM answers WHERE NOT EXISTS"
            " (SELECT 1 FROM late WHERE late.key = answers.key)"
        )
        with self._open() as database:
            if dry_run:
                return int(database.execute(f"SELECT count(*) FROM ({doomed})", (since, most_bytes)).fetchone()[0])
            count = database.execute(f"DELETE FROM answers WHERE key IN ({doomed})", (since, most_bytes)).rowcount
            if count:
                _leave_no_trace(database)
        return int(count)

    def kept_answers(self) -> tuple[int, int]:
        """How many answers are kept, and the bytes of their texts."""
        if not self.path.is_file():
            return 0, 0
        with self._open() as database:
            query = "SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM answers"
            count, size = database.execute(query).fetchone()
        return int(count), int(size)

    def close(self) -> None:
        """Close the file, if it was opened."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone while the block runs.

        Raises:
            StoreError: the file is damaged, or another process keeps it locked.
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except sqlite3.DatabaseError as error:
                busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
                raise StoreError(
                    f"the ledger of generator calls is {'locked by another process' if busy else 'damaged'}: {error}.",
                    where=str(self.path),
                    remedy="Wait until it has ended and run the command again."
                    if busy
                    else "Restore it from a backup.",
                    code="generator.ledger_locked" if busy else "generator.ledger_damaged",
                ) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing; a machine that loses power may lose the last entries, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
        return connection


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        text=row["text"],
        use=TokenUse(input=row["input"], cached=row["cached"], output=row["output"]),
        seconds=row["seconds"],
        usd=row["usd"],
        model=row["model"],
        finish=row["finish"],
        reused=True,
        notes=tuple(json.loads(row["notes"])),
    )


def _leave_no_trace(database: sqlite3.Connection) -> None:
    """What was deleted must not stay in free pages or in the journal."""
    database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert_rows(database: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Many rows to a statement: each statement lets other threads run, and waits until they let this one."""
    for start in range(0, len(rows), WRITE_ROWS):
        part = rows[start : start + WRITE_ROWS]
        marks = ",".join([f"({','.join('?' * len(part[0]))})"] * len(part))
        database.execute(f"{into} VALUES {marks}", [value for row in part for value in row])


def _counts(use: TokenUse) -> tuple[int, int, int]:
    return use.input, use.cached, use.output


def _month(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m")
