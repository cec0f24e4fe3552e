"""Reads a `decision.json` back into the record that `weigh` wrote: what is shown later is what was decided then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from steelyard.schema.curves import LearningCurve
from steelyard.schema.decision import Burden, ComponentDecision, Excluded, Flip, Reason
from steelyard.schema.search import Configuration, Searched
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import (
    CandidateResult,
    ComponentResult,
    CostCurve,
    Sensitivity,
    SystemResult,
    WeighReport,
)

Raw = Mapping[str, Any]


def weigh_report_from_json(raw: Raw) -> WeighReport:
    """The report that `WeighReport.to_json` wrote; a number that JSON could not hold comes back as not a number.

    Raises:
        KeyError, TypeError, ValueError: something else was written, or by another version.
    """
    return WeighReport(
        workspace=raw["workspace"],
        created=raw["created"],
        inputs=dict(raw["inputs"]),
        provenance=dict(raw["provenance"]),
        components=tuple(_component(name, one) for name, one in raw["components"].items()),
        systems=tuple(_system(name, one) for name, one in raw.get("systems", {}).items()),
        system_comparisons=tuple(map(_comparison, raw.get("system_comparisons", ()))),
        systems_note=raw.get("systems_note"),
        skipped=tuple(raw.get("skipped", ())),
        files=dict(raw.get("files", {})),
    )


def _component(name: str, raw: Raw) -> ComponentResult:
    rows, learning, curve = raw["rows"], raw.get("learning"), raw.get("curve")
    searched = raw.get("search")
    return ComponentResult(
        name=name,
        task=raw["task"],
        metric=raw["metric"],
        dataset=raw["dataset"],
        n_train=rows["train"],
        n_validation=rows["validation"],
        n_holdout=rows["holdout"],
        candidates=tuple(map(_candidate, raw["candidates"])),
        comparisons=tuple(map(_comparison, raw["comparisons"])),
        decision=_decision(name, raw),
        smallest_detectable_difference=_number(raw["smallest_detectable_difference"]),
        curve=None if curve is None else _curve(curve),
        sensitivity=tuple(Sensitivity(**one) for one in raw["sensitivity"]),
        evpi_usd=raw["evpi_usd"],
        holdout_uses=dict(raw["holdout_uses"]),
        leaks_into_training=raw["leaks_into_training"],
        ageing=raw.get("ageing"),
        search=None if searched is None else _searched(searched),
        learning=None if learning is None else LearningCurve.from_json(learning),
    )


def _candidate(raw: Raw) -> CandidateResult:
    latency = raw["latency_ms"] or {}
    money = raw["usd"]
    quality = raw["quality"]
    return CandidateResult(
        name=raw["name"],
        approach=raw["approach"],
        role=raw["role"],
        feasible=raw["feasible"],
        why_not=raw["why_not"],
        not_measured=raw["not_measured"],
        version=raw["version"],
        metric="" if quality is None else quality["metric"],
        quality=None if quality is None else _interval(quality),
        metrics={name: _interval(one) for name, one in raw["metrics"].items()},
        p50_ms=latency.get("p50"),
        p95_ms=latency.get("p95"),
        usd_per_query=money["per_query"],
        usd_setup=money["setup"],
        usd_total=money["total"],
        usd_low=money["low"],
        usd_high=money["high"],
        usd_lines=dict(money["lines"]),
        usd_monthly=tuple(money["monthly"]),
        p_cheapest=money["p_cheapest"],
        error_rate=raw["error_rate"],
        handoff_rate=raw["handoff_rate"],
        build_s=raw["build_s"],
        refresh_s=raw["refresh_s"],
        peak_mb=raw["peak_mb"],
        tokens_in=raw["tokens"]["in"],
        tokens_out=raw["tokens"]["out"],
        leaks=raw["leaks"],
        refusal_recall=raw["refusal_recall"],
        run_key=raw["run"],
        samples=tuple(raw["samples"]),
    )


def _decision(name: str, raw: Raw) -> ComponentDecision:
    burden = raw["burden"]
    return ComponentDecision(
        component=name,
        task=raw["task"],
        recommendation=raw["recommendation"],
        candidate=raw["candidate"],
        confidence=raw["confidence"],
        reasons=tuple(Reason(**one) for one in raw["reasons"]),
        break_even_queries_per_month=raw["break_even_queries_per_month"],
        p_cheapest=dict(raw["p_cheapest"]),
        flips=tuple(map(_flip, raw["flips"])),
        next_step=raw["next_step"],
        excluded=tuple(Excluded(**one) for one in raw["excluded"]),
        burden=None if burden is None else _burden(burden),
        total_usd=dict(raw["total_usd"]),
    )


def _burden(raw: Raw) -> Burden:
    return Burden(**{**raw, "jobs": tuple(raw["jobs"]), "skills_to_build": tuple(raw["skills_to_build"])})


def _flip(raw: Raw) -> Flip:
    return Flip(
        input=raw["input"],
        from_value=raw["from"],
        to_value=raw["to"],
        becomes=raw["becomes"],
        candidate=raw.get("candidate"),
    )


def _curve(raw: Raw) -> CostCurve:
    totals = {name: tuple(values) for name, values in raw["totals"].items()}
    return CostCurve(**{**raw, "totals": totals, "queries_per_month": tuple(raw["queries_per_month"])})


def _system(name: str, raw: Raw) -> SystemResult:
    return SystemResult(
        name=name,
        parts=dict(raw["parts"]),
        quality=_interval(raw["quality"]),
        metrics={part: _interval(one) for part, one in raw["metrics"].items()},
        p50_ms=raw["latency_ms"]["p50"],
        p95_ms=raw["latency_ms"]["p95"],
        usd_per_query=raw["usd"]["per_query"],
        usd_total=raw["usd"]["total"],
        leaks=raw["leaks"],
        samples=tuple(raw["samples"]),
    )


def _comparison(raw: Raw) -> Comparison:
    least = raw["smallest_detectable"]
    # The level is not written: a comparison's interval is made at the one that its test uses.
    difference = replace(_interval(raw["difference"]), level=1 - raw["alpha"])
    bounds = {"smallest_detectable": math.inf if least is None else least, "difference": difference}
    return Comparison(**{**raw, **bounds})


def _interval(raw: Raw) -> Interval:
    mean, low, high = (_number(raw[end]) for end in ("mean", "low", "high"))
    return Interval(mean=mean, low=low, high=high, n=raw["n"])


def _searched(raw: Raw) -> Searched:
    broken: Sequence[Raw] = raw["broken"]
    names = ("size", "overlap", "dense_weight")
    return Searched(
        best=Configuration(**raw["best"]),
        ndcg=raw["ndcg_at_10"],
        current=Configuration(**raw["current"]),
        current_ndcg=raw["current_ndcg_at_10"],
        questions=raw["questions"],
        evaluations=raw["evaluations"],
        grid=raw["grid"],
        seconds=raw["seconds"],
        broken=tuple((Configuration(**{name: one[name] for name in names}), one["because"]) for one in broken),
        skipped=tuple(raw["skipped"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
