"""Figures for made-up bake-offs: intervals, money, comparisons and curves that follow from a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.economics.cost_model import LINES
from steelyard.schema.items import Approach
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import CandidateResult, CostCurve

HORIZON = 24
QUERIES = 120_000.0
ALL_QUERIES = QUERIES * sum(1.02**month for month in range(HORIZON))
HOUR, WRONG, HANDOFF = 95.0, 0.50, 2.00
SCRIPT = '<script>alert("from a document")</script>'

LABOUR: Mapping[str, tuple[float, float, float]] = {
    "prompt": (10, 1, 0.125),
    "rag": (40, 4, 0.125),
    "fine_tune": (80, 4, 15),
    "hybrid": (80, 6, 0.125),
}
"""Hours to set up, a month, and for one update; a quarter of the defaults, as for embedded candidates."""

UPDATES = {"intent": 1, "answer": 32, "reply": 1}


def interval(mean: float, half: float, n: int) -> Interval:
    return Interval(mean=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), n=n)


def money(
    approach: Approach, component: str, wrong: float, declined: float, per_query: float = 0.0, hosting: float = 73.0
) -> dict[str, Any]:
    setup, monthly, update = LABOUR[approach]
    lines = dict.fromkeys(LINES, 0.0)
    lines["setup_labour"] = setup * HOUR
    lines["setup_compute"] = 0.02
    lines["update_labour"] = update * UPDATES[component] * HORIZON / 12 * HOUR
    lines["operations_labour"] = monthly * HORIZON * HOUR
    lines["hosting"] = hosting * HORIZON
    lines["input_tokens"] = 0.8 * per_query * ALL_QUERIES
    lines["output_tokens"] = 0.2 * per_query * ALL_QUERIES
    lines["wrong_answers"] = wrong * WRONG * ALL_QUERIES
    lines["handoffs"] = declined * HANDOFF * ALL_QUERIES
    once = lines["setup_labour"] + lines["setup_compute"]
    total = sum(lines.values())
    growing = [1.02**month / sum(1.02**month for month in range(HORIZON)) for month in range(HORIZON)]
    variable = (per_query + wrong * WRONG + declined * HANDOFF) * ALL_QUERIES
    fixed = (total - once - variable) / HORIZON
    monthly_usd = [fixed + variable * share for share in growing]
    monthly_usd[0] += once
    return {
        "usd_per_query": per_query + wrong * WRONG + declined * HANDOFF,
        "usd_setup": once,
        "usd_total": total,
        "usd_low": 0.74 * total,
        "usd_high": 1.36 * total,
        "usd_lines": lines,
        "usd_monthly": tuple(monthly_usd),
        "error_rate": wrong,
        "handoff_rate": declined,
    }


def samples(*rows: tuple[str, str, str, bool]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"text": text, "output": output, "expected": expected, "right": right} for text, output, expected, right in rows
    )


def comparison(first: str, second: str, mean: float, half: float, p: float, n: int) -> Comparison:
    verdict = "no_difference" if p >= 0.05 else "better" if mean > 0 else "worse"
    return Comparison(
        first=first,
        second=second,
        difference=Interval(mean=mean, low=mean - half, high=mean + half, n=n),
        p_value=p,
        alpha=0.05,
        verdict=verdict,  # type: ignore[arg-type]
        smallest_detectable=0.12,
    )


def curve(candidates: tuple[CandidateResult, ...], *names: str) -> CostCurve:
    found = {one.name: one for one in candidates}
    volumes = tuple(QUERIES * 10 ** (step / 10 - 2) for step in range(41))
    growth = ALL_QUERIES / QUERIES
    lines = {}
    for name in names:
        per_query = found[name].usd_per_query or 0.0
        fixed = (found[name].usd_total or 0.0) - per_query * ALL_QUERIES
        lines[name] = (fixed, per_query * growth)
    (fixed_a, rate_a), (fixed_b, rate_b) = lines[names[0]], lines[names[1]]
    crossing = (fixed_b - fixed_a) / (rate_a - rate_b) if rate_a != rate_b else -1.0
    return CostCurve(
        queries_per_month=volumes,
        totals={name: tuple(fixed + rate * volume for volume in volumes) for name, (fixed, rate) in lines.items()},
        first=names[0],
        second=names[1],
        break_even=crossing if crossing > 0 else None,
        at=QUERIES,
    )
