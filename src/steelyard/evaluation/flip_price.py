"""From which price of a wrong answer on hindsight would have chosen otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.evaluation.hindsight import Aged, Judged, lengths, months_between, share_of


@dataclass(frozen=True, kw_only=True)
class FlipPrice:
    """At `usd` a wrong answer `candidate` costs as much as the best choice did, and less above."""

    usd: float
    candidate: str


def wrong_answers(aged: Aged, judged: Judged) -> float:
    """How many requests of the whole replay were answered wrongly."""
    moments, count = judged.moments, 0.0
    for at, made, months in zip(moments, aged.made, lengths(moments), strict=True):
        queries = judged.prices.queries(months_between(moments[0], at)) * months
        count += queries * share_of(judged.verdicts(aged.candidate, made, at), "wrong")
    return count


def flip_price(best: Aged, ways: Sequence[Aged], totals: Mapping[str, float], judged: Judged) -> FlipPrice | None:
    """The lowest price above the one that holds at which another is as cheap as `best`; None where none ever is.

    Totals are straight lines in that price, trainings held as they were: another crosses where the extra money it took is made good by
    the wrong answers that it did not give.
    """
    now, most = judged.prices.economics.wrong_answer_usd, wrong_answers(best, judged)
    found = []
    for aged in ways:
        spared = most - wrong_answers(aged, judged)
        if aged is not best and spared > 0:
            found.append(FlipPrice(usd=now + (totals[aged.name] - totals[best.name]) / spared, candidate=aged.name))
    return min(found, key=lambda one: one.usd, default=None)
