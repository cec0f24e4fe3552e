"""What every answer took, added up by hour and slice: the store behind the monitors, `status` and `/metrics`."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from steelyard.registry.side_file import SideFile
from steelyard.schema.watching import BUCKETS_MS, Aggregate, Noted

HOUR_S = 3600

_BUCKETS = tuple(f"b{at}" for at in range(len(BUCKETS_MS) + 1))
_KEY = ("dimension", "hour", "component", "slice", "candidate", "version", "arm")
_SUMS = (
    "requests",
    "errors",
    "abstained",
    "out_of_scope",
    "slow",
    "usd",
    "latency_ms",
    "tokens_in",
    "tokens_out",
    *_BUCKETS,
)
_NOTED = (
    "id",
    "at",
    "component",
    "candidate",
    "version",
    "release",
    "generation",
    "arm",
    "trial",
    "label",
    "probability",
    "out_of_scope",
    "abstained",
    "error",
    "latency_ms",
    "usd",
    "source",
    "key",
)
_REALS = ("usd", "latency_ms")

SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS answers (
        id TEXT NOT NULL, at REAL NOT NULL, component TEXT NOT NULL, candidate TEXT NOT NULL, version INTEGER NOT NULL,
        release INTEGER, generation INTEGER NOT NULL, arm TEXT NOT NULL, trial INTEGER, label TEXT, probability REAL,
        out_of_scope INTEGER NOT NULL, abstained INTEGER NOT NULL, error TEXT, latency_ms REAL NOT NULL, usd REAL NOT NULL,
        source TEXT, key TEXT
    ) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS answers_by_id ON answers (id)",
    "CREATE INDEX IF NOT EXISTS answers_by_trial ON answers (trial, at) WHERE trial IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS answers_by_time ON answers (at)",
    f"""
    CREATE TABLE IF NOT EXISTS hours (
        hour INTEGER NOT NULL, dimension TEXT NOT NULL, component TEXT NOT NULL, slice TEXT NOT NULL, candidate TEXT NOT NULL,
        version INTEGER NOT NULL, arm TEXT NOT NULL,
        {", ".join(f"{name} {'REAL' if name in _REALS else 'INTEGER'} NOT NULL" for name in _SUMS)},
        PRIMARY KEY ({", ".join(_KEY)})
    ) STRICT, WITHOUT ROWID
    """,
)

_ADD = (
    f"INSERT INTO hours ({', '.join((*_KEY, *_SUMS))}) VALUES ({', '.join('?' * (len(_KEY) + len(_SUMS)))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
)
_INSERT = f"INSERT INTO answers ({', '.join(_NOTED)}) VALUES ({', '.join('?' * len(_NOTED))})"

FILE = SideFile(
    schema=SCHEMA,
    called="the record of operations",
    remedy="Move the file away; a new one is begun, and no answer depends on it.",
    code="registry.operations",
)

LONGEST_SLICE = 80
"""Characters of a slice's name that are kept: a label or a group is short, and what is not would fill the store."""

PRUNED_AT_ONCE = 20_000


class Operations:
    """Calls one by one for some days, and their sums by hour, in a SQLite file of their own; safe for several processes.

    Rows and sums are written in one transaction, so they never disagree. In WAL mode with normal synchronisation: the end of a process
    loses nothing that was written, a power cut at most the last seconds. Deleting the file loses the history of the traffic, and no answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, noted: Sequence[Noted], *, limit_ms: float) -> None:
        """Keep some calls; those that took longer than `limit_ms` count as slow.

        Raises:
            StoreError: the file is locked or damaged.
        """
        if not noted:
            return
        sums: dict[tuple[Any, ...], list[float]] = {}
        for one in noted:
            values = _values(one, limit_ms)
            for dimension, name in _slices(one):
                key = (
                    dimension,
                    int(one.at) // HOUR_S,
                    one.component,
                    name,
                    one.candidate,
                    one.version,
                    one.arm,
                )
                held = sums.setdefault(key, [0.0] * len(_SUMS))
                for at, value in values:
                    held[at] += value
        rows = [(*key, *_typed(held)) for key, held in sums.items()]
        with self.connect() as connection:
            connection.executemany(_INSERT, [tuple(getattr(one, name) for name in _NOTED) for one in noted])
            connection.executemany(_ADD, rows)

    def aggregates(
        self,
        since: float,
        until: float,
        *,
        dimensions: Sequence[str] = ("all",),
        by: Sequence[str] = ("component",),
        arms: Sequence[str] = ("production", "canary"),
    ) -> list[Aggregate]:
        """Sums over the whole hours from the one of `since` up to, not including, the one of `until` (UTC seconds).

        One record per dimension, slice and combination of `by` (of component, candidate, version, arm); what is not in `by` is "" or 0.
        """
        grouped = ["dimension", "slice", *by]
        names = [*grouped, *(f"SUM({name}) AS {name}" for name in _SUMS)]
        marks = ", ".join("?" * len(dimensions))
        query = (
            f"SELECT {', '.join(names)} FROM hours WHERE hour >= ? AND hour < ? AND dimension IN ({marks}) "
            f"AND arm IN ({', '.join('?' * len(arms))}) GROUP BY {', '.join(grouped)} ORDER BY {', '.join(grouped)}"
        )
        if not self.path.is_file():
            return []
        with self.connect() as connection:
            rows = connection.execute(
                query, (int(since) // HOUR_S, -(-int(until) // HOUR_S), *dimensions, *arms)
            ).fetchall()
        return [_aggregate(row, by) for row in rows]

    def by_hour(
        self, since: float, until: float, columns: Sequence[str], *, dimension: str = "all"
    ) -> list[dict[str, Any]]:
        """Sums of some columns by hour, component and slice of the calls that callers were answered with, oldest first."""
        names = ", ".join(f"SUM({name}) AS {name}" for name in columns)
        query = (
            f"SELECT hour * {HOUR_S} AS at, component, slice, {names} FROM hours WHERE hour >= ? AND hour < ? "
            "AND dimension = ? AND arm != 'shadow' GROUP BY hour, component, slice ORDER BY hour, component, slice"
        )
        if not self.path.is_file():
            return []
        with self.connect() as connection:
            found = connection.execute(query, (int(since) // HOUR_S, -(-int(until) // HOUR_S), dimension)).fetchall()
        return [dict(row) for row in found]

    def first(self) -> float | None:
        """The begin of the first hour with calls (UTC seconds); None before any."""
        if not self.path.is_file():
            return None
        with self.connect() as connection:
            row = connection.execute("SELECT MIN(hour) FROM hours").fetchone()
        return None if row[0] is None else float(row[0] * HOUR_S)

    def trial_rows(self, trial: int, since: float, until: float) -> list[dict[str, Any]]:
        """The calls of a canary's two sides in [since, until), in time order: id, at, component, arm, latency, and what came of them."""
        query = (
            "SELECT id, at, component, arm, latency_ms, error, abstained, out_of_scope, key FROM answers "
            "WHERE trial = ? AND at >= ? AND at < ? ORDER BY at"
        )
        with self.connect() as connection:
            return [dict(row) for row in connection.execute(query, (trial, since, until))]

    def error_codes(self, since: float) -> dict[str, int]:
        """How often each error code came since a time (UTC seconds), of the calls that are still kept one by one."""
        if not self.path.is_file():
            return {}
        query = (
            "SELECT error, COUNT(*) FROM answers WHERE at >= ? AND error IS NOT NULL AND arm != 'shadow' GROUP BY error"
        )
        with self.connect() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query, (since,))}

    def recent_latencies(self, component: str, last: int) -> list[float]:
        """The latencies in milliseconds of the `last` calls of a component that production answered without an error, newest first."""
        query = (
            "SELECT latency_ms FROM answers WHERE component = ? AND arm = 'production' AND error IS NULL "
            "ORDER BY at DESC LIMIT ?"
        )
        with self.connect() as connection:
            return [float(row[0]) for row in connection.execute(query, (component, last))]

    def calls(self, request: str) -> list[dict[str, Any]]:
        """The calls that answered a request, by its id; none when it is unknown or longer ago than calls are kept."""
        if not self.path.is_file():
            return []
        with self.connect() as connection:
            query = "SELECT * FROM answers WHERE id = ? AND arm != 'shadow' ORDER BY rowid"
            return [dict(row) for row in connection.execute(query, (request,))]

    def prune(self, before: float, hours_before: float) -> int:
        """Forget single calls before a time, and sums by hour before another (UTC seconds); how many calls went."""
        gone = 0
        while True:
            with self.connect() as connection:
                query = "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers WHERE at < ? LIMIT ?)"
                done = connection.execute(query, (before, PRUNED_AT_ONCE)).rowcount
                connection.execute("DELETE FROM hours WHERE hour < ?", (int(hours_before) // HOUR_S,))
            gone += done
            if done < PRUNED_AT_ONCE:
                return gone

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection in one transaction: committed when the block ends.

        Raises:
            StoreError: the file is locked or damaged.
        """
        return FILE.open(self.path)


def _values(one: Noted, limit_ms: float) -> list[tuple[int, float]]:
    """What a call adds to which of _SUMS."""
    counted = (
        1,
        one.error is not None,
        one.abstained,
        one.out_of_scope,
        one.latency_ms > limit_ms,
        one.usd,
        one.latency_ms,
        one.tokens_in,
        one.tokens_out,
    )
    bucket = len(counted) + bisect_left(BUCKETS_MS, one.latency_ms)
    return [(at, float(value)) for at, value in enumerate(counted) if value] + [(bucket, 1.0)]


def _typed(sums: Sequence[float]) -> Iterable[float | int]:
    return (value if name in _REALS else int(value) for name, value in zip(_SUMS, sums, strict=True))


def _slices(one: Noted) -> Iterator[tuple[str, str]]:
    yield "all", ""
    named: Mapping[str, Sequence[str | None]] = {
        "label": (one.label,),
        "source": (one.source,),
        "group": one.groups,
        "key": (one.key,),
    }
    for dimension, values in named.items():
        for value in values:
            if value:
                yield dimension, value[:LONGEST_SLICE]


def _aggregate(row: sqlite3.Row, by: Sequence[str]) -> Aggregate:
    given = {name: row[name] for name in by}
    plain = {name: row[name] for name in _SUMS if name not in _BUCKETS}
    return Aggregate(
        **{"component": "", "candidate": "", "version": 0, "arm": "", **given},
        dimension=row["dimension"],
        slice=row["slice"],
        **plain,
        buckets=tuple(int(row[name]) for name in _BUCKETS),
    )
