"""What would have to change for another verdict: the nearest change of each input, found by asking the decision itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from steelyard.decision.unknowns import known, missing, plausible, share_of, verdicts
from steelyard.decision.verdict import judge
from steelyard.schema.decision import Behaviour, Facts, Flip, Verdict

STEPS, NARROWINGS = 9, 7
"""Points looked at on the way to a bound, and halvings once a change is found: seven leave under one percent of a step."""

LIKELY_BEHAVIOURS: tuple[Behaviour, ...] = ("facts", "style", "format", "classification")

BOUNDS: dict[str, tuple[float, float]] = {
    "queries_per_month": (100.0, 1e9),
    "knowledge_update_per_year": (0.5, 365.0),
    "corpus_tokens": (1_000.0, 1e9),
    "latency_budget_ms": (20.0, 20_000.0),
    "examples_count": (10.0, 1e6),
    "prompt_examples_tokens": (100.0, 1e6),
}
"""How far from the facts a change is still worth telling."""

FLAGS = ("needs_citations", "needs_audit", "per_user_scoping")

WHOLE = frozenset({"examples_count"})


@dataclass(frozen=True)
class _Found:
    value: float
    verdict: Verdict
    distance: float


def flips(facts: Facts, verdict: Verdict) -> tuple[Flip, ...]:
    """The nearest change of each input that changes `verdict`, numbers first by how near they are, then yes-or-no facts.

    With gaps in the facts only the gaps are tried: each plausible answer that would lead to another verdict.
    """
    if missing(facts):
        return tuple(_of_gaps(facts, verdict))
    numbers = [(flip, distance) for flip, distance in _of_numbers(facts, verdict)]
    numbers.sort(key=lambda pair: pair[1])
    return (*(flip for flip, _ in numbers), *_of_scores(facts, verdict), *_of_choices(facts, verdict))


def _of_numbers(facts: Facts, verdict: Verdict) -> Iterator[tuple[Flip, float]]:
    for key, (low, high) in BOUNDS.items():
        at = float(getattr(facts, key))
        found = [one for bound in (low, high) if (one := _search(facts, verdict, key, at, bound)) is not None]
        if found:
            nearest = min(found, key=lambda one: one.distance)
            yield (
                Flip(input=key, from_value=_tidy(at), to_value=_tidy(nearest.value), becomes=nearest.verdict),
                nearest.distance,
            )


def _search(facts: Facts, verdict: Verdict, key: str, at: float, bound: float) -> _Found | None:
    """The first change on the way from `at` to `bound`, on a logarithmic scale, narrowed down."""
    start = max(at, min(bound, 1.0) if bound < 1 else 1.0)
    start = at if at > 0 else start
    if (bound > at) != (bound > start) or start == bound:
        return None
    inside, became = start, verdict
    for step in range(1, STEPS + 1):
        tried = start * (bound / start) ** (step / STEPS) if at > 0 else bound ** (step / STEPS)
        became = _with(facts, key, tried)
        if became != verdict:
            break
        inside = tried
    else:
        return None
    outside = tried
    for _ in range(NARROWINGS):
        middle = math.sqrt(inside * outside)
        seen = _with(facts, key, middle)
        if seen == verdict:
            inside = middle
        else:
            outside, became = middle, seen
    value = _rounded(facts, key, verdict, inside, outside)
    return _Found(value=value, verdict=became, distance=abs(math.log(value / max(at, 1e-3))))


def _rounded(facts: Facts, key: str, verdict: Verdict, inside: float, outside: float) -> float:
    """`outside` to two digits where that is still a change, else as it is; counts to a whole number."""
    digits = 1 - math.floor(math.log10(outside))
    up = outside > inside
    step = 10.0**-digits
    shown = (math.ceil if up else math.floor)(outside / step) * step
    if key in WHOLE:
        shown = float(round(shown))
    shown = round(shown, max(0, digits))
    if shown > 0 and _with(facts, key, shown) != verdict:
        return shown
    return outside


def _with(facts: Facts, key: str, value: float) -> Verdict:
    return judge(known(facts, key, round(value) if key in WHOLE else value)).verdict


def _of_scores(facts: Facts, verdict: Verdict) -> Iterator[Flip]:
    """The score that a measured approach would need for another verdict; only towards or away from the target."""
    pilot = facts.measured
    if pilot is None or pilot.target is None:
        return
    span = abs(pilot.target) * 0.02 or 0.02
    for approach, score in pilot.scores.items():
        better = -span if pilot.lower_is_better else span
        for tried in (pilot.target, pilot.target - better):
            # Reaching the target, or just missing it: the two places where a pilot's verdict turns.
            if (tried == pilot.target) == bool(
                score <= pilot.target if pilot.lower_is_better else score >= pilot.target
            ):
                continue
            changed = replace(pilot, scores={**pilot.scores, approach: max(tried, 0.0)})
            becomes = judge(replace(facts, measured=changed)).verdict
            if becomes != verdict:
                yield Flip(
                    input=f"measured.{approach}", from_value=score, to_value=round(max(tried, 0.0), 4), becomes=becomes
                )


def _of_choices(facts: Facts, verdict: Verdict) -> Iterator[Flip]:
    for key in FLAGS:
        now = bool(getattr(facts, key))
        becomes = judge(known(facts, key, not now)).verdict
        if becomes != verdict:
            yield Flip(input=key, from_value=now, to_value=not now, becomes=becomes)
    for skill in ("mlops", "ir_ops"):
        now = bool(getattr(facts.team_skills, skill))
        becomes = judge(replace(facts, team_skills=replace(facts.team_skills, **{skill: not now}))).verdict
        if becomes != verdict:
            yield Flip(input=f"team_skills.{skill}", from_value=now, to_value=not now, becomes=becomes)
    for behaviour in LIKELY_BEHAVIOURS:
        if behaviour != facts.behaviour:
            becomes = judge(replace(facts, behaviour=behaviour)).verdict
            if becomes != verdict:
                yield Flip(input="behaviour", from_value=facts.behaviour, to_value=behaviour, becomes=becomes)


def _of_gaps(facts: Facts, verdict: Verdict) -> Iterator[Flip]:
    for key in missing(facts):
        if key == "team_skills":
            continue
        for value, _ in plausible(facts, key):
            becomes, _share = share_of(verdicts(known(facts, key, value)))
            if becomes != verdict:
                yield Flip(input=key, from_value=None, to_value=_tidy(value), becomes=becomes)


def _tidy(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value == int(value) else value
