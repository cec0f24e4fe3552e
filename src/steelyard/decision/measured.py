"""The decision from measured candidates: what `steelyard weigh` recommends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from steelyard.decision.choice import Choice, choose, comparison, quality, shown, usd_per_error
from steelyard.decision.honest import about_baseline, about_tuning, gap_text
from steelyard.decision.phrases import usd
from steelyard.schema.decision import (
    APPROACHES,
    CandidateEvidence,
    ComponentDecision,
    Excluded,
    Flip,
    MeasuredComponent,
    Reason,
    Requirements,
)

STEPS, NARROWINGS, REACH = 16, 12, 1e4
"""A flip search looks at this many points up to this factor either way, and halves the last step so often."""


def recommend_measured(component: MeasuredComponent) -> ComponentDecision:
    """What to run for a component whose candidates were measured on one sealed holdout.

    Infeasible stays infeasible. A higher mean counts only when the paired comparison shows it, and where a wrong answer has a
    price, only when it is worth its money. Otherwise the cheapest in expected total cost, and the simplest where costs are the
    same. `not_enough_evidence` when a difference that this holdout cannot show would be worth more than the labels to show it;
    `either` when approaches equal in quality, cost and simplicity are left (the candidate is then the first of them).
    """
    choice = choose(component)
    if not choice.feasible:
        return ComponentDecision(
            component=component.component,
            task=component.task,
            recommendation="not_enough_evidence",
            confidence=0.9,
            reasons=tuple(_exclusions(choice.excluded)),
            excluded=choice.excluded,
            next_step=_nothing_left(component, choice),
        )
    assert choice.candidate is not None
    reasons = sorted(_reasons(component, choice), key=lambda reason: -reason.weight)
    return ComponentDecision(
        component=component.component,
        task=component.task,
        recommendation=choice.verdict,
        candidate=choice.candidate.name,
        confidence=_confidence(component, choice),
        reasons=tuple(reasons),
        p_cheapest=_p_cheapest(choice),
        flips=tuple(_flips(component, choice)),
        next_step=_next_step(component, choice),
        excluded=choice.excluded,
        total_usd={one.name: one.total_usd for one in choice.feasible if one.total_usd is not None},
    )


def _exclusions(excluded: tuple[Excluded, ...]) -> Iterator[Reason]:
    for one in excluded:
        yield Reason(
            criterion=one.criterion,
            argues_for=f"against {one.name}",
            weight=1.0,
            because=f"{one.name}: {one.because}",
            kind="measured" if one.criterion == "target_missed" else "hard",
        )


def _reasons(component: MeasuredComponent, choice: Choice) -> Iterator[Reason]:
    chosen, leader = choice.candidate, choice.leader
    assert chosen is not None
    assert leader is not None
    yield from _exclusions(choice.excluded)
    yield from _about_quality(component, choice)
    if choice.costs is not None:
        yield _about_cost(choice, chosen)
    elif choice.level and len(choice.level) > 1:
        because = f"{chosen.name} is the simplest of {len(choice.level)} candidates that do equally well; their cost is not known."
        yield Reason(criterion="simplicity", argues_for=chosen.approach, weight=0.4, because=because, kind="measured")
    others = [one.name for one in choice.level if one is not chosen]
    if choice.costs is not None and others:
        because = (
            f"{_listed(others)} cost the same within what is known of labour; {chosen.name} is the simplest to run."
        )
        yield Reason(criterion="simplicity", argues_for=chosen.approach, weight=0.3, because=because, kind="measured")


def _about_quality(component: MeasuredComponent, choice: Choice) -> Iterator[Reason]:
    chosen, leader = choice.candidate, choice.leader
    assert chosen is not None
    assert leader is not None
    n = component.n_holdout
    beaten = [
        one for one in choice.feasible if one is not chosen and shown(component, chosen.name, one.name) == "better"
    ]
    if beaten:
        nearest_first = sorted(beaten, key=lambda one: -quality(one).mean)
        rival, rest = nearest_first[0], [one.name for one in nearest_first[1:]]
        also = f", and than {_listed(rest)} by more" if rest else ""
        because = f"{chosen.name} is better than {rival.name} by {gap_text(component, chosen, rival)} on the same {n} rows{also}."
        yield Reason(
            criterion="wrong_answer_cost", argues_for=chosen.approach, weight=0.9, because=because, kind="measured"
        )
    plain = list(about_baseline(component, choice))
    yield from plain
    yield from about_tuning(component)
    if not plain and chosen is not leader and chosen in choice.tied:
        gap = gap_text(component, leader, chosen)
        because = f"{leader.name} has the higher mean, but the difference is not shown: {gap} on {n} rows."
        yield Reason(
            criterion="no_difference", argues_for=chosen.approach, weight=0.7, because=because, kind="measured"
        )
    if chosen not in choice.tied:
        yield _not_worth_it(choice, chosen, leader)


def _not_worth_it(choice: Choice, chosen: CandidateEvidence, leader: CandidateEvidence) -> Reason:
    gap = quality(leader).mean - quality(chosen).mean
    dearer = (leader.total_usd or 0.0) - leader.error_usd - ((chosen.total_usd or 0.0) - chosen.error_usd)
    worth = gap * usd_per_error(choice.feasible)
    saved = f"saves {usd(worth)} of wrong answers and costs {usd(dearer)} more"
    because = f"{leader.name} is better by {100 * gap:.1f} points, which {saved}."
    return Reason(
        criterion="wrong_answer_cost", argues_for=chosen.approach, weight=0.7, because=because, kind="measured"
    )


def _about_cost(choice: Choice, chosen: CandidateEvidence) -> Reason:
    assert choice.costs is not None
    mine = choice.costs[chosen.name]
    others = [one for one in choice.feasible if one is not chosen]
    if not others:
        because = (
            f"{chosen.name} is the only candidate that meets every requirement; it costs {usd(mine)} over the horizon."
        )
        return Reason(criterion="total_cost", argues_for=chosen.approach, weight=0.5, because=because, kind="measured")
    next_best = min(others, key=lambda one: choice.costs[one.name] if choice.costs else 0.0)
    theirs = choice.costs[next_best.name]
    because = f"{chosen.name} costs {usd(mine)} over the horizon, quality priced in, {next_best.name} {usd(theirs)}."
    weight = min(0.8, 0.2 + abs(theirs - mine) / max(abs(theirs), 1.0)) if mine <= theirs else 0.2
    return Reason(criterion="total_cost", argues_for=chosen.approach, weight=weight, because=because, kind="measured")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _next_step(component: MeasuredComponent, choice: Choice) -> str | None:
    if choice.rows is None or choice.rival is None or choice.candidate is None:
        return None
    return (
        f"Label {choice.rows:,} more rows for the holdout: {choice.rival.name} may be better than {choice.candidate.name} by more than the "
        f"{component.n_holdout:,} rows can show, and knowing is worth about {usd(choice.stake_usd)}."
    )


def _nothing_left(component: MeasuredComponent, choice: Choice) -> str:
    measured = [one for one in component.candidates if one.quality is not None]
    if not measured:
        return "Measure at least one candidate: none was run on the holdout."
    blocking = sorted({one.criterion for one in choice.excluded})
    if "target_missed" in blocking:
        best = max(measured, key=lambda one: quality(one).mean)
        reached = f"{best.name} comes nearest with {quality(best).mean:.3f} {component.metric}"
        return f"No candidate meets every requirement; {reached}. Mend its errors, or lower the target."
    return f"No candidate meets every requirement ({', '.join(blocking)}). Add one that does, or find out which requirement is truly hard."


def _p_cheapest(choice: Choice) -> Mapping[str, float]:
    """Share of draws in which each approach holds the cheapest feasible candidate."""
    shares: dict[str, float] = {one.approach: 0.0 for one in choice.feasible}
    for candidate, share in _shares(choice).items():
        approach = next(one.approach for one in choice.feasible if one.name == candidate)
        shares[approach] += share
    if not any(shares.values()):
        return {}
    return {approach: shares[approach] for approach in APPROACHES if approach in shares}


def _shares(choice: Choice) -> dict[str, float]:
    with_draws = [one for one in choice.feasible if one.total_draws]
    if len(with_draws) == len(choice.feasible) and len({len(one.total_draws) for one in with_draws}) == 1:
        wins = dict.fromkeys((one.name for one in choice.feasible), 0)
        for totals in zip(*(one.total_draws for one in choice.feasible), strict=True):
            wins[choice.feasible[totals.index(min(totals))].name] += 1
        draws = len(choice.feasible[0].total_draws)
        return {name: won / draws for name, won in wins.items()}
    return {one.name: one.p_cheapest for one in choice.feasible if one.p_cheapest is not None}


def _confidence(component: MeasuredComponent, choice: Choice) -> float:
    """How sure the recommendation is: by draws where there are any, and by the paired comparisons.

    By draws: the share in which the chosen candidate costs no more than 5 % above the cheapest. By comparison: one minus half the
    corrected p-value against the nearest rival where a difference decided.
    """
    chosen = choice.candidate
    assert chosen is not None
    if choice.verdict == "not_enough_evidence":
        return 0.75
    by_money = _by_money(choice, chosen)
    rivals = [
        one for one in choice.feasible if one is not chosen and shown(component, chosen.name, one.name) == "better"
    ]
    by_quality = 1.0
    if rivals and len(choice.tied) == 1:
        p_values = [
            found[0].p_value for one in rivals if (found := comparison(component, chosen.name, one.name)) is not None
        ]
        by_quality = 1 - max(p_values, default=0.0) / 2
    if by_money is None:
        by_money = 0.9 if chosen in choice.tied and len(choice.tied) == 1 else 0.75
    return max(0.5, min(0.99, by_money * by_quality))


def _by_money(choice: Choice, chosen: CandidateEvidence) -> float | None:
    draws = [one.total_draws for one in choice.feasible]
    if not chosen.total_draws or len({len(one) for one in draws}) != 1:
        return _shares(choice).get(chosen.name)
    near: int = sum(
        mine <= 1.05 * min(all_) for mine, all_ in zip(chosen.total_draws, zip(*draws, strict=True), strict=True)
    )
    return near / len(chosen.total_draws)


def _flips(component: MeasuredComponent, choice: Choice) -> Iterator[Flip]:
    """The nearest change of volume and of the price of a wrong answer that changes what is chosen, then the requirements."""
    assert choice.candidate is not None
    if component.queries_per_month and choice.costs is not None:
        yield from _scaled_flip(component, choice, "queries_per_month", component.queries_per_month)
    if component.wrong_answer_usd and any(one.error_usd > 0 for one in choice.feasible):
        yield from _scaled_flip(component, choice, "wrong_answer_usd", component.wrong_answer_usd)
    yield from _requirement_flips(component, choice)


def _scaled_flip(component: MeasuredComponent, choice: Choice, name: str, at: float) -> Iterator[Flip]:
    here = _key(choice)
    found: list[tuple[float, Choice]] = []
    for direction in (1.0, -1.0):
        inside = 0.0
        for step in range(1, STEPS + 1):
            outside = direction * math.log(REACH) * step / STEPS
            seen = choose(_scaled(component, name, math.exp(outside)))
            if _key(seen) != here:
                for _ in range(NARROWINGS):
                    middle = (inside + outside) / 2
                    tried = choose(_scaled(component, name, math.exp(middle)))
                    inside, outside, seen = (middle, outside, seen) if _key(tried) == here else (inside, middle, tried)
                found.append((outside, seen))
                break
            inside = outside
    if found:
        distance, seen = min(found, key=lambda pair: abs(pair[0]))
        yield _flip(name, at, _digits(at * math.exp(distance), up=distance > 0), seen)


def _digits(value: float, *, up: bool) -> float:
    """Three digits, rounded away from where the search came from, so that the change still holds there."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return round((math.ceil if up else math.floor)(value / step) * step, 12)


def _scaled(component: MeasuredComponent, name: str, factor: float) -> MeasuredComponent:
    """The component with its volume, or its price of a wrong answer, multiplied."""

    def money(one: CandidateEvidence) -> CandidateEvidence:
        if one.total_usd is None:
            return one
        if name == "wrong_answer_usd":
            return replace(
                one, total_usd=one.total_usd + (factor - 1) * one.error_usd, error_usd=factor * one.error_usd
            )
        moving = one.total_usd - one.fixed_usd
        return replace(one, total_usd=one.fixed_usd + factor * moving, error_usd=factor * one.error_usd)

    return replace(component, candidates=tuple(money(one) for one in component.candidates))


def _requirement_flips(component: MeasuredComponent, choice: Choice) -> Iterator[Flip]:
    hard = component.requirements
    changes: dict[str, tuple[bool, Requirements]] = {
        "citations": (hard.citations, replace(hard, citations=not hard.citations)),
        "audit": (hard.audit, replace(hard, audit=not hard.audit)),
        "scoping": (hard.scoping, replace(hard, scoping=not hard.scoping)),
    }
    for name, (now, changed) in changes.items():
        seen = choose(replace(component, requirements=changed))
        if seen.feasible and _key(seen) != _key(choice):
            yield _flip(name, now, not now, seen)
    latencies = sorted(one.p95_ms for one in component.candidates if one.p95_ms is not None and one.quality is not None)
    limit = hard.p95_ms
    tried = [value for value in latencies if limit is not None and value > limit][:3]
    for value in tried:
        seen = choose(replace(component, requirements=replace(hard, p95_ms=float(math.ceil(value)))))
        if seen.feasible and _key(seen) != _key(choice):
            yield _flip("p95_ms", limit, float(math.ceil(value)), seen)
            return


def _flip(name: str, now: float | bool | None, then: float | bool, seen: Choice) -> Flip:
    candidate = None if seen.candidate is None else seen.candidate.name
    return Flip(input=name, from_value=now, to_value=then, becomes=seen.verdict, candidate=candidate)


def _key(choice: Choice) -> tuple[str, str | None]:
    return choice.verdict, None if choice.candidate is None else choice.candidate.name
