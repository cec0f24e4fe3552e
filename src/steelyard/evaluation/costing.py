"""Prices measured candidates: what each costs over the horizon on the team's own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steelyard.config import EconomicsSettings, Settings, TrafficSettings
from steelyard.schema.economics import Input, Option, Range, Scenario
from steelyard.schema.items import Approach, Task
from steelyard.schema.statistics import Interval

LABOUR_SPREAD = (0.5, 2.0)
"""Labour estimates are off by a factor of two either way often enough to plan for it."""

TRAFFIC_SPREAD = (0.7, 1.4)
"""The spread of next year's traffic around today's figure."""

BUSY_SHARE = 0.3
"""Share of the hours that a replica may be busy on average, so that peaks still meet the latency."""

HOURS_PER_MONTH = 730
CORES_PER_REPLICA = 2

BEHAVIOUR_UPDATES_PER_YEAR = 1.0
"""Label sets and house voices change about once a year unless the component's settings say otherwise."""

HYBRID_TUNING_SHARE = 0.5
"""Tuning on top of retrieval needs about half the labour of tuning alone: data and evaluation are shared with retrieval."""

RELABEL_SHARE = 0.1
"""Share of the labels that a knowledge change makes worth renewing in a tuned candidate."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What of a measured candidate drives its cost; rates are shares of all queries, with intervals.

    `mean_seconds` are those that it keeps a core busy, without what it waits for a generator elsewhere, whose calls cost `usd_per_query`.
    """

    name: str
    approach: Approach
    task: Task
    mean_seconds: float
    build_s: float
    train_rows: int
    wrong: Interval
    declined: Interval
    usd_per_query: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GeneratorCost:
    """A candidate that needs a generator, priced from measured token counts; its quality is unknown."""

    name: str
    approach: Approach
    task: Task
    system_tokens: float
    question_tokens: float
    context_tokens: float
    cached_tokens: float
    output_tokens: float
    input_usd_per_million: float
    cached_usd_per_million: float
    output_usd_per_million: float
    training_examples: int = 0
    training_usd_per_million: float = 0.0
    hosting_usd_per_month: float = 0.0


def scenario_of(settings: Settings, updates_per_year: float, options: tuple[Option, ...]) -> Scenario:
    """The workspace's scenario with these options; traffic is uncertain by TRAFFIC_SPREAD."""
    traffic, economics = settings.traffic, settings.economics
    return Scenario(
        horizon_months=economics.horizon_months,
        queries_per_month=_spread(traffic.queries_per_month, TRAFFIC_SPREAD),
        growth_per_month=traffic.growth_per_month,
        updates_per_year=_spread(updates_per_year, LABOUR_SPREAD),
        hour_usd=economics.hour_usd,
        label_usd=economics.label_usd,
        wrong_answer_usd=economics.wrong_answer_usd,
        handoff_usd=economics.handoff_usd,
        options=options,
    )


def check_prices(settings: Settings) -> None:
    """Nothing, when costs can be computed from these settings; asked before anything is built.

    Raises:
        FactsError: a number is outside what the cost model takes.
    """
    nothing = Interval(mean=0.0, low=0.0, high=0.0, n=0)
    trial = Measured(
        name="trial",
        approach="rag",
        task="answer",
        mean_seconds=0.0,
        build_s=0.0,
        train_rows=0,
        wrong=nothing,
        declined=nothing,
    )
    scenario_of(settings, 0.0, (option_of(trial, settings.economics),))


def option_of(measured: Measured, economics: EconomicsSettings) -> Option:
    """A measured candidate as an option: labour by approach, measured seconds at a core's price, a generator's calls, measured errors."""
    share = economics.embedded_share
    retrains = measured.approach in ("fine_tune", "hybrid")
    seconds = max(measured.mean_seconds, 1e-4)
    per_replica = BUSY_SHARE * HOURS_PER_MONTH * 3600 * CORES_PER_REPLICA / seconds
    labour = _labour(measured.approach, economics, share)
    relabels = round(RELABEL_SHARE * measured.train_rows) if retrains else 0
    return Option(
        name=measured.name,
        approach=measured.approach,
        **labour,
        setup_usd=round(measured.build_s * economics.cpu_hour_usd / 3600, 6),
        update_labels=relabels if measured.approach == "fine_tune" else 0,
        retrain_labels=relabels if measured.approach == "hybrid" else 0,
        hosting_usd_per_month=economics.cpu_hour_usd * CORES_PER_REPLICA * HOURS_PER_MONTH,
        queries_per_replica=max(1, round(per_replica)),
        usd_per_query=measured.usd_per_query,
        error_rate=_rate(measured.wrong),
        handoff_rate=_rate(measured.declined),
    )


def generator_option(cost: GeneratorCost, economics: EconomicsSettings) -> Option:
    """A candidate with a generator as an option; errors are left at 0 because they were not measured."""
    return Option(
        name=cost.name,
        approach=cost.approach,
        **_labour(cost.approach, economics, 1.0),
        input_tokens=tuple(round(tokens) for tokens in (cost.system_tokens, cost.question_tokens, cost.context_tokens)),
        cached_tokens=round(cost.cached_tokens),
        output_tokens=round(cost.output_tokens),
        input_usd_per_million=cost.input_usd_per_million,
        cached_usd_per_million=cost.cached_usd_per_million,
        output_usd_per_million=cost.output_usd_per_million,
        training_examples=cost.training_examples,
        tokens_per_example=round(cost.system_tokens + cost.question_tokens + cost.output_tokens),
        epochs=3 if cost.training_examples else 0,
        training_usd_per_million=cost.training_usd_per_million,
        setup_runs=4 if cost.training_examples else 0,
        update_runs=2 if cost.training_examples else 0,
        hosting_usd_per_month=cost.hosting_usd_per_month,
    )


def updates_per_year(task: Task, traffic: TrafficSettings, own: float | None, measured: float | None) -> float:
    """Changes a year that a component must follow.

    Its own setting; else for answers the traffic setting, the measured rate of the documents, or 4; else
    BEHAVIOUR_UPDATES_PER_YEAR.
    """
    if own is not None:
        return own
    if task != "answer":
        return BEHAVIOUR_UPDATES_PER_YEAR
    if traffic.updates_per_year is not None:
        return traffic.updates_per_year
    return measured if measured is not None else 4.0


def _labour(approach: Approach, economics: EconomicsSettings, share: float) -> dict[str, Any]:
    # Embedded and self-built candidates of one approach need different hours, so their inputs carry different names.
    kind = "labour" if share < 1.0 else "own_labour"

    def hours(name: str, value: float) -> Input:
        return Input(name=f"{kind}.{approach}.{name}", value=_spread(value * share, LABOUR_SPREAD))

    if approach == "prompt":
        return {
            "setup_hours": hours("setup", economics.prompt_setup_hours),
            "operations_hours_per_month": hours("operations", economics.prompt_operations_hours_per_month),
            "update_hours": hours("update", economics.rag_update_hours),
        }
    if approach == "rag":
        return {
            "setup_hours": hours("setup", economics.rag_setup_hours),
            "operations_hours_per_month": hours("operations", economics.rag_operations_hours_per_month),
            "update_hours": hours("update", economics.rag_update_hours),
        }
    if approach == "fine_tune":
        return {
            "setup_hours": hours("setup", economics.fine_tune_setup_hours),
            "operations_hours_per_month": hours("operations", economics.fine_tune_operations_hours_per_month),
            "update_hours": hours("update", economics.fine_tune_update_hours),
        }
    extra = HYBRID_TUNING_SHARE
    return {
        "setup_hours": hours("setup", economics.rag_setup_hours + extra * economics.fine_tune_setup_hours),
        "operations_hours_per_month": hours(
            "operations",
            economics.rag_operations_hours_per_month + extra * economics.fine_tune_operations_hours_per_month,
        ),
        "update_hours": hours("update", economics.rag_update_hours),
        "retrains_per_year": Input(name=f"{kind}.hybrid.retrains_per_year", value=BEHAVIOUR_UPDATES_PER_YEAR),
        "retrain_hours": hours("retrain", extra * economics.fine_tune_update_hours),
    }


def _spread(value: float, spread: tuple[float, float]) -> Range | float:
    return Range(low=value * spread[0], mode=value, high=value * spread[1]) if value > 0 else 0.0


def _rate(interval: Interval) -> Range | float:
    low, mean, high = (min(max(value, 0.0), 1.0) for value in (interval.low, interval.mean, interval.high))
    return Range(low=min(low, mean), mode=mean, high=max(high, mean)) if high > low else mean
