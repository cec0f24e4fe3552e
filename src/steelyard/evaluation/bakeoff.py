"""From run records to a decided component: intervals, comparisons, money, recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steelyard.config import Settings
from steelyard.decision.burden import burden
from steelyard.decision.measured import recommend_measured
from steelyard.evaluation.costing import Measured, option_of
from steelyard.evaluation.pricing import Priced, price
from steelyard.evaluation.scoring import DECLINED, FIGURES, WRONG
from steelyard.metrics.scores import Score, Unscored
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.schema.decision import Burden, CandidateEvidence, Facts, MeasuredComponent, Requirements
from steelyard.schema.economics import Option, exact
from steelyard.schema.items import Approach, Split, Task
from steelyard.schema.runs import ItemResult, RunRecord
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import CandidateResult, ComponentResult

SAMPLES = 6
"""Holdout items shown per candidate in the report: wrong ones first, for they teach more."""


PAIR = ("rag", "fine_tune")
"""The approaches whose break-even a decision names."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What the table of candidates says of one.

    Role, approach, whether it is a plain baseline, how simple, if it tunes the encoder, and if it answers from documents in its prompt.
    """

    name: str
    approach: Approach
    role: str
    baseline: bool = False
    simplicity: int = 0
    tunes_encoder: bool = False
    reads_documents: bool = False


@dataclass(frozen=True, kw_only=True)
class Unmeasured:
    """A candidate that was not run, why, and what it would cost."""

    listed: Listed
    why: str
    option: Option | None = None


@dataclass(frozen=True, kw_only=True)
class Bakeoff:
    """What was measured of one component's candidates: all that a decision needs beside the settings.

    `results` are the measured candidates without their money, in the order of their runs, and `measured` what of them drives it.
    """

    name: str
    task: Task
    metric: str
    dataset: str
    n_train: int
    n_validation: int
    n_holdout: int
    results: tuple[CandidateResult, ...]
    measured: Mapping[str, Measured]
    comparisons: tuple[Comparison, ...]
    listed: Mapping[str, Listed]
    unmeasured: tuple[Unmeasured, ...] = ()


def decide_component(
    name: str,
    task: Task,
    split: Split,
    runs: Sequence[RunRecord],
    listed: Mapping[str, Listed],
    settings: Settings,
    *,
    updates_per_year: float,
    unmeasured: Sequence[Unmeasured] = (),
    holdout_uses: Mapping[str, float] | None = None,
    leaks_into_training: int = 0,
    seed: int = 0,
) -> ComponentResult:
    """Compare, price and decide one component from its runs; deterministic for a seed.

    Items that a run did not score on the primary metric count as they are: absent from its mean, and counted.
    """
    metric = runs[0].metric
    clusters = [result.cluster for result in runs[0].items]
    scores = {run.candidate: [_score(result, metric) for result in run.items] for run in runs}
    measured = {run.candidate: measured_run(run, len(split.train), clusters, seed) for run in runs}
    found = Bakeoff(
        name=name,
        task=task,
        metric=metric,
        dataset=split.dataset,
        n_train=len(split.train),
        n_validation=len(split.validation),
        n_holdout=len(split.holdout),
        comparisons=tuple(compare_all(scores, clusters, seed)),
        measured=measured,
        results=tuple(_result(run, listed[run.candidate], measured[run.candidate], clusters, seed) for run in runs),
        listed=listed,
        unmeasured=tuple(unmeasured),
    )
    decided = decide(found, settings, updates_per_year=updates_per_year, seed=seed)
    return replace(decided, holdout_uses=dict(holdout_uses or {}), leaks_into_training=leaks_into_training)


def decide(
    bakeoff: Bakeoff, settings: Settings, *, updates_per_year: float, seed: int = 0, sensitivity: bool = True
) -> ComponentResult:
    """Price what was measured and decide; nothing is measured again, so other settings may be tried in no time.

    Without `sensitivity` the inputs are not told apart by what they carry of the uncertainty; every other number is the same.
    """
    listed, measured = bakeoff.listed, bakeoff.measured
    options = [option_of(one, settings.economics) for one in measured.values()]
    options += [one.option for one in bakeoff.unmeasured if one.option is not None]
    priced = price(settings, updates_per_year, options, list(measured), listed, seed=seed, sensitivity=sensitivity)
    results = [replace(one, **priced.money(one.name)) for one in bakeoff.results]
    evidence = [_evidence(one, listed[one.name], measured[one.name], priced, settings) for one in results]
    evidence += [_unmeasured_evidence(one, priced) for one in bakeoff.unmeasured]
    component = _component(bakeoff, evidence, settings)
    decision = replace(
        recommend_measured(component),
        break_even_queries_per_month=_break_even(priced, listed),
    )
    chosen = next((option for option in options if option.name == decision.candidate), None)
    if chosen is not None:
        decision = replace(decision, burden=_burden(chosen, updates_per_year))
    excluded = {one.name: one.because for one in decision.excluded}
    results += [_unmeasured_result(one, priced) for one in bakeoff.unmeasured]
    return ComponentResult(
        name=bakeoff.name,
        task=bakeoff.task,
        metric=bakeoff.metric,
        dataset=bakeoff.dataset,
        n_train=bakeoff.n_train,
        n_validation=bakeoff.n_validation,
        n_holdout=bakeoff.n_holdout,
        candidates=tuple(sorted((_with_exclusion(one, excluded) for one in results), key=_order)),
        comparisons=bakeoff.comparisons,
        decision=decision,
        smallest_detectable_difference=component.smallest_detectable_difference,
        curve=priced.curve,
        sensitivity=priced.sensitivity,
        evpi_usd=priced.evpi_usd,
    )


def _burden(option: Option, updates_per_year: float) -> Burden:
    """The jobs of the option's approach, with the hours that its own cost is computed from."""
    jobs = burden(Facts(knowledge_update_per_year=updates_per_year), option.approach)
    hours = exact(option.operations_hours_per_month)
    hours += exact(updates_per_year) / 12 * exact(option.update_hours)
    hours += exact(option.retrains_per_year) / 12 * exact(option.retrain_hours)
    return replace(jobs, hours_per_month=float(hours))


def _component(bakeoff: Bakeoff, evidence: Sequence[CandidateEvidence], settings: Settings) -> MeasuredComponent:
    measured = {one.name for one in evidence if one.quality is not None}
    return MeasuredComponent(
        component=bakeoff.name,
        task=bakeoff.task,
        metric=bakeoff.metric,
        requirements=_requirements(settings, bakeoff.task),
        candidates=tuple(evidence),
        comparisons=bakeoff.comparisons,
        smallest_detectable_difference=_smallest(bakeoff.comparisons),
        n_holdout=bakeoff.n_holdout,
        baseline=next((one.name for one in bakeoff.listed.values() if one.baseline and one.name in measured), None),
        queries_per_month=settings.traffic.queries_per_month,
        wrong_answer_usd=settings.economics.wrong_answer_usd,
    )


def measured_run(run: RunRecord, train_rows: int, clusters: Sequence[str], seed: int) -> Measured:
    """What of a run drives its candidate's cost; `clusters` are the items' source documents."""
    return Measured(
        name=run.candidate,
        approach=run.approach,
        task=run.task,
        mean_seconds=float(np.mean(_busy_s(run))),
        build_s=run.build_s,
        train_rows=train_rows,
        wrong=mean_interval([_figure(result, WRONG) for result in run.items], clusters, seed=seed),
        declined=mean_interval([_figure(result, DECLINED) for result in run.items], clusters, seed=seed),
        usd_per_query=float(np.mean([result.usd for result in run.items])),
    )


def _busy_s(run: RunRecord) -> list[float]:
    """Seconds that each query keeps this machine busy: a generator that runs elsewhere is waited for, not worked for."""
    elsewhere = run.made_with.get("generator", "").startswith("openai:")
    return [max(0.0, one.seconds - one.generator_s) if elsewhere else one.seconds for one in run.items]


def _figure(result: ItemResult, name: str) -> float:
    # A prediction that failed is a wrong answer to whoever asked.
    return result.scores.get(name, 1.0 if name == WRONG and result.error else 0.0)


def _result(run: RunRecord, listed: Listed, measured: Measured, clusters: Sequence[str], seed: int) -> CandidateResult:
    latencies = np.array([result.seconds for result in run.items]) * 1000
    metrics = _metrics(run, clusters, seed)
    return CandidateResult(
        name=run.candidate,
        approach=listed.approach,
        role=listed.role,
        feasible=True,
        version=run.version,
        metric=run.metric,
        quality=metrics[run.metric],
        metrics=metrics,
        p50_ms=float(np.percentile(latencies, 50)),
        p95_ms=float(np.percentile(latencies, 95)),
        error_rate=measured.wrong.mean,
        handoff_rate=measured.declined.mean,
        build_s=run.build_s,
        refresh_s=run.refresh_s,
        peak_mb=run.peak_mb,
        tokens_in=float(np.mean([result.tokens_in for result in run.items])),
        tokens_out=float(np.mean([result.tokens_out for result in run.items])),
        tokens_cached=float(np.mean([result.tokens_cached for result in run.items])),
        usd_generator=float(np.mean([result.usd for result in run.items])),
        made_with=dict(run.made_with),
        leaks=run.leaks,
        refusal_recall=metrics["refusal_recall"].mean if "refusal_recall" in metrics else None,
        run_key=run.key,
        samples=tuple(samples_of(run)),
    )


def _metrics(run: RunRecord, clusters: Sequence[str], seed: int) -> dict[str, Interval]:
    names = dict.fromkeys(name for result in run.items for name in result.scores if name not in FIGURES)
    return {name: mean_interval([_score(one, name) for one in run.items], clusters, seed=seed) for name in names}


def _score(result: ItemResult, name: str) -> Score:
    return result.scores[name] if name in result.scores else Unscored("it does not apply to the item")


def samples_of(run: RunRecord) -> list[dict[str, object]]:
    """A few items of a run with what came out: wrong ones first, in file order."""
    rows = sorted(run.items, key=lambda result: result.scores.get(run.metric, 0.0) >= 0.5)
    return [
        {
            "text": result.text,
            "output": result.output,
            "expected": result.expected,
            "right": result.scores.get(run.metric, 0.0) >= 0.5,
        }
        for result in rows[:SAMPLES]
    ]


def _evidence(
    result: CandidateResult, listed: Listed, measured: Measured, priced: Priced, settings: Settings
) -> CandidateEvidence:
    can = can_do(listed.approach, measured.task) or listed.reads_documents
    errors = settings.economics
    per_query = measured.wrong.mean * errors.wrong_answer_usd + measured.declined.mean * errors.handoff_usd
    return CandidateEvidence(
        name=result.name,
        approach=result.approach,
        quality=result.quality,
        can_cite=can,
        can_scope=can,
        can_audit=can,
        can_erase=can,
        p50_ms=result.p50_ms,
        p95_ms=result.p95_ms,
        leaks=result.leaks,
        build_s=result.build_s or 0.0,
        refresh_s=result.refresh_s or 0.0,
        total_usd=result.usd_total,
        fixed_usd=priced.fixed_usd(result.name),
        error_usd=per_query * priced.queries,
        total_draws=priced.draws(result.name),
        p_cheapest=result.p_cheapest,
        simplicity=listed.simplicity,
        tunes_encoder=listed.tunes_encoder,
    )


def can_do(approach: Approach, task: Task) -> bool:
    """Whether answers of this kind can cite, be audited, respect who asks, and forget: what is learned into weights can do none.

    Labels and phrasing hold no knowledge, so for other tasks than `answer` the requirement is met by any approach.
    """
    return task != "answer" or approach in ("rag", "hybrid")


def _unmeasured_evidence(one: Unmeasured, priced: Priced) -> CandidateEvidence:
    total = priced.money(one.listed.name).get("usd_total") if one.option is not None else None
    return CandidateEvidence(
        name=one.listed.name,
        approach=one.listed.approach,
        quality=None,
        can_cite=one.listed.approach in ("rag", "hybrid", "prompt"),
        can_scope=one.listed.approach in ("rag", "hybrid"),
        total_usd=total,
        not_measured=one.why,
        simplicity=one.listed.simplicity,
    )


def _unmeasured_result(one: Unmeasured, priced: Priced) -> CandidateResult:
    money = priced.money(one.listed.name) if one.option is not None else {}
    return CandidateResult(
        name=one.listed.name,
        approach=one.listed.approach,
        role=one.listed.role,
        feasible=True,
        not_measured=one.why,
        **money,
    )


def _requirements(settings: Settings, task: Task) -> Requirements:
    wanted = settings.requirements
    knowledge = task == "answer"
    return Requirements(
        citations=wanted.citations and knowledge,
        audit=wanted.audit,
        scoping=wanted.scoping and knowledge,
        erasure=wanted.erasure and knowledge,
        residency=wanted.residency,
        p95_ms=wanted.p95_ms,
    )


def _break_even(priced: Priced, listed: Mapping[str, Listed]) -> int | None:
    """Where retrieval and fine-tuning cost the same, when the curve compares these two."""
    curve = priced.curve
    if curve is None or curve.break_even is None:
        return None
    return round(curve.break_even) if (listed[curve.first].approach, listed[curve.second].approach) == PAIR else None


def _smallest(comparisons: Sequence[Comparison]) -> float:
    finite = [one.smallest_detectable for one in comparisons if np.isfinite(one.smallest_detectable)]
    return float(np.median(finite)) if finite else 1.0


def _with_exclusion(result: CandidateResult, excluded: Mapping[str, str]) -> CandidateResult:
    if result.name not in excluded:
        return result
    return CandidateResult(**{**result.__dict__, "feasible": False, "why_not": excluded[result.name]})


def _order(result: CandidateResult) -> tuple[bool, bool, float]:
    quality = result.quality.mean if result.quality else 0.0
    return (result.quality is None, not result.feasible, -quality)
