"""What a bake-off found, in sentences: the headline, what it rests on, each component, what to do next."""

from __future__ import annotations

from dataclasses import replace

from steelyard.decision.honest import PLAIN_VERDICTS
from steelyard.decision.wording import (
    ROW_NAMES,
    TASK_NAMES,
    VERDICT_ACTIONS,
    capitalised,
    ends,
    input_name,
    input_value,
    joined,
    metric_name,
    milliseconds,
    number,
    percent,
    points,
    system_name,
    usd_short,
    verdict_name,
)
from steelyard.schema.decision import Flip, Reason
from steelyard.schema.statistics import Comparison
from steelyard.schema.weighing import CandidateResult, ComponentResult, WeighReport

OPEN = "not_enough_evidence"
ERROR_LINES = ("wrong_answers", "handoffs")


def headline(report: WeighReport) -> str:
    """What to do, component by component, in one sentence."""
    decided: dict[str, list[str]] = {}
    undecided = []
    for component in report.components:
        verdict = component.decision.recommendation
        if verdict == OPEN:
            undecided.append(component.name)
        else:
            decided.setdefault(verdict, []).append(component.name)
    if not decided:
        return f"Not enough evidence yet for {joined(undecided)}." if undecided else "Nothing was weighed."
    parts = [f"{VERDICT_ACTIONS[verdict]} for {joined(names)}" for verdict, names in decided.items()]
    if undecided:
        parts.append(f"measure more for {joined(undecided)}")
    return capitalised("; ".join(parts) if any(" and " in part for part in parts) else _listed(parts)) + "."


def summary(report: WeighReport) -> str:
    """The second sentence: what the headline rests on, and what it costs."""
    rows = sum(component.n_holdout for component in report.components)
    measured = sum(one.quality is not None for component in report.components for one in component.candidates)
    text = f"{measured} candidates were built and measured on {rows:,} sealed rows that none of them had seen."
    chosen = [one for component in report.components if (one := chosen_of(component)) and one.usd_total is not None]
    if not chosen:
        return text
    total = sum(one.usd_total or 0.0 for one in chosen)
    errors = sum(one.usd_lines.get(line, 0.0) for one in chosen for line in ERROR_LINES)
    months, queries = report.inputs.get("horizon_months"), report.inputs.get("queries_per_month")
    at = f" at {number(queries)} queries a month" if queries is not None else ""
    over = f" over {months} months" if months else ""
    what = "The recommended ones cost" if len(chosen) > 1 else f"{chosen[0].name} costs"
    parts = f", of which {usd_short(errors)} are wrong answers and handoffs" if errors >= 0.01 * total > 0 else ""
    return f"{text} {what} about {usd_short(total)}{over}{at}{parts}."


def chosen_of(component: ComponentResult) -> CandidateResult | None:
    """The recommended candidate's results, None where none is recommended."""
    return next((one for one in component.candidates if one.name == component.decision.candidate), None)


def main_reason(component: ComponentResult) -> Reason | None:
    """The reason to show where there is room for one: the strongest that speaks for what is recommended."""
    decision, chosen = component.decision, chosen_of(component)
    wanted = {decision.recommendation, chosen.approach if chosen else decision.recommendation}
    speaking = [one for one in decision.reasons if one.argues_for in wanted]
    return next(iter(speaking or decision.reasons), None)


def has_refusals(component: ComponentResult) -> bool:
    """Whether the rows show how any candidate declines."""
    return any({"recall", "precision"} & set(one.refusals) for one in component.candidates)


def plain_verdicts(component: ComponentResult) -> list[str]:
    """What must be said whatever is recommended: the baseline is as good, do not tune the encoder. Empty where neither is true."""
    return [one.because for one in component.decision.reasons if one.criterion in PLAIN_VERDICTS]


def component_sentence(component: ComponentResult) -> str:
    """What the recommended candidate does and costs, in two sentences."""
    chosen = chosen_of(component)
    if chosen is None:
        return "No candidate can be recommended yet."
    if chosen.quality is None:
        return f"{chosen.name} was not measured: {chosen.not_measured or 'no reason given'}."
    rows, share = ROW_NAMES[component.task], percent(chosen.quality.mean)
    sealed = f"{chosen.quality.n:,} sealed"
    done = {
        "accuracy": f"is right on {share} of {sealed} {rows} ({ends(chosen.quality)})",
        "fitting": f"gives a fitting reply to {share} of {sealed} messages ({ends(chosen.quality)})",
    }.get(component.metric, f"reaches {chosen.quality.mean:.3f} {metric_name(component.metric)} on {sealed} {rows}")
    text = f"{chosen.name} {done}"
    if chosen.p95_ms is not None:
        text += f", 95 of 100 within {milliseconds(chosen.p95_ms)}"
    return f"{text}. {against(component)}".strip()


def against(component: ComponentResult) -> str:
    """How the recommended candidate compares with the others, as the paired comparisons say."""
    groups: dict[str, list[str]] = {"better": [], "no_difference": [], "worse": []}
    for one in oriented(component):
        groups[one.verdict].append(one.second)
    said = []
    if groups["better"]:
        said.append(f"it is better than {joined(groups['better'])}")
    if groups["worse"]:
        said.append(f"it is worse than {joined(groups['worse'])}")
    if groups["no_difference"]:
        said.append(f"no difference to {joined(groups['no_difference'])} shows")
    return f"On the same rows {'; '.join(said)}." if said else ""


def oriented(component: ComponentResult) -> list[Comparison]:
    """The comparisons of the recommended candidate, itself always first, the nearest rival first."""
    name = component.decision.candidate
    found = [turned(one, name) for one in component.comparisons if name in (one.first, one.second)]
    return sorted(found, key=lambda one: one.difference.mean)


def turned(one: Comparison, first: str | None) -> Comparison:
    """The comparison with `first` first: difference, interval and verdict change sides."""
    if one.first == first:
        return one
    other = {"better": "worse", "worse": "better", "no_difference": "no_difference"}
    span = one.difference
    difference = type(span)(**{**span.__dict__, "mean": -span.mean, "low": -span.high, "high": -span.low})
    sides = {"first": one.second, "second": one.first, "verdict": other[one.verdict]}
    return Comparison(**{**one.__dict__, **sides, "difference": difference})


def curve_sentence(component: ComponentResult) -> str:
    """What the cost curve shows, in one sentence."""
    curve = component.curve
    if curve is None:
        return ""
    if curve.break_even is None:
        cheaper = min((curve.first, curve.second), key=lambda name: sum(curve.totals[name]))
        dearer = curve.second if cheaper == curve.first else curve.first
        return f"{cheaper} is cheaper than {dearer} at every volume, so there is no break-even."
    below, above = cheaper_sides(component)
    side = "above" if curve.at > curve.break_even else "below"
    return (
        f"{curve.first} and {curve.second} cost the same at {curve.break_even:,.0f} queries a month: {below} is the cheaper below, "
        f"{above} above. Today's {curve.at:,.0f} are {side}."
    )


def flip_sentence(flip: Flip) -> str:
    """When a flip comes and what it changes: `queries a month at 9,400 or below (now 120,000): retrieval, with knn`."""
    now, then = input_value(flip.input, flip.from_value), input_value(flip.input, flip.to_value)
    if _is_number(flip.to_value) and _is_number(flip.from_value):
        when = f"at {then} or {'below' if float(flip.to_value) < float(flip.from_value or 0) else 'above'}"
    else:
        when = f"becomes {then}"
    return f"{input_name(flip.input)} {when} (now {now}): {becomes(flip)}"


def becomes(flip: Flip) -> str:
    """The verdict after a flip, with its candidate where one is recommended then."""
    named = flip.candidate is not None and flip.becomes != OPEN
    return verdict_name(flip.becomes) + (f", with {flip.candidate}" if named else "")


def reasons_of(component: ComponentResult) -> list[Reason]:
    """The reasons, strongest first; candidates that are out for the same cause are named in one."""
    excluded = component.decision.excluded
    causes = {f"{one.name}: {one.because}": one.because for one in excluded}
    found: list[Reason] = []
    said: set[str] = set()
    for reason in component.decision.reasons:
        cause = causes.get(reason.because)
        if cause is None:
            found.append(reason)
        elif cause not in said:
            said.add(cause)
            names = [one.name for one in excluded if one.because == cause]
            found.append(replace(reason, argues_for=f"against {joined(names)}", because=f"{joined(names)}: {cause}"))
    return found


def not_measured(component: ComponentResult) -> dict[str, list[str]]:
    """Why some candidates were not measured, to their names."""
    found: dict[str, list[str]] = {}
    for one in component.candidates:
        if one.quality is None:
            found.setdefault(one.not_measured or "no reason given", []).append(one.name)
    return found


def cheaper_sides(component: ComponentResult) -> tuple[str, str]:
    """Of the curve's two named candidates, the cheaper at the lowest and at the highest volume."""
    curve = component.curve
    assert curve is not None
    first, second = curve.totals[curve.first], curve.totals[curve.second]
    return (
        curve.first if first[0] <= second[0] else curve.second,
        curve.first if first[-1] <= second[-1] else curve.second,
    )


def errors_sentence(component: ComponentResult) -> str:
    """Which share of the recommended candidate's total is wrong answers and handoffs."""
    chosen = chosen_of(component)
    if chosen is None or not chosen.usd_total:
        return ""
    errors = sum(chosen.usd_lines.get(line, 0.0) for line in ERROR_LINES)
    return f"Wrong answers and handoffs are {percent(errors / chosen.usd_total, 0)} of what {chosen.name} costs."


def system_sentence(report: WeighReport) -> str:
    """Whether the assembled hybrid beat the pure systems, as the paired comparison says."""
    about = [turned(one, "hybrid") for one in report.system_comparisons if "hybrid" in (one.first, one.second)]
    words = {"better": "does better than", "worse": "does worse than", "no_difference": "shows no difference to"}
    said = []
    for one in about:
        by = "" if one.verdict == "no_difference" else f" (by {points(abs(one.difference.mean))})"
        said.append(f"{words[one.verdict]} {system_name(one.second)}{by}")
    return f"The hybrid {joined(said)}." if said else ""


def next_steps(report: WeighReport) -> list[str]:
    """What to do next, component by component."""
    steps = [f"{one.name}: {one.decision.next_step}" for one in report.components if one.decision.next_step]
    return list(dict.fromkeys(steps))


def component_title(component: ComponentResult) -> str:
    """The component's verdict as a title: `intent: fine-tuned, with linear`."""
    decision = component.decision
    tails = {OPEN: f", until then {decision.candidate}", "either": f", we take {decision.candidate}"}
    tail = tails.get(decision.recommendation, f", with {decision.candidate}") if decision.candidate else ""
    return f"{component.name}: {verdict_name(decision.recommendation)}{tail}"


def task_name(component: ComponentResult) -> str:
    """What the component does, in words."""
    return TASK_NAMES[component.task]


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts)


def search_sentence(component: ComponentResult) -> str:
    """What the configuration search found, and what to set to adopt it; empty where there was none."""
    found = component.search
    if found is None:
        return ""
    tried = f"{found.evaluations:,} of {found.grid:,} scores of the grid, on {found.questions} train and validation questions"
    if found.best.cut == found.current.cut:
        told = f"The configuration search ({tried}) found no better cut of the documents than the one in use (nDCG@10 {found.ndcg:.3f})."
    else:
        told = (
            f"The configuration search ({tried}) found nDCG@10 {found.ndcg:.3f} with passages of {found.best.size} characters and an "
            f"overlap of {found.best.overlap}, against {found.current_ndcg:.3f} as set. To adopt it: [corpus] passage_chars = "
            f"{found.best.size}, overlap_chars = {found.best.overlap}, then steelyard ingest and weigh."
        )
    return told + (f" Not tried for want of time: {'; '.join(found.skipped)}." if found.skipped else "")


def prompts_of(component: ComponentResult) -> dict[str, str]:
    """The prompts that measured candidates asked with, by name and version, in the candidates' order."""
    asking = [one.made_with for one in component.candidates if one.quality is not None and one.made_with]
    return {made["prompt"]: made["text"] for made in asking if "text" in made}
