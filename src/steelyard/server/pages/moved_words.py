"""What changed between the decision that was taken and the one under moved numbers, in words."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.decision.wording import input_name, input_value, joined, usd_short, verdict_name
from steelyard.schema.weighing import ComponentResult, WeighReport
from steelyard.workspace.moving import UPDATES

SAME_SHARE = 0.005
"""A total that moves by less is called the same."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One component under the moved numbers: whether its verdict turned, and a sentence that says so."""

    component: str
    turned: bool
    sentence: str


def moved_inputs(before: WeighReport, after: WeighReport) -> list[str]:
    """The inputs that were moved: `400,000 queries a month (decided at 12,000)`."""
    found = []
    for name, value in after.inputs.items():
        was = before.inputs.get(name)
        if was != value:
            found.append(f"{_said(name, value)} (decided at {input_value(name, was)})")
    return found


def condition(before: WeighReport, after: WeighReport) -> str:
    """The moved inputs as the start of a sentence: `At 400,000 queries a month`; empty where nothing was moved."""
    moved = [_said(name, value) for name, value in after.inputs.items() if before.inputs.get(name) != value]
    if not moved:
        return ""
    return f"At {joined(moved)}" if len(moved) <= 2 else f"With {len(moved)} numbers moved"


def changes(before: WeighReport, after: WeighReport) -> list[Change]:
    """What became of each component."""
    return [_change(one, two) for one, two in zip(before.components, after.components, strict=True)]


def headline(before: WeighReport, after: WeighReport) -> str:
    """One sentence for a screen reader and for the top of the room."""
    start = condition(before, after)
    if not start:
        return "These are the numbers that the decision was taken with."
    turned = [one for one in changes(before, after) if one.turned]
    if not turned:
        return f"{start}, every verdict stays."
    new = {one.name: one for one in after.components}
    told = [f"{one.component} turns to {_verdict(new[one.component])}" for one in turned]
    return f"{start}, {joined(told)}."


def _change(before: ComponentResult, after: ComponentResult) -> Change:
    was, now = before.decision, after.decision
    turned = (was.recommendation, was.candidate) != (now.recommendation, now.candidate)
    if turned:
        return Change(component=before.name, turned=True, sentence=f"{_verdict(after)}; decided was {_verdict(before)}")
    return Change(component=before.name, turned=False, sentence=f"stays {_verdict(after)}{_money(before, after)}")


def _money(before: ComponentResult, after: ComponentResult) -> str:
    name = after.decision.candidate
    totals = [next((one.usd_total for one in part.candidates if one.name == name), None) for part in (before, after)]
    then, now = totals
    if then is None or now is None or abs(now - then) <= SAME_SHARE * max(abs(then), 1.0):
        return ""
    return f", {usd_short(now)} instead of {usd_short(then)}"


def _verdict(component: ComponentResult) -> str:
    decision = component.decision
    if decision.recommendation == "not_enough_evidence":
        return f"not enough evidence ({decision.candidate} until then)" if decision.candidate else "not enough evidence"
    named = f" with {decision.candidate}" if decision.candidate else ""
    return f"{verdict_name(decision.recommendation)}{named}"


def _said(name: str, value: object) -> str:
    text = input_value(name, value)
    if name == "horizon_months":
        return f"a horizon of {text} months"
    if name == "queries_per_month":
        return f"{text} queries a month"
    if name.startswith(UPDATES):
        return f"{text} changes a year of {name.removeprefix(UPDATES)}"
    if name == "growth_per_month":
        return f"{text} growth a month"
    return f"{text} as the {input_name(name)}"
