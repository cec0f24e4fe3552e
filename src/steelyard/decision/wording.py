"""Numbers and verdicts as a reader says them; shared by the report and the decision record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.schema.statistics import Interval
from steelyard.schema.weighing import ComponentResult, WeighReport

VERDICT_NAMES: Mapping[str, str] = {
    "rag": "retrieval",
    "fine_tune": "fine-tuned",
    "hybrid": "hybrid",
    "prompt": "prompt",
    "either": "either",
    "not_enough_evidence": "not enough evidence",
}

METRIC_NAMES: Mapping[str, str] = {
    "accuracy": "accuracy",
    "right": "right answers and right refusals",
    "chrf": "chrF, 0 where invalid",
    "handled_right": "handled right",
}


def verdict_name(verdict: str) -> str:
    """A verdict in words.

    >>> verdict_name("rag")
    'retrieval'
    """
    return VERDICT_NAMES.get(verdict, verdict.replace("_", " "))


def metric_name(metric: str) -> str:
    """A metric in words."""
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash for None.

    >>> percent(0.9312)
    '93.1 %'
    """
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * value:.1f} points"


def interval_text(interval: Interval | None) -> str:
    """A mean with its interval, in per cent."""
    if interval is None:
        return "–"
    return f"{100 * interval.mean:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def usd(value: float | None) -> str:
    """Money in whole dollars, with thousands separators; cents below 100 USD.

    >>> usd(12345.6)
    '$12,346'
    """
    if value is None:
        return "–"
    return f"${value:,.2f}" if 0 < abs(value) < 100 else f"${value:,.0f}"


def usd_fine(value: float | None) -> str:
    """Small money, to three significant digits."""
    return "–" if value is None else f"${value:.3g}"


def milliseconds(value: float | None) -> str:
    """A latency, with more digits where it is small."""
    if value is None:
        return "–"
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return "–"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}"


def number(value: Any) -> str:
    """Any input's value as a reader writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
    return str(value)


def headline(report: WeighReport) -> str:
    """What to run, in one sentence."""
    decided = [one for one in report.components if one.decision.recommendation not in ("not_enough_evidence",)]
    if not decided:
        return "Not enough evidence yet: here is the cheapest next step."
    parts = [f"{_way(one)} for {one.name}" for one in decided]
    open_ones = [one.name for one in report.components if one not in decided]
    text = f"Run {_joined(parts)}."
    return text + (f" {_joined(open_ones).capitalize()} is not decided yet." if open_ones else "")


def summary(report: WeighReport) -> str:
    """The second sentence: what it rests on, and what it costs."""
    rows = sum(component.n_holdout for component in report.components)
    measured = sum(one.quality is not None for component in report.components for one in component.candidates)
    chosen = [_chosen_usd(component) for component in report.components]
    known = [value for value in chosen if value is not None]
    months = report.inputs.get("horizon_months")
    money = f" Together they cost about {usd(sum(known))} over {months} months at your traffic." if known else ""
    return f"{measured} candidates were built on your data and measured on {rows} sealed items.{money}"


def curve_sentence(component: ComponentResult) -> str:
    """What the cost curve shows, in one sentence."""
    curve = component.curve
    if curve is None:
        return ""
    if curve.break_even is None:
        return f"{curve.first} and {curve.second} never cost the same at any volume"
    side = "above" if curve.at > curve.break_even else "below"
    return f"{curve.first} and {curve.second} cost the same at {curve.break_even:,.0f} queries a month; today is {side}"


def system_sentence(report: WeighReport) -> str:
    """Whether the assembled hybrid beat the pure systems, as the paired comparison says."""
    about = [one for one in report.system_comparisons if "hybrid" in (one.first, one.second)]
    if not about:
        return ""
    said = []
    for one in about:
        other = one.second if one.first == "hybrid" else one.first
        verdict = one.verdict
        if one.second == "hybrid" and verdict != "no_difference":
            verdict = "worse" if verdict == "better" else "better"
        words = {"better": "does better than", "worse": "does worse than", "no_difference": "shows no difference to"}
        said.append(f"{words[verdict]} {other.replace('_', ' ')}")
    return f"The hybrid {_joined(said)}."


def next_steps(report: WeighReport) -> list[str]:
    """What to do next, component by component; then the whole."""
    steps = [f"{one.name}: {one.decision.next_step}" for one in report.components if one.decision.next_step]
    return list(dict.fromkeys(steps))


def _way(component: ComponentResult) -> str:
    decision = component.decision
    name = decision.candidate or verdict_name(decision.recommendation)
    if decision.recommendation == "either":
        return f"{name} (others do as well)"
    return f"{name} ({verdict_name(decision.recommendation)})"


def _chosen_usd(component: ComponentResult) -> float | None:
    return next((one.usd_total for one in component.candidates if one.name == component.decision.candidate), None)


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
