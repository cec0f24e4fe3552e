"""The decision from facts alone: constraints, criteria, money, verdict, and what would change it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from steelyard.decision.burden import burden
from steelyard.decision.case import Case
from steelyard.decision.criteria import hear
from steelyard.decision.facts import FIELDS
from steelyard.decision.flips import flips
from steelyard.decision.money import price
from steelyard.decision.unknowns import completions, effects, known, missing, share_of, verdicts
from steelyard.decision.verdict import Judgement
from steelyard.schema.decision import APPROACHES, ComponentDecision, Decision, Facts, FactSheet, Reason
from steelyard.schema.items import Approach

AGREEMENT = 0.75
"""So many of the plausible completions must share a verdict before gaps in the facts are ignored."""

LOWEST_EXPONENT, HIGHEST_EXPONENT, HALVINGS = 1.0, 9.0, 16
"""A break-even is looked for between ten and a billion queries a month, to about a fiftieth of a percent."""


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
    step = _shared_step(agreeing)
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


def _shared_step(agreeing: Sequence[Judgement]) -> str | None:
    """The next step that most of the plausible completions ask for: none may rest on a fact that only one of them made up."""
    step, times = Counter(one.next_step for one in agreeing).most_common(1)[0]
    return step if 2 * times > len(agreeing) else None


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
    """Queries a month from which fine-tuning costs less than what it competes with in half of the draws.

    It competes with retrieval where knowledge is looked up, else with prompting; a pilot's errors are priced in. 0 when it is the
    cheaper at any volume, None when there is no such volume up to a billion.
    """
    typical = completions(facts)[0]
    rival: Approach = "rag" if Case(typical, price(typical)).needs_knowledge else "prompt"

    def tuned_leads(exponent: float) -> bool:
        return price(known(typical, "queries_per_month", 10.0**exponent)).p_cheaper("fine_tune", rival) >= 0.5

    low, high = LOWEST_EXPONENT, HIGHEST_EXPONENT
    if tuned_leads(low):
        return 0
    if not tuned_leads(high):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if tuned_leads(middle) else (middle, high)
    return int(round(10.0**high, 0))
