"""Verdicts that cost nothing to say and much to leave out: the baseline is as good; do not tune the encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steelyard.decision.choice import Choice, comparison, quality, shown
from steelyard.schema.decision import CandidateEvidence, MeasuredComponent, Reason

BASELINE_AS_GOOD, DO_NOT_TUNE, TUNING_PAYS = "baseline_as_good", "do_not_tune", "tuning_pays"

PLAIN_VERDICTS = (DO_NOT_TUNE, BASELINE_AS_GOOD, TUNING_PAYS)
"""Criteria whose sentence is shown wherever the decision is, whatever else decided."""


def about_baseline(component: MeasuredComponent, choice: Choice) -> Iterator[Reason]:
    """That the plain baseline does as well as the best, where the paired comparison shows no difference.

    Where the interval of that pair leaves out 0 and only the correction for many pairs keeps it from being shown, nobody says "as good".
    """
    baseline = next((one for one in choice.tied if one.name == component.baseline), None)
    rivals = [one for one in choice.tied if one is not baseline]
    if baseline is None or not rivals:
        return
    rival = max(rivals, key=lambda one: quality(one).mean)
    gap = gap_text(component, rival, baseline)
    pair = comparison(component, rival.name, baseline.name)
    if pair is not None and (pair[0].difference.low if pair[1] > 0 else -pair[0].difference.high) > 0:
        because = f"{rival.name} looks better than the baseline {baseline.name} by {gap}, but {component.n_holdout} rows do not show it."
        yield Reason(
            criterion="no_difference", argues_for=baseline.approach, weight=0.5, because=because, kind="measured"
        )
        return
    because = (
        f"The baseline is as good: {rival.name} differs from {baseline.name} by {gap} on {component.n_holdout} rows, "
        "which shows nothing."
    )
    yield Reason(criterion=BASELINE_AS_GOOD, argues_for=baseline.approach, weight=0.8, because=because, kind="measured")


def about_tuning(component: MeasuredComponent) -> Iterator[Reason]:
    """Whether tuning the encoder's own weights beat the best head on a frozen encoder by more than the interval."""
    measured = [one for one in component.candidates if one.quality is not None]
    tuned = [one for one in measured if one.tunes_encoder]
    frozen = _frozen(component, measured)
    if not tuned or not frozen:
        return
    best, rival = (max(group, key=lambda one: quality(one).mean) for group in (tuned, frozen))
    gap, n = gap_text(component, best, rival), component.n_holdout
    if shown(component, best.name, rival.name) == "better":
        because = f"Tuning the encoder pays in quality: {best.name} is better than {rival.name} by {gap} on the same {n} rows."
        yield Reason(criterion=TUNING_PAYS, argues_for=best.approach, weight=0.6, because=because, kind="measured")
        return
    longer = f"; it takes {best.build_s / rival.build_s:,.0f} times as long to fit" if _slower(best, rival) else ""
    because = (
        f"Do not tune the encoder: {best.name} is not shown to be better than {rival.name}, from which it differs by {gap} "
        f"on the same {n} rows{longer}."
    )
    yield Reason(
        criterion=DO_NOT_TUNE, argues_for=f"against {best.name}", weight=0.85, because=because, kind="measured"
    )


def gap_text(component: MeasuredComponent, first: CandidateEvidence, second: CandidateEvidence) -> str:
    """The difference of two candidates with its interval, in percentage points of the metric."""
    found = comparison(component, first.name, second.name)
    if found is None:
        return f"{points(quality(first).mean - quality(second).mean)} points, not compared in pairs"
    one, sign = found
    low, high = sorted((sign * one.difference.low, sign * one.difference.high))
    return f"{points(sign * one.difference.mean)} points ({points(low)} to {points(high)})"


def points(difference: float) -> str:
    """A difference of shares in percentage points, one digit; never -0.0."""
    return f"{round(100 * difference, 1) + 0.0:.1f}"


def _frozen(component: MeasuredComponent, measured: Sequence[CandidateEvidence]) -> list[CandidateEvidence]:
    """Tuned candidates that leave the encoder alone; the plain baseline only where there is no other."""
    heads = [one for one in measured if one.approach == "fine_tune" and not one.tunes_encoder]
    return [one for one in heads if one.name != component.baseline] or heads


def _slower(best: CandidateEvidence, rival: CandidateEvidence) -> bool:
    return rival.build_s > 0 and best.build_s >= 2 * rival.build_s
