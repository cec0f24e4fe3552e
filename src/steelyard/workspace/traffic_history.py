"""Days and months of traffic, from the sums by hour: volumes, growth, money, and what the decision planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from steelyard.metrics.traffic import DAYS_PER_MONTH, Growth, growth
from steelyard.schema.watching import WHOLE_REQUEST
from steelyard.serving.money_monitors import Crossing, Day, Month, Plan

if TYPE_CHECKING:
    from steelyard.config import Settings
    from steelyard.registry.operations import Operations

DAY_S = 86400
LONGEST_DAYS = 90
"""Days that growth is measured on: a quarter, so that it is the growth of now."""

VOLUME_DAYS = 28
"""Days that the monthly volume is taken from: four whole weeks."""

LEAST_VOLUME_DAYS = 7
"""A week, for weekends are not like workdays."""

COLUMNS = ("requests", "errors", "abstained", "out_of_scope", "usd")

TOKEN_LINES = ("input_tokens", "cached_input_tokens", "output_tokens", "embedding_tokens", "reranking", "compute")
"""Lines of a decision's cost that grow with the queries."""


class TrafficHistory:
    """The days before `now`; days are UTC, and whole days leave the running one out."""

    def __init__(self, operations: Operations, now: datetime) -> None:
        self._operations = operations
        self._now = now
        self._today = int(now.timestamp() // DAY_S)

    def by_day(self, last: int) -> list[dict[str, Any]]:
        """The `last` days with the running one, oldest first: requests, errors, declined, USD of whole requests (of all parts if none)."""
        found = []
        for day in range(self._today - last + 1, self._today + 1):
            rows = {component: days[day] for component, days in self._days.items() if day in days}
            row = rows.get(WHOLE_REQUEST) or _added(rows.values())
            if row:
                found.append({"day": _date(day), **row})
        return found

    def queries_per_month(self, component: str) -> float | None:
        """The mean of the last whole days as a month; None before a week of them."""
        counts = self._counts(component)[-VOLUME_DAYS:]
        if len(counts) < LEAST_VOLUME_DAYS:
            return None
        return sum(counts) / len(counts) * DAYS_PER_MONTH

    def growths(self, components: Iterable[str]) -> dict[str, Growth | None]:
        """The growth of each component's traffic; see `growth`."""
        if self._growths is None:
            self._growths = {name: growth(self._counts(name)) for name in components}
        return self._growths

    _growths: dict[str, Growth | None] | None = None

    def months(self, components: Iterable[str]) -> list[Month]:
        """This month of each component that was called in it."""
        first = self._now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (first + timedelta(days=32)).replace(day=1)
        passed = (self._now - first).total_seconds() / DAY_S
        begin = int(first.timestamp() // DAY_S)
        found = []
        for name in components:
            days = self._days.get(name, {})
            this = [row for day, row in days.items() if day >= begin]
            if this:
                whole = [day for day in sorted(days) if day < self._today][-VOLUME_DAYS:]
                found.append(
                    Month(
                        component=name,
                        so_far=_day(_added(this)),
                        days=[_day(days[day]) for day in whole],
                        passed=passed,
                        left=(following - self._now).total_seconds() / DAY_S,
                    )
                )
        return found

    def plans(
        self, last: Mapping[str, Any] | None, candidates: Mapping[str, str], settings: Settings
    ) -> dict[str, Plan]:
        """What the decision planned of this month, by component; none before a decision."""
        found: dict[str, Plan] = {}
        if last is None:
            return found
        planned = last["inputs"]
        volume, grown = float(planned["queries_per_month"]), float(planned["growth_per_month"])
        horizon = int(planned["horizon_months"])
        since = datetime.fromisoformat(last["created"])
        months = max(0.0, (self._now - since).total_seconds() / DAY_S / DAYS_PER_MONTH)
        over_horizon = volume * sum((1 + grown) ** month for month in range(horizon))
        for name, decided in last["components"].items():
            one = next((one for one in decided["candidates"] if one["name"] == candidates.get(name)), None)
            if one is None or one.get("latency_ms") is None:
                continue
            tokens = sum(float(one["usd"]["lines"].get(line, 0.0)) for line in TOKEN_LINES)
            machine = one["latency_ms"]["p50"] / 1000 * settings.economics.cpu_hour_usd / 3600
            found[name] = Plan(
                component=name,
                requests=volume * (1 + grown) ** months,
                usd_per_call=machine + (tokens / over_horizon if over_horizon else 0.0),
                declined=float(one.get("handoff_rate") or 0.0),
            )
        return found

    def crossings(self, last: Mapping[str, Any] | None) -> list[Crossing]:
        """The break-even of each component's decision, where it has one and its volume is known."""
        found = []
        for name, decided in (last or {}).get("components", {}).items():
            curve, volume = decided.get("curve"), self.queries_per_month(name)
            if curve and curve.get("break_even") and volume is not None:
                found.append(
                    Crossing(
                        component=name,
                        first=curve["first"],
                        second=curve["second"],
                        break_even=float(curve["break_even"]),
                        queries_per_month=volume,
                    )
                )
        return found

    def _counts(self, component: str) -> list[float]:
        """Requests of each whole day from the first with any, at most LONGEST_DAYS."""
        days = self._days.get(component, {})
        # The first day is left out: it began when the server was started.
        begin = max(min(days, default=self._today) + 1, self._today - LONGEST_DAYS)
        return [float(days[day]["requests"]) if day in days else 0.0 for day in range(begin, self._today)]

    @cached_property
    def _days(self) -> dict[str, dict[int, dict[str, Any]]]:
        since = (self._today - LONGEST_DAYS) * DAY_S
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for row in self._operations.by_hour(since, self._now.timestamp(), COLUMNS):
            days = found.setdefault(row["component"], {})
            held = days.setdefault(row["at"] // DAY_S, dict.fromkeys(COLUMNS, 0))
            for column in COLUMNS:
                held[column] += row[column]
        return found


def _added(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for row in rows:
        for column in COLUMNS:
            whole[column] = whole.get(column, 0) + row[column]
    return whole


def _day(row: Mapping[str, Any]) -> Day:
    declined = max(row["abstained"], row["out_of_scope"])
    return Day(requests=int(row["requests"]), declined=int(declined), usd=float(row["usd"]))


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()
