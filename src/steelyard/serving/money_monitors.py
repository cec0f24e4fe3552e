"""Monitors of money: the month against its plan, and the way to the next break-even."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.config import WatchSettings
from steelyard.metrics.traffic import Growth, month_end, weeks_until
from steelyard.schema.watching import Alert, BreakEvenDistance, Spend

CALLS, HANDOFFS = "calls", "handoffs"
"""The lines of a month: what the calls were metered at, and declined requests at the price of a person who answers."""


LEAST_USD = 10.0
"""A month below this is never too dear, whatever was planned: nobody should look into cents."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the decision foresaw of one component: requests this month, metered USD a call, and the share that is declined."""

    component: str
    requests: float
    usd_per_call: float
    declined: float


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day of one component: requests, those declined, and metered USD."""

    requests: int
    declined: int
    usd: float


@dataclass(frozen=True, kw_only=True)
class Month:
    """One component's days: those of this month so far added up, the latest whole days, and the days that the month has left."""

    component: str
    so_far: Day
    days: Sequence[Day]
    passed: float
    left: float


def watch_spend(
    months: Sequence[Month], plans: Mapping[str, Plan], handoff_usd: float, watch: WatchSettings
) -> tuple[list[Spend], list[Alert]]:
    """Each component's month, and `spend_over_plan` where it will surely cost more than [watch] spend_margin allows.

    Surely: the money spent already is above, or the lower end of what the days so far foresee. Wrong answers are in the decision's costs,
    and not here: nobody knows of each answer whether it was right.
    """
    found, alerts = [], []
    for month in months:
        plan = plans.get(month.component)
        if plan is None:
            continue
        spend = _spend(month, plan, handoff_usd)
        found.append(spend)
        planned = sum(spend.planned_usd.values())
        spent = sum(spend.month_to_date_usd.values())
        allowed = planned * (1 + watch.spend_margin)
        low = spend.expected_low if spend.expected_low is not None else spent
        known = month.so_far.requests >= watch.least_requests
        if known and max(spent, low) > max(allowed, LEAST_USD):
            over = max(spend.planned_usd, key=lambda line: _over(spend, line, month))
            expected = spend.expected_usd if spend.expected_usd is not None else spent
            alerts.append(
                Alert(
                    name="spend_over_plan",
                    blame=month.component,
                    severity="warning",
                    message=f"{month.component} has cost {_usd(spent)} this month and will come to about {_usd(expected)}; "
                    f"{_usd(planned)} are planned. What grew is {over}: {spend.requests:,} requests so far, "
                    f"{spend.requests_planned:,.0f} planned for the month.",
                    remedy="Correct [traffic] in steelyard.toml and run `steelyard weigh`: at this volume another approach may be cheaper.",
                    evidence=spend.to_json(),
                )
            )
    return found, alerts


def _spend(month: Month, plan: Plan, handoff_usd: float) -> Spend:
    def cost(day: Day) -> float:
        return day.usd + day.declined * handoff_usd

    foreseen = month_end([cost(day) for day in month.days], cost(month.so_far), month.left)
    return Spend(
        component=month.component,
        requests=month.so_far.requests,
        requests_planned=plan.requests,
        month_to_date_usd={CALLS: month.so_far.usd, HANDOFFS: month.so_far.declined * handoff_usd},
        planned_usd={
            CALLS: plan.requests * plan.usd_per_call,
            HANDOFFS: plan.requests * plan.declined * handoff_usd,
        },
        expected_usd=None if foreseen is None else foreseen[0],
        expected_low=None if foreseen is None else foreseen[1],
        expected_high=None if foreseen is None else foreseen[2],
        days=month.passed,
    )


def _over(spend: Spend, line: str, month: Month) -> float:
    share = month.passed / (month.passed + month.left) if month.passed + month.left else 1.0
    return spend.month_to_date_usd[line] - spend.planned_usd[line] * share


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """The break-even of one component's decision: two candidates, the volume at which they cost the same, and today's traffic."""

    component: str
    first: str
    second: str
    break_even: float
    queries_per_month: float


def watch_break_even(
    crossings: Sequence[Crossing], growths: Mapping[str, Growth | None], watch: WatchSettings
) -> tuple[list[BreakEvenDistance], list[Alert]]:
    """How far each component is from its break-even, and `break_even_near` where traffic will be there within [watch] break_even_weeks.

    Alerts only where the growth (by component) is beyond chance in that direction.
    """
    found, alerts = [], []
    for one in crossings:
        grown = growths.get(one.component)
        distance = _distance(one, grown)
        found.append(distance)
        near = distance.weeks is not None and distance.weeks <= watch.break_even_weeks
        sure = grown is not None and (grown.low > 0 if one.break_even > one.queries_per_month else grown.high < 0)
        if near and sure:
            alerts.append(
                Alert(
                    name="break_even_near",
                    blame=one.component,
                    severity="warning",
                    message=distance.sentence,
                    remedy=f"Build and measure the other approach now: `steelyard weigh --component {one.component}` "
                    "with the volume of then under [traffic].",
                    evidence=distance.to_json(),
                )
            )
    return found, alerts


def _distance(one: Crossing, grown: Growth | None) -> BreakEvenDistance:
    rates = (None, None, None) if grown is None else (grown.rate, grown.low, grown.high)
    weeks, low, high = (
        None if rate is None else weeks_until(one.queries_per_month, one.break_even, rate) for rate in rates
    )
    ends = [end for end in (low, high) if end is not None]
    return BreakEvenDistance(
        component=one.component,
        queries_per_month=one.queries_per_month,
        break_even=one.break_even,
        first=one.first,
        second=one.second,
        growth_per_month=rates[0],
        growth_low=rates[1],
        growth_high=rates[2],
        weeks=weeks,
        weeks_low=min(ends, default=None),
        weeks_high=max(ends) if len(ends) > 1 else None,
        sentence=_sentence(one, grown, weeks, ends),
    )


def _sentence(one: Crossing, grown: Growth | None, weeks: float | None, ends: Sequence[float]) -> str:
    head = (
        f"{one.first} and {one.second} cost the same at {one.break_even:,.0f} queries a month; "
        f"{one.queries_per_month:,.0f} come now"
    )
    if grown is None:
        return f"{head}. The growth is not known yet: two weeks of days are needed."
    if weeks is None:
        return f"{head}. At {grown.rate:+.0%} a month traffic does not move there."
    span = f" ({min(ends):.0f} to {max(ends):.0f})" if len(ends) > 1 else ""
    return f"{head}. At {grown.rate:.0%} growth a month you cross it in {weeks:.0f} weeks{span}."


def _usd(value: float) -> str:
    return f"{value:,.2f} USD" if value < 100 else f"{value:,.0f} USD"
