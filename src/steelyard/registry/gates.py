"""Gates before a promotion: no worse than production on every guarded metric, no leaks, the same answers in the served form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.metrics.noninferiority import Paired, Verdict, noninferior
from steelyard.schema.items import Task
from steelyard.schema.releases import Gate, Parity
from steelyard.schema.runs import RunRecord

GUARDED: Mapping[Task, tuple[str, ...]] = {
    "classify": ("accuracy", "out_of_scope_recall"),
    "answer": ("accuracy", "citation_validity", "refusal_recall", "stale_answers"),
    "write": ("fitting", "chrf", "format_valid", "slot_fidelity"),
}
"""What may not get worse, by task; a metric that a run did not score is left out."""

LOWER_IS_BETTER = frozenset({"stale_answers"})

LEAKS, PARITY, MEASURED = "leaks", "export_parity", "measured"
"""Names of the gates that are no metric."""

SHOWN_FLIPS = 5


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the gates allow: see `[gates]` in the settings. `margins` are of single metrics, `guarded` replaces the table above."""

    margin: float
    alpha: float
    agreement: float
    margins: Mapping[str, float] = field(default_factory=dict)
    guarded: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A version that wants to answer: its run, that of the version in production on the same rows, and how its forms agree.

    `production` None: nothing answers yet for this component, so there is nothing to be worse than; or it is `byte_equal` to this
    version; or it could not be measured, and `unmeasured` says why.
    """

    run: RunRecord
    production: RunRecord | None
    parities: Sequence[Parity] = ()
    byte_equal: bool = False
    unmeasured: str | None = None


def judge(contenders: Sequence[Contender], limits: Limits) -> tuple[Gate, ...]:
    """Every gate of every contender. The comparisons of all components are corrected together: they are one promotion."""
    pairs: dict[tuple[str, str], Paired] = {}
    gates: list[Gate] = []
    for one in contenders:
        if one.production is None:
            gates.append(_not_compared(one))
        for metric in _guarded(one.run, limits):
            paired = _paired(one, metric, limits)
            if paired is not None:
                pairs[(one.run.component, metric)] = paired
    names = {f"{component}/{metric}": (component, metric) for component, metric in pairs}
    verdicts = noninferior({name: pairs[key] for name, key in names.items()}, alpha=limits.alpha)
    for name, (component, metric) in names.items():
        gates.append(_metric_gate(component, metric, pairs[(component, metric)].margin, verdicts[name], limits))
    for one in contenders:
        gates.append(_leaks(one.run))
        gates += [_parity(one.run.component, parity, limits) for parity in one.parities]
    order = {one.run.component: at for at, one in enumerate(contenders)}
    return tuple(sorted(gates, key=lambda gate: order[gate.component]))


def _guarded(run: RunRecord, limits: Limits) -> tuple[str, ...]:
    wanted = tuple(limits.guarded) or GUARDED[run.task]
    # A reply is closer or further from the approved one for many good reasons: where its kind is known, that decides.
    if not limits.guarded and run.metric == "fitting":
        wanted = tuple(name for name in wanted if name != "chrf")
    return wanted


def _paired(one: Contender, metric: str, limits: Limits) -> Paired | None:
    """Items that both runs scored; None where there are none."""
    if one.production is None:
        return None
    mine, theirs = one.run.scores(metric), one.production.scores(metric)
    both = [result for result in one.run.items if result.item in mine and result.item in theirs]
    if not both:
        return None
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    return Paired(
        differences=[sign * (mine[result.item] - theirs[result.item]) for result in both],
        clusters=[result.cluster for result in both],
        margin=limits.margins.get(metric, limits.margin),
    )


def _metric_gate(component: str, metric: str, margin: float, verdict: Verdict, limits: Limits) -> Gate:
    name = metric.replace("_", " ")
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    seen = f"{name} differs by {_points(sign * verdict.mean)} on {verdict.rows:,} rows"
    bound = "no worse than by" if sign > 0 else "no more than by"
    allowed = f"{_points(margin)} are allowed"
    if verdict.outcome == "passed":
        detail = f"{seen}; {bound} {_points(max(0.0, -verdict.low))} with {1 - limits.alpha:.0%} confidence, {allowed}"
    elif verdict.outcome == "worse":
        detail = f"{seen}: it looks worse than the version in production by more than the {allowed}"
    elif verdict.more_rows is None:
        detail = f"not enough data: {seen}, and no number of rows that anybody would label can show that it is no worse"
    else:
        detail = (
            f"not enough data: label {verdict.more_rows:,} more rows that {name} is scored on; so far {seen}, {allowed}"
        )
    return Gate(
        component=component,
        metric=metric,
        passed=verdict.outcome == "passed",
        detail=detail,
        more_rows=verdict.more_rows,
    )


def _not_compared(one: Contender) -> Gate:
    run = one.run
    if one.unmeasured is not None:
        detail = f"the version in production cannot be measured on the rows of now: {one.unmeasured}"
        return Gate(component=run.component, metric=MEASURED, passed=False, detail=detail)
    detail = f"nothing is in production for {run.component} yet, so there is nothing to be worse than"
    if one.byte_equal:
        detail = "its files are byte for byte those of the version in production"
    return Gate(component=run.component, metric=run.metric, passed=True, detail=detail)


def _leaks(run: RunRecord) -> Gate:
    count = run.leaks
    detail = f"{count} passages shown that the asker may not see, on {len(run.items):,} rows; none is allowed"
    return Gate(component=run.component, metric=LEAKS, passed=count == 0, detail=detail)


def _parity(component: str, parity: Parity, limits: Limits) -> Gate:
    rows = f"{parity.rows - len(parity.flipped):,} of {parity.rows:,} rows"
    detail = (
        f"{parity.served} says what {parity.reference} says on {rows}, at least {limits.agreement:.1%} are required"
    )
    flips = ", ".join(one.item for one in parity.flipped[:SHOWN_FLIPS])
    if flips:
        more = len(parity.flipped) - SHOWN_FLIPS
        detail += f"; flipped: {flips}" + (f" and {more} more" if more > 0 else "")
    return Gate(
        component=component,
        metric=PARITY,
        passed=parity.agreement >= limits.agreement,
        detail=detail,
        flipped=parity.flipped,
    )


def _points(difference: float) -> str:
    return f"{round(100 * difference, 1) + 0.0:.1f} points"
