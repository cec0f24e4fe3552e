"""The audit of answers: a hash chain in a file of its own, written by many threads and processes, many records a commit."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Any

from steelyard.registry.chain import Chain, Draft, Entry, Verified, entry_of
from steelyard.registry.database import WAIT_S, Database
from steelyard.registry.versions import utc_now, whoami
from steelyard.schema.audit import AnswerRecord
from steelyard.schema.errors import NotFoundError, StoreError, UserError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without it: SQLite's own lock is waited for, less evenly
    fcntl = None

ANSWERS = Chain("answers")
"""One record per answer, and one per cut."""

ANSWERED = "answer.given"
"""The kind of a record of an answer."""

MIGRATIONS: tuple[str, ...] = (
    f"""
    {ANSWERS.sql()}
    CREATE INDEX answers_by_trace ON answers (json_extract(evidence, '$.trace_id'));
    """,
)

BATCH = 512
"""Records in one commit at the most."""

GATHER_S, BUSY_S = 0.004, 0.02
"""How long a record waits for others to share its way to the disk, where the last went there less than BUSY_S ago: a commit of one takes
0.57 ms of the processor, one of four 0.15 ms a record. Who asks alone waits for nothing."""

SHORTEST_ID = 6
"""Characters of a trace id that are enough to ask for an answer, where no other begins with them."""

_SELECT = "SELECT number, at, who, what, why, evidence, previous, hash FROM answers"


class AnswersAudit:
    """The chain of answers of one workspace. `note` returns when the record survives a power cut, and not before.

    A thread a process takes whatever waits and writes it as one transaction (WAL, full synchronisation): under load the cost of
    reaching the disk is shared. Processes take turns; one file holds one chain in one order.
    """

    def __init__(self, path: Path, who: str | None = None) -> None:
        self.path = path
        self.who = whoami() if who is None else who
        self._database = Database(path, MIGRATIONS)
        self._waiting: queue.SimpleQueue[tuple[AnswerRecord, Future[None]] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def note(self, record: AnswerRecord) -> None:
        """Keep one record; when this returns it is on the disk. For many threads.

        Raises:
            StoreError: it could not be written, so the answer must not be given.
        """
        self.submit(record).result()

    def note_alone(self, record: AnswerRecord) -> None:
        """`note` for who keeps one record and ends: no thread, a transaction of its own.

        Raises:
            StoreError: it could not be written.
        """
        draft = Draft(at=record.at, who=record.key_id, what=ANSWERED, why="", evidence=record.to_json())
        try:
            with self._writing() as connection:
                ANSWERS.extend(connection, [draft])
        except (sqlite3.DatabaseError, OSError) as error:
            raise _not_kept(str(error), error) from error

    def submit(self, record: AnswerRecord) -> Future[None]:
        """Queue one record; the future ends when it is on the disk, or with the error. `asyncio.wrap_future` awaits it."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # who waits may give up; the record is kept all the same
        with self._guard:
            if self._closed:
                raise _not_kept("the audit is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
                self._thread.start()
        self._waiting.put((record, done))
        return done

    def close(self) -> None:
        """Write what waits, then stop. Notes that come later fail."""
        with self._guard:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def get(self, trace: str) -> tuple[Entry, AnswerRecord]:
        """The record of an answer, by its trace id or a beginning of it that no other has.

        Raises:
            NotFoundError: there is none, or several begin so.
        """
        rows: list[Any] = []
        if len(trace) >= SHORTEST_ID:
            key = "json_extract(evidence, '$.trace_id')"
            with self._reading() as connection:
                # Ids are hexadecimal, so a range holds exactly those that begin with the text.
                query = f"{_SELECT} WHERE {key} >= ? AND {key} < ? ORDER BY {key} LIMIT 2"
                rows = connection.execute(query, (trace, trace + "g")).fetchall() if connection else []
        if len(rows) != 1:
            why = "several answers begin with" if rows else "there is no record of an answer"
            raise NotFoundError(
                f"{why} '{trace}'.",
                remedy="Give the whole `trace_id` of the answer; what retention cut away is in its archive.",
                code="audit.unknown_answer",
            )
        entry = entry_of(rows[0])
        return entry, AnswerRecord.from_json(entry.evidence)

    def newest(self, count: int, *, key_id: str | None = None) -> list[Entry]:
        """The newest records, newest first; of one caller, or all."""
        with self._reading() as connection:
            if connection is None:
                return []
            query = f"{_SELECT} WHERE ? IS NULL OR who = ? ORDER BY number DESC LIMIT ?"
            return [entry_of(row) for row in connection.execute(query, (key_id, key_id, count))]

    def count(self) -> int:
        """How many records there are, those of cuts included."""
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0]) if connection else 0

    def verify(self, expected: str | None = None) -> Verified:
        """Check every record; `expected` is a hash kept elsewhere that some record must carry. Writers go on meanwhile."""
        with self._reading() as connection:
            return (
                Verified(entries=0, head="0" * 64, broken=())
                if connection is None
                else ANSWERS.verify(connection, expected)
            )

    def lines(self) -> Iterator[str]:
        """The chain as JSON Lines, oldest first."""
        with self._reading() as connection:
            if connection is not None:
                yield from ANSWERS.lines(connection)

    def before(self, moment: str) -> int:
        """The number of the last record of those, from the first on without a gap, that are older than `moment`; 0 for none.

        The newest record is never among them: what says where the chain stands is kept.
        """
        with self._reading() as connection:
            if connection is None:
                return 0
            query = "SELECT min(number) FROM answers WHERE at >= ?"
            (younger,) = connection.execute(query, (moment,)).fetchone()
            first, last = connection.execute("SELECT min(number), max(number) FROM answers").fetchone()
        end = min(last or 0, younger or last or 0) - 1
        return end if first is not None and end >= first else 0

    def records_through(self, number: int) -> int:
        """How many records there are up to this number."""
        with self._reading() as connection:
            query = "SELECT count(*) FROM answers WHERE number <= ?"
            return int(connection.execute(query, (number,)).fetchone()[0]) if connection else 0

    def cut(self, through: int, *, why: str, archive: Path | None) -> Entry:
        """Delete the records up to number `through`, sealed by a record that names the hash of the last of them.

        They are written to `archive` first, when one is given, and it is on the disk before anything is deleted.

        Raises:
            UserError: there is no such record, or the archive exists.
            StoreError: the chain is broken: what is not proven must not be cut.
        """
        found = self.verify()
        if not found.whole:
            raise StoreError(
                f"the chain is not whole: {found.broken[0]}.",
                where=self.path.name,
                remedy="Find out what happened first; nothing was cut.",
                code="audit.broken",
            )
        with self._writing() as connection:
            told: dict[str, Any] = {}
            if archive is not None:
                told["archive"] = archive.name
                _archive(connection, through, archive)
            try:
                return ANSWERS.cut(connection, through=through, at=utc_now(), who=self.who, why=why, evidence=told)
            except ValueError as error:
                raise UserError(f"{error}.", code="audit.nothing_to_cut") from error

    def _write_all(self) -> None:
        """The writer thread: everything that waits becomes one commit."""
        try:
            self._write_batches()
        finally:
            self._drop_connection()

    def _write_batches(self) -> None:
        written = 0.0
        while True:
            first = self._waiting.get()
            if first is None:
                return
            if monotonic() - written < BUSY_S:
                sleep(GATHER_S)
            batch, ends = [first], False
            while len(batch) < BATCH and not ends:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ends = True
                else:
                    batch.append(more)
            self._write(batch)
            written = monotonic()
            if ends:
                return

    def _write(self, batch: Sequence[tuple[AnswerRecord, Future[None]]]) -> None:
        drafts = [Draft(at=one.at, who=one.key_id, what=ANSWERED, why="", evidence=one.to_json()) for one, _ in batch]
        try:
            with self._turn():
                connection = self._kept_connection()
                connection.execute("BEGIN IMMEDIATE")
                ANSWERS.extend(connection, drafts)
                connection.execute("COMMIT")
        except Exception as error:
            self._drop_connection()  # which undoes what was begun; the next batch opens another
            for _, done in batch:
                done.set_exception(_not_kept(str(getattr(error, "message", error)), error))
        else:
            for _, done in batch:
                done.set_result(None)

    def _kept_connection(self) -> sqlite3.Connection:
        """The writer thread's connection, kept open: the last to close a file in WAL mode writes the whole log into it."""
        if self._connection is None:
            with self._database.connect():
                pass  # brought to the newest schema
            self._connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            self._connection.execute("PRAGMA synchronous = FULL")
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own, in turn with the writer threads."""
        with self._turn(), self._database.connect() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time, over all processes; the lock wakes the next at once, where SQLite would look again after a while."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "ab") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection that sees one moment of the chain; None before the first record."""
        if not self.path.is_file():
            yield None
            return
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)) as connection:
                connection.execute("BEGIN")
                yield connection
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the audit cannot be read: {error}.",
                where=self.path.name,
                remedy="Restore the file from a backup.",
                code="audit.damaged",
            ) from error


def _archive(connection: sqlite3.Connection, through: int, archive: Path) -> None:
    try:
        file = archive.open("x", encoding="utf-8")
    except FileExistsError:
        raise UserError(
            "the file exists.", where=str(archive), remedy="Name a new one.", code="audit.archive_exists"
        ) from None
    with file:
        for line in ANSWERS.lines(connection, through=through):
            file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _not_kept(why: str, cause: Exception | None = None) -> StoreError:
    made = StoreError(
        f"the record of this answer could not be kept: {why}.",
        where="audit.sqlite",
        remedy="Look at the disk and the log; without a record no answer is given.",
        code="audit.not_kept",
    )
    made.__cause__ = cause
    return made
