"""From what the criteria say to a verdict, for facts without gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from steelyard.decision.case import ENOUGH_LABELS, SOME_LABELS, TONE_LABELS, Case
from steelyard.decision.criteria import Hearing, hear
from steelyard.decision.money import price
from steelyard.decision.phrases import count, said, usd
from steelyard.decision.weighing import credibility
from steelyard.schema.decision import Facts, Pilot, Verdict
from steelyard.schema.items import Approach

SHARPNESS = 2.6
"""How a difference of summed weights becomes odds: 0.5 apart is about 79 to 21, 1 apart 93 to 7."""

DOUBT = 0.04
"""What the rules themselves may get wrong; no confidence is nearer to 1 than this leaves."""

LEAST_LEAD = 0.56
"""Below this probability no approach is called the better one."""

TIE = 0.61
"""Two approaches that were both measured to work, and of which the better has no more than this, are a toss-up."""

BOLD = 0.63
"""An unmeasured tuned model may be recommended for facts only from here, and only with examples to learn from."""

PILOT_USD = 8_000.0
"""What a pilot costs: about sixty hours, and labels for a few hundred questions."""

PILOT_QUESTIONS = 400
"""Enough to see a difference of about five points, paired."""

FACTS_LEARNED = 0.35
"""How often tuned facts reach the quality of retrieval, before a pilot; published studies say rarely."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on one case, the probability of each feasible approach, and what would settle an open one."""

    verdict: Verdict
    confidence: float
    shares: Mapping[Approach, float]
    hearing: Hearing
    next_step: str | None = None


@lru_cache(maxsize=8192)
def judge(facts: Facts) -> Judgement:
    """The verdict for facts whose gaps, if any, count as nothing unusual."""
    case = Case(facts, price(facts))
    hearing = hear(case)
    shares = _shares(hearing)
    if not shares:
        return Judgement("not_enough_evidence", 0.9, {}, hearing, _nothing_left(case))
    order = sorted(shares, key=lambda approach: -shares[approach])
    top = order[0]
    step = _unproven(case, top, len(shares))
    if step is not None:
        return Judgement("not_enough_evidence", 0.8, shares, hearing, step)
    step = _worth_a_pilot(case, hearing, shares, top)
    if step is not None:
        return Judgement("not_enough_evidence", max(0.6, min(0.9, 1.3 - shares[top])), shares, hearing, step)
    if len(order) > 1 and shares[top] < TIE and case.works(top) and case.works(order[1]):
        near = shares[top] + shares[order[1]] - abs(shares[top] - shares[order[1]])
        return Judgement("either", _sober(near), shares, hearing, None)
    if shares[top] < LEAST_LEAD:
        return Judgement("not_enough_evidence", 0.6, shares, hearing, _pilot_of(case, top, order[1]))
    return Judgement(top, _sober(shares[top]), shares, hearing, _before_building(case, top, shares[top]))


def _shares(hearing: Hearing) -> dict[Approach, float]:
    feasible = hearing.feasible
    if not feasible:
        return {}
    highest = max(hearing.scores[approach] for approach in feasible)
    odds = {approach: math.exp(SHARPNESS * (hearing.scores[approach] - highest)) for approach in feasible}
    total = sum(odds.values())
    return {approach: value / total for approach, value in odds.items()}


def _sober(probability: float) -> float:
    return max(0.0, min(1.0, probability)) * (1 - DOUBT)


def labels_wanted(case: Case) -> int:
    """From how many labelled examples on tuning pays for this behaviour."""
    return TONE_LABELS if case.facts.behaviour == "style" else SOME_LABELS


def _unproven(case: Case, top: Approach, left: int) -> str | None:
    """What to do first when a pilot struck out the rivals and what is left is only hoped for; None when it is sound."""
    missed = [approach for approach in case.approaches if case.meets(approach) is False]
    if not missed or case.works(top):
        return None
    labels = case.facts.examples_count or 0.0
    if top in ("fine_tune", "hybrid") and case.teaches_behaviour:
        if labels >= labels_wanted(case):
            return None
        more = int(max(ENOUGH_LABELS, labels_wanted(case)) - labels)
        why = f"{said(missed[0])} missed the target, and {count(labels)} examples are few"
        return f"Label about {more} more examples, then measure {said(top)}: {why}."
    if top == "prompt" and not case.teaches_behaviour and case.fits_prompt:
        return None
    if left > 1 or credibility(case, top) < 0.6 or top == "fine_tune":
        why = f"{said(missed[0])} missed it, and nothing shows that this reaches it"
        return f"Measure {said(top)} against the target before building: {why}."
    return None


def _worth_a_pilot(case: Case, hearing: Hearing, shares: Mapping[Approach, float], top: Approach) -> str | None:
    """The pilot to run when its outcome would change the verdict and is worth more than it costs; else None."""
    pair: tuple[Approach, Approach] = ("rag", "fine_tune")
    if case.facts.behaviour != "facts" or top not in pair or any(approach not in hearing.feasible for approach in pair):
        return None
    if case.works("rag") and case.works("fine_tune"):
        return None
    rival: Approach = "fine_tune" if top == "rag" else "rag"
    gain = float((case.money.totals["rag"] - case.money.totals["fine_tune"]).clip(min=0).mean())
    if top == "fine_tune":
        learnable = (case.facts.examples_count or 0.0) >= 10 * ENOUGH_LABELS or case.works("fine_tune")
        if shares[top] >= BOLD and learnable:
            return None
    elif FACTS_LEARNED * gain < PILOT_USD or _settled(case, top):
        return None
    return (
        f"Run a pilot before deciding: score {said('rag')} and {said('fine_tune')} on about {PILOT_QUESTIONS} reworded real questions. "
        f"If both answer alike, {said('fine_tune')} saves about {usd(gain)}; if not, {said('rag')} it is ({said(rival)} is unmeasured)."
    )


def _settled(case: Case, top: Approach) -> bool:
    """Whether retrieval stays the verdict even if a pilot finds tuning as good.

    Where retrieval was measured already, it stays unless tuning would clearly lead; where nothing was, it must clearly lead itself.
    """
    pilot = case.facts.measured
    target = pilot.target if pilot and pilot.target is not None else 0.9
    scores: dict[Approach, float] = {"rag": target, "fine_tune": target}
    equal = replace(case.facts, measured=Pilot(metric="answer accuracy", scores=scores, target=target))
    shares = _shares(hear(Case(equal, price(equal))))
    if case.works(top):
        return shares.get("fine_tune", 0.0) < TIE
    return shares.get(top, 0.0) >= TIE


def _nothing_left(case: Case) -> str:
    missed = [approach for approach in case.approaches if case.meets(approach) is False]
    if missed and "rag" in missed and case.needs_knowledge:
        step = "Improve retrieval first (passages, reranking, a better reader) and measure it again."
        return f"Nothing that is allowed reaches the target. {step}"
    if missed:
        labels = case.facts.examples_count or 0.0
        more = int(max(ENOUGH_LABELS - labels, SOME_LABELS))
        step = f"Label about {more} more examples and measure {said('fine_tune')}, or lower the target."
        return f"Nothing that is allowed reaches the target. {step}"
    return "The requirements exclude every approach. Find out which of them is truly hard."


def _pilot_of(case: Case, first: Approach, second: Approach) -> str:
    unmeasured = [approach for approach in (first, second) if not case.works(approach)]
    which = " and ".join(said(approach) for approach in unmeasured) or f"{said(first)} and {said(second)}"
    return f"Measure {which} on about {PILOT_QUESTIONS} real cases: the criteria are divided between {said(first)} and {said(second)}."


def _before_building(case: Case, top: Approach, share: float) -> str | None:
    """The check that a recommendation still wants, if there is one."""
    budget = case.facts.latency_budget_ms
    if top in ("rag", "hybrid") and budget is not None and budget <= 300 and case.facts.retrieval_p95_ms is None:
        return f"Measure the retrieval step: it must fit {count(budget)} ms. A cache or a smaller index usually fits."
    if share >= 0.85 or case.works(top):
        return None
    if top == "hybrid":
        return f"Measure {said('hybrid')} against plain retrieval on about {PILOT_QUESTIONS} real cases before tuning for good."
    if top == "fine_tune" and case.facts.behaviour == "facts":
        why = "nothing shows yet that the facts are learned"
        return f"Run a pilot on about {PILOT_QUESTIONS} reworded real questions before committing: {why}."
    if top == "fine_tune":
        return (
            "Measure a plain prompt on about 200 real cases first; if it reaches your target, nothing needs training."
        )
    return None
