"""Which of the measured candidates to run: the choice alone, without its reasons, so that a flip search can repeat it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from steelyard.schema.decision import APPROACHES, CandidateEvidence, Excluded, MeasuredComponent, Verdict
from steelyard.schema.statistics import Comparison, Interval

COST_TIE = 0.05
"""Totals that differ by less than this share are the same for a decision: labour is not known better."""

COST_TIE_USD = 250.0
"""Nor does a difference of a few hours of work over the whole horizon decide anything."""

LABEL_USD = 3.0
"""What labelling one more holdout row costs, as in the reference scenario."""

MOST_ROWS = 50_000
"""Nobody labels more rows than this to settle one choice."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to run, and how it was found.

    `tied` are the candidates that the paired comparisons cannot tell from the best one in quality (it among them);
    `level` those of them whose cost is the same as well, simplest first. `costs` are expected totals with the errors of tied
    candidates set equal: a difference that was not shown is not paid for. `rows` is how many more holdout rows would settle an
    open choice, `rival` the candidate it is open against and `stake_usd` what knowing is worth.
    """

    verdict: Verdict
    candidate: CandidateEvidence | None
    excluded: tuple[Excluded, ...]
    feasible: tuple[CandidateEvidence, ...] = ()
    leader: CandidateEvidence | None = None
    tied: tuple[CandidateEvidence, ...] = ()
    level: tuple[CandidateEvidence, ...] = ()
    costs: dict[str, float] | None = None
    rows: int | None = None
    rival: CandidateEvidence | None = None
    stake_usd: float = 0.0


def choose(component: MeasuredComponent) -> Choice:
    """The candidate to run: feasible, then better where that was shown and is worth its money, then cheaper, then simpler."""
    excluded = tuple(
        one for candidate in component.candidates if (one := excluded_by(component, candidate)) is not None
    )
    out = {one.name for one in excluded}
    feasible = tuple(one for one in component.candidates if one.quality is not None and one.name not in out)
    if not feasible:
        return Choice(verdict="not_enough_evidence", candidate=None, excluded=excluded)
    leader = min(feasible, key=lambda one: (-quality(one).mean, *simplest_first(one)))
    tied = tuple(one for one in feasible if one is leader or shown(component, leader.name, one.name) != "better")
    priced = all(one.total_usd is not None for one in feasible)
    costs = _costs(feasible, tied) if priced else None
    quality_costs = any(one.error_usd > 0 for one in feasible)
    # Where a wrong answer has no price, better is better: nothing cheaper can pay for a shown difference.
    pool = feasible if quality_costs and costs is not None else tied
    level = _unbeaten(component, _level(pool, costs))
    candidate = level[0]
    found = Choice(
        verdict=candidate.approach,
        candidate=candidate,
        excluded=excluded,
        feasible=feasible,
        leader=leader,
        tied=tied,
        level=level,
        costs=costs,
    )
    return _settled(component, found)


def quality(candidate: CandidateEvidence) -> Interval:
    """The measured quality of a candidate that was measured."""
    assert candidate.quality is not None
    return candidate.quality


def simplest_first(candidate: CandidateEvidence) -> tuple[int, int]:
    """Sort key: simplicity, then the order of approaches."""
    return candidate.simplicity, APPROACHES.index(candidate.approach)


def comparison(component: MeasuredComponent, first: str, second: str) -> tuple[Comparison, float] | None:
    """The paired comparison of two candidates with the sign that makes it `first` minus `second`; None when not compared."""
    return component.pairs.get((first, second))


def shown(component: MeasuredComponent, first: str, second: str) -> str:
    """Whether `first` was shown to be `better` or `worse` than `second`, or `no_difference`.

    A pair that was not compared is told apart only by intervals that do not overlap.
    """
    found = comparison(component, first, second)
    if found is not None:
        one, sign = found
        if one.verdict == "no_difference" or sign > 0:
            return one.verdict
        return "worse" if one.verdict == "better" else "better"
    by_name = {one.name: one for one in component.candidates}
    a, b = quality(by_name[first]), quality(by_name[second])
    return "better" if a.low > b.high else "worse" if a.high < b.low else "no_difference"


def excluded_by(component: MeasuredComponent, candidate: CandidateEvidence) -> Excluded | None:
    """The hard requirement that a candidate cannot meet, the first of them; None when it meets all."""
    hard = component.requirements
    why: tuple[str, str] | None = None
    if candidate.leaks > 0:
        why = "scoping", f"It used {candidate.leaks} passages that the asker may not see; none is allowed."
    elif hard.scoping and not candidate.can_scope:
        why = "scoping", "It cannot restrict answers to what the asker may see."
    elif hard.citations and not candidate.can_cite:
        why = "provenance", "It cannot cite where an answer stands."
    elif hard.audit and not candidate.can_audit:
        why = "provenance", "It cannot show afterwards what an answer rested on."
    elif hard.erasure and not candidate.can_erase:
        why = "erasure", "It cannot forget: what was learned into weights is not deleted with the document."
    elif hard.residency and not candidate.stays_here:
        why = "residency", "It sends data to a provider; data may not leave."
    elif hard.p95_ms is not None and candidate.p95_ms is not None and candidate.p95_ms > hard.p95_ms:
        why = (
            "latency",
            f"Its 95th percentile is {candidate.p95_ms:,.0f} ms; at most {hard.p95_ms:,.0f} ms are allowed.",
        )
    elif hard.target is not None and candidate.quality is not None and candidate.quality.mean < hard.target:
        why = (
            "target_missed",
            f"It reaches {candidate.quality.mean:.3f} {component.metric}; at least {hard.target:g} is required.",
        )
    if why is None:
        return None
    return Excluded(name=candidate.name, approach=candidate.approach, criterion=why[0], because=why[1])


def _costs(feasible: Sequence[CandidateEvidence], tied: Sequence[CandidateEvidence]) -> dict[str, float]:
    pooled = fmean(one.error_usd for one in tied)
    level = {one.name for one in tied}
    return {
        one.name: (one.total_usd or 0.0) - (one.error_usd - pooled if one.name in level else 0.0) for one in feasible
    }


def _level(pool: Sequence[CandidateEvidence], costs: dict[str, float] | None) -> tuple[CandidateEvidence, ...]:
    """The candidates that cost what the cheapest of `pool` costs, within what is known of labour; simplest first."""
    if costs is None:
        return tuple(sorted(pool, key=simplest_first))
    lowest = min(costs[one.name] for one in pool)
    reach = lowest + max(COST_TIE * abs(lowest), COST_TIE_USD)
    return tuple(
        sorted(
            (one for one in pool if costs[one.name] <= reach), key=lambda one: (*simplest_first(one), costs[one.name])
        )
    )


def _unbeaten(component: MeasuredComponent, level: Sequence[CandidateEvidence]) -> tuple[CandidateEvidence, ...]:
    """Those of equal cost that no other of them was shown to be better than: simplicity never outweighs a shown difference."""
    return tuple(one for one in level if not any(shown(component, other.name, one.name) == "better" for other in level))


def _settled(component: MeasuredComponent, found: Choice) -> Choice:
    """The choice, or `either` between approaches that nothing tells apart, or open where more rows are worth their labels."""
    assert found.candidate is not None
    open_against = _open_against(component, found)
    if open_against is not None:
        rival, rows, stake = open_against
        return _replaced(found, verdict="not_enough_evidence", rows=rows, rival=rival, stake_usd=stake)
    twins = [
        one
        for one in found.level
        if one.simplicity == found.candidate.simplicity and one in found.tied and found.candidate in found.tied
    ]
    if len({one.approach for one in twins}) > 1:
        return _replaced(found, verdict="either")
    return found


def _replaced(found: Choice, **changes: object) -> Choice:
    from dataclasses import replace

    return replace(found, **changes)  # type: ignore[arg-type]


def _open_against(component: MeasuredComponent, found: Choice) -> tuple[CandidateEvidence, int, float] | None:
    """The tied rival whose lead, if it is real, is worth more than the labels that would show it; with rows and stake."""
    chosen, costs = found.candidate, found.costs
    worth = usd_per_error(found.feasible)
    if chosen is None or costs is None or worth <= 0 or chosen not in found.tied:
        return None
    best: tuple[CandidateEvidence, int, float] | None = None
    for rival in found.tied:
        pair = comparison(component, rival.name, chosen.name)
        if rival is chosen or pair is None:
            continue
        one, sign = pair
        difference = sign * one.difference.mean
        error = max(one.difference.high - one.difference.low, 1e-9) / (
            2 * NormalDist().inv_cdf((1 + one.difference.level) / 2)
        )
        needed = max(costs[rival.name] - costs[chosen.name], 0.0) / worth
        rows = more_rows(component.n_holdout, max(one.smallest_detectable, 1e-9), abs(difference - needed))
        stake = worth * _expected_excess(difference, error, needed)
        if difference <= 0 or one.smallest_detectable <= abs(difference) or rows is None or rows * LABEL_USD >= stake:
            continue
        if best is None or stake > best[2]:
            best = rival, rows, stake
    return best


def usd_per_error(candidates: Sequence[CandidateEvidence]) -> float:
    """What one whole unit of error rate costs over the horizon, USD: read off the candidate with the most errors."""
    rates = [
        (one.error_usd / (1 - quality(one).mean)) for one in candidates if quality(one).mean < 1 and one.error_usd > 0
    ]
    return max(rates, default=0.0)


def more_rows(rows: int, smallest_detectable: float, difference: float) -> int | None:
    """How many rows to add so that `difference` becomes the smallest detectable one; None where no sensible number would.

    The detectable difference falls with the square root of the rows.

    >>> more_rows(200, 0.06, 0.03)
    600
    """
    if difference <= 0:
        return None
    wanted = rows * ((smallest_detectable / difference) ** 2 - 1)
    if not math.isfinite(wanted) or wanted > MOST_ROWS:
        return None
    return max(1, math.ceil(round(wanted, 6)))


def _expected_excess(mean: float, spread: float, floor: float) -> float:
    """Expected amount by which a normal quantity exceeds `floor`. Source: the unit normal loss integral."""
    normal = NormalDist()
    z = (mean - floor) / spread
    return spread * (normal.pdf(z) + z * normal.cdf(z))
