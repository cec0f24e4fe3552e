"""Criteria about evidence, money and the team: what was measured, what it costs, who runs it."""

from __future__ import annotations

from steelyard.decision.case import ENOUGH_LABELS, LATENCY_WEIGHTS, Case, Opinion, between
from steelyard.decision.phrases import count, percent, said, usd
from steelyard.schema.items import Approach

SAME_QUALITY = 0.015
"""A difference in a pilot's score that a few hundred items cannot show."""


def target_missed(case: Case) -> Opinion | None:
    """An approach that was measured and misses the target is out, however cheap."""
    pilot = case.facts.measured
    missing = [approach for approach in case.approaches if case.meets(approach) is False]
    if pilot is None or pilot.target is None or not missing:
        return None
    side = "at most" if pilot.lower_is_better else "at least"
    excludes = {
        approach: f"{said(approach).capitalize()} measured {pilot.scores[approach]:g} {pilot.metric}; {side} {pilot.target:g} is required."
        for approach in missing
    }
    left = [approach for approach in case.approaches if case.meets(approach)]
    argues = left[0] if len(left) == 1 else f"against {missing[0]}"
    listed = " and ".join(f"{said(approach)} with {pilot.scores[approach]:g}" for approach in missing)
    because = f"The pilot requires {side} {pilot.target:g} {pilot.metric}; {listed} missed it."
    return Opinion(argues_for=argues, weight=1.0, because=because, excludes=excludes)


def target_met(case: Case) -> Opinion | None:
    """An approach that was measured and reaches the target is known to work; its rivals are promises."""
    pilot = case.facts.measured
    reached = [approach for approach in case.approaches if case.meets(approach) and approach != "prompt"]
    if pilot is None or pilot.target is None or not reached:
        return None
    order = sorted(reached, key=lambda approach: pilot.scores[approach], reverse=not pilot.lower_is_better)
    listed = " and ".join(f"{said(approach)} with {pilot.scores[approach]:g}" for approach in order)
    side = "at most" if pilot.lower_is_better else "at least"
    because = f"The pilot requires {side} {pilot.target:g} {pilot.metric}; {listed} reached it."
    return Opinion(argues_for=order[0], weight=0.6, because=because, pushes=dict.fromkeys(reached, 0.6))


def wrong_answer_cost(case: Case) -> Opinion | None:
    """Where measured quality differs by more than noise, the better approach: errors cost more than tokens early."""
    pilot = case.facts.measured
    running = [approach for approach in case.approaches if case.works(approach)]
    if pilot is None or len(running) < 2:
        return None
    order = sorted(running, key=lambda approach: pilot.scores[approach], reverse=not pilot.lower_is_better)
    best, second = order[0], order[1]
    largest = max(abs(score) for score in pilot.scores.values()) or 1.0
    gap = abs(pilot.scores[best] - pilot.scores[second]) / (largest if largest > 1 else 1.0)
    weight = min(1.0, max(0.0, gap - SAME_QUALITY) / 0.08)
    if weight < 0.02:
        return None
    because = f"{said(best).capitalize()} measured {pilot.scores[best]:g} {pilot.metric}, {said(second)} {pilot.scores[second]:g}."
    return Opinion(argues_for=best, weight=weight, because=because, pushes={best: 0.6 * weight})


def fourth_cell(case: Case) -> Opinion | None:
    """Tuning on top of retrieval helps or hurts: studies are split, so it is measured, not believed."""
    if "hybrid" not in case.approaches or "hybrid" in case.scores:
        return None
    because = (
        "Tuning on top of retrieval helped in four published studies and hurt in four: measure it before relying on it."
    )
    return Opinion(argues_for="hybrid", weight=0.0, because=because)


def credibility(case: Case, approach: Approach) -> float:
    """How far a price may count for an approach: a cheap approach that does not work is not a candidate."""
    if case.works(approach):
        return 1.0
    share = 0.7 if case.someone_works else 1.0
    if approach != "fine_tune":
        share *= 1 - too_slow(case)
    labels = case.facts.examples_count or 0.0
    if approach == "prompt":
        if case.cites:
            return share * 0.4  # it may name a source, and nothing shows that it used it
        return share * (1.0 if case.facts.behaviour == "facts" and case.fits_prompt else 0.4)
    if approach == "rag":
        return share * (0.4 if case.teaches_behaviour and not case.meets("prompt") else 1.0)
    if approach == "fine_tune" and case.facts.behaviour in ("facts", "mixed"):
        return share * (0.8 if labels >= 10 * ENOUGH_LABELS else 0.5 if labels >= ENOUGH_LABELS else 0.3)
    return share * (1.0 if labels >= ENOUGH_LABELS else 0.5)


def too_slow(case: Case) -> float:
    """How likely a retrieval step or a long prompt misses the latency budget, 0 to 1; 0 where it was measured."""
    budget = case.facts.latency_budget_ms
    if budget is None or case.facts.retrieval_p95_ms is not None:
        return 0.0
    return between(budget, LATENCY_WEIGHTS)


def volume(case: Case) -> Opinion | None:
    """Queries a month against what each approach costs: the share of draws in which each is the cheapest."""
    queries = case.facts.queries_per_month
    if queries is None:
        return None
    shares = case.money.p_cheapest(case.priced)
    order = sorted(shares, key=lambda approach: -shares[approach])
    if len(order) < 2:
        return None
    first, second = order[0], order[1]
    pushes = {approach: share * credibility(case, approach) for approach, share in shares.items()}
    weight = max(pushes.values()) - sorted(pushes.values())[-2]
    leading: Approach = max(pushes, key=lambda approach: pushes[approach])
    because = (
        f"At {count(queries)} queries a month {said(first)} is the cheapest in {percent(shares[first])} of the draws "
        f"({usd(case.money.mean_usd(first))} expected, {said(second)} {usd(case.money.mean_usd(second))})."
    )
    return Opinion(argues_for=leading, weight=weight, because=because, pushes=pushes)


def operations(case: Case) -> Opinion | None:
    """The discipline the team already carries is the cheaper one to go on with."""
    skills = case.facts.team_skills
    if skills.mlops == skills.ir_ops or None in (skills.mlops, skills.ir_ops):
        if skills.mlops is False and skills.ir_ops is False:
            because = "The team carries neither model nor retrieval operations: what needs neither costs least to keep."
            return Opinion(argues_for="prompt", weight=0.1, because=because, pushes={"prompt": 0.1})
        return None
    if skills.mlops:
        because = "The team carries model operations (datasets, training, rollback) and would have to build retrieval operations."
        return Opinion(argues_for="fine_tune", weight=0.25, because=because, pushes={"fine_tune": 0.25})
    because = "The team carries retrieval operations (ingestion, freshness, index quality) and would have to build model operations."
    return Opinion(argues_for="rag", weight=0.25, because=because, pushes={"rag": 0.25})


def same_model(case: Case) -> Opinion | None:
    """Most published break-evens compare a large model with retrieval to a small tuned one; compare the same model too."""
    if not case.needs_knowledge or case.scores or case.money.p_cheaper("fine_tune", "rag") < 0.5:
        return None
    because = "Part of this saving comes from a smaller model, not from tuning: price retrieval on that small model before deciding."
    return Opinion(argues_for="rag", weight=0.05, because=because, pushes={"rag": 0.05})
