"""The jobs of hosted fine-tuning that a workspace started: kept across crashes, and never two for the same data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from steelyard.schema.tuning import TuningJob

WAIT_S = 120.0
"""How long one process waits while another starts a job: an upload takes its time."""


class TuningJobs:
    """One SQLite file. Jobs cost money, so it cannot be rebuilt; a lost one is found again at the provider by its key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[TuningJob]:
        """Every job, oldest first."""
        if not self.path.is_file():
            return []
        with self._open() as database:
            rows = database.execute("SELECT record FROM jobs ORDER BY rowid").fetchall()
        return [TuningJob(**json.loads(row[0])) for row in rows]

    def get(self, key: str) -> TuningJob | None:
        """The job of that key, None without."""
        return next((one for one in self.all() if one.key == key), None)

    def keep(self, job: TuningJob) -> TuningJob:
        """Enter a job, or what became of it."""
        with self._open() as database, database:
            _keep(database, job)
        return job

    @contextmanager
    def starting(self) -> Iterator[None]:
        """A block that only one process is in at a time: looking for a job and starting it must not be parted.

        The lock ends with the process, however it ends.
        """
        beside = self.path.with_name(self.path.name + ".starting")
        beside.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(beside, timeout=WAIT_S, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            yield
            lock.execute("ROLLBACK")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute("CREATE TABLE IF NOT EXISTS jobs (key TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT")
            yield database


def _keep(database: sqlite3.Connection, job: TuningJob) -> None:
    database.execute(
        "INSERT INTO jobs VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET record = excluded.record",
        (job.key, json.dumps(job.to_json(), ensure_ascii=False)),
    )
