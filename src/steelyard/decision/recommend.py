"""The decision from facts alone: constraints, criteria, money, verdict, and what would change it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import lru_cache

from steelyard.decision.burden import burden
from steelyard.decision.case import Case
from steelyard.decision.criteria import hear
from steelyard.decision.facts import FIELDS
from steelyard.decision.flips import flips
from steelyard.decision.money import price
from steelyard.decision.ranges import WIDE
from steelyard.decision.unknowns import completions, effects, missing, share_of, verdicts
from steelyard.economics.break_even import break_even
from steelyard.schema.decision import APPROACHES, ComponentDecision, Decision, Facts, FactSheet, Reason
from steelyard.schema.economics import exact, range_of
from steelyard.schema.items import Approach

AGREEMENT = 0.75
"""So many of the plausible completions must share a verdict before gaps in the facts are ignored."""


def decide(sheet: FactSheet) -> Decision:
    """The decision for every component of a facts file, each on its own facts."""
    return Decision(components=tuple(recommend(facts) for facts in sheet.components))


def recommend(facts: Facts) -> ComponentDecision:
    """The decision for one component.

    Gaps in the facts are filled in plausible ways; a verdict stands when three quarters of them share it, and is
    `not_enough_evidence` otherwise, with the most telling question as the next step. Confidence is the mean over the ways.
    """
    judgements = verdicts(facts)
    verdict, share = share_of(judgements)
    agreeing = [one for one in judgements if one.verdict == verdict]
    confidence = share * statistics.fmean(one.confidence for one in agreeing)
    step = agreeing[0].next_step
    if share < AGREEMENT:
        confidence = max(0.5, 1 - share * confidence)
        verdict, step = "not_enough_evidence", _question(facts)
    case = Case(facts, price(completions(facts)[0]))
    typical = agreeing[0].hearing
    hearing = typical if not missing(facts) else hear(case)
    approach: Approach | None = verdict if verdict in APPROACHES else None
    return ComponentDecision(
        component=facts.name,
        recommendation=verdict,
        confidence=confidence,
        reasons=_said(hearing.reasons, facts),
        break_even_queries_per_month=break_even_queries(facts),
        p_cheapest=_mean_cheapest(facts),
        flips=flips(facts, verdict),
        next_step=step,
        excluded=hearing.excluded,
        burden=None if approach is None else burden(facts, approach),
        total_usd={name: case.money.mean_usd(name) for name in case.priced} if not missing(facts) else {},
    )


def _said(reasons: tuple[Reason, ...], facts: Facts) -> tuple[Reason, ...]:
    """The reasons worth showing: those that rest on money are silent while the volume is unknown."""
    if facts.queries_per_month is not None:
        return reasons
    return tuple(
        reason for reason in reasons if reason.criterion not in ("small_corpus", "same_model", "many_examples")
    )


def _question(facts: Facts) -> str | None:
    found = effects(facts)
    if not found:
        return None
    key = max(found, key=lambda name: found[name])
    return f"Find out: {FIELDS[key].question[0].lower()}{FIELDS[key].question[1:]} ({key})"


def _mean_cheapest(facts: Facts) -> Mapping[str, float]:
    """Share of draws in which each approach in question is the cheapest, over the plausible completions."""
    sums: dict[str, float] = {}
    ways = completions(facts)
    for one in ways:
        case = Case(one, price(one))
        for approach, share in case.money.p_cheapest(case.priced).items():
            sums[approach] = sums.get(approach, 0.0) + share / len(ways)
    return {approach: sums[approach] for approach in APPROACHES if approach in sums}


def break_even_queries(facts: Facts) -> int | None:
    """Queries a month from which fine-tuning costs no more than what it competes with; None when there is no such volume.

    It competes with retrieval where knowledge is looked up, else with prompting. Every range stands at its middle.
    """
    case = Case(facts, price(facts))
    rival = "rag" if case.needs_knowledge else "prompt"
    return _break_even(
        rival,
        facts.knowledge_update_per_year or 0.0,
        facts.corpus_tokens or 0.0,
        facts.prompt_examples_tokens or 0.0,
        facts.examples_count or 0.0,
        10.0 if facts.behaviour == "classification" else 300.0,
        facts.horizon_months or 24,
    )


@lru_cache(maxsize=512)
def _break_even(
    rival: str, updates: float, corpus: float, shown: float, labels: float, output: float, horizon: int
) -> int | None:
    middle = {name: float(exact(number)) for name, number in WIDE.inputs().items() if range_of(number) is not None}
    price_in = middle["price.input"]
    values = {
        "fact.horizon_months": horizon,
        "fact.updates_per_year": updates,
        "fact.corpus_tokens": corpus,
        "fact.prompt_tokens": shown + (corpus if rival == "prompt" else 0.0),
        "fact.output_tokens": output,
        "derived.output_price": 4.5 * price_in,
        "derived.cached_price": 0.07 * price_in,
        "derived.cache_hit_rate": 0.5,
        "derived.tuned_price": 0.55 * price_in,
        "derived.tuned_output_price": 0.55 * 4.5 * price_in,
        "derived.labels_missing": max(0.0, 2000.0 - labels),
        "derived.hybrid_setup_hours": 0.0,
        "derived.hybrid_operations_hours": 0.0,
    }
    found = break_even(WIDE.replace(**values), rival, "fine_tune").queries_per_month
    return None if found is None else round(found)
