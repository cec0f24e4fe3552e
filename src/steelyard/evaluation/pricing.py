"""Prices a component's candidates together: totals, uncertainty, and the cost curve with its break-even."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from steelyard.config import Settings
from steelyard.economics.break_even import break_even
from steelyard.economics.cost_model import costs
from steelyard.economics.sampling import draw_inputs, total_draws, uncertain_inputs
from steelyard.economics.uncertainty import simulate
from steelyard.evaluation.costing import scenario_of
from steelyard.schema.costs import OptionCost, Simulation
from steelyard.schema.economics import Option, Scenario
from steelyard.schema.weighing import CostCurve, Sensitivity

DRAWS = 10_000
KEPT_DRAWS = 2_000
"""Draws handed to the decision per candidate: enough for a probability to two digits."""

CURVE_POINTS = 41
CURVE_SPAN = 100.0
"""The curve runs from a hundredth of today's traffic to a hundredfold."""

CURVE_LINES = 4


class HasApproach(Protocol):
    """Anything that tells its approach."""

    @property
    def approach(self) -> str:
        """The approach."""


@dataclass(frozen=True, kw_only=True)
class Priced:
    """The money of one component's candidates, all under the same scenario."""

    scenario: Scenario
    costs: Mapping[str, OptionCost]
    simulation: Simulation
    totals: Mapping[str, tuple[float, ...]]
    curve: CostCurve | None
    queries: float

    @property
    def evpi_usd(self) -> float:
        """What knowing every uncertain input would be worth."""
        return float(self.simulation.evpi_usd)

    @property
    def sensitivity(self) -> tuple[Sensitivity, ...]:
        """The uncertain inputs, the most telling first."""
        return tuple(
            Sensitivity(input=one.input, total_order=max(0.0, one.total_order), evppi_usd=float(one.evppi_usd))
            for one in self.simulation.inputs
        )

    def money(self, name: str) -> dict[str, Any]:
        """The money fields of a `CandidateResult`."""
        cost = self.costs[name]
        low, high = self.simulation.interval_usd.get(name, (cost.total_usd, cost.total_usd))
        setup = sum(float(usd) for line, usd in cost.lines.items() if line.startswith("setup_"))
        return {
            "usd_per_query": float(cost.usd_per_query),
            "usd_setup": setup,
            "usd_total": float(cost.total_usd),
            "usd_low": float(low),
            "usd_high": float(high),
            "usd_lines": {line: float(usd) for line, usd in cost.lines.items()},
            "usd_monthly": tuple(float(usd) for usd in cost.monthly),
            "p_cheapest": self.simulation.p_cheapest.get(name),
        }

    def fixed_usd(self, name: str) -> float:
        """USD over the horizon that do not grow with queries."""
        cost = self.costs[name]
        return float(cost.total_usd) - float(cost.usd_per_query) * self.queries

    def draws(self, name: str) -> tuple[float, ...]:
        """Totals under uncertain inputs; the i-th draw of every candidate shares its inputs."""
        return self.totals.get(name, ())


def price(
    settings: Settings,
    updates_per_year: float,
    options: Sequence[Option],
    measured: Sequence[str],
    listed: Mapping[str, HasApproach],
    *,
    seed: int = 0,
    sensitivity: bool = True,
) -> Priced:
    """Total, uncertainty and curve. P(cheapest) and the curve are among the measured candidates only.

    A candidate that was not measured has no error rate, so calling it the cheapest would compare it as if it never erred.
    `sensitivity` False leaves out what each input carries of the uncertainty, which is most of the work; all else is the same.
    """
    everything = scenario_of(settings, updates_per_year, tuple(options))
    chosen = tuple(option for option in options if option.name in measured)
    scenario = scenario_of(settings, updates_per_year, chosen)
    found = {cost.name: cost for cost in costs(everything)}
    ranges = uncertain_inputs(scenario)
    values = draw_inputs(ranges, KEPT_DRAWS, np.random.default_rng(seed))
    totals = total_draws(scenario, values)
    growth = settings.traffic.growth_per_month
    months = np.arange(settings.economics.horizon_months)
    return Priced(
        scenario=scenario,
        costs=found,
        simulation=simulate(scenario, draws=DRAWS, seed=seed, effects=sensitivity),
        totals={
            option.name: tuple(np.broadcast_to(row, KEPT_DRAWS).tolist())
            for option, row in zip(chosen, totals, strict=True)
        },
        curve=_curve(settings, scenario, found, listed),
        queries=float(settings.traffic.queries_per_month * np.sum((1.0 + growth) ** months)),
    )


def _curve(
    settings: Settings, scenario: Scenario, found: Mapping[str, OptionCost], listed: Mapping[str, HasApproach]
) -> CostCurve | None:
    names = _cheapest_per_approach([option.name for option in scenario.options], found, listed)
    if len(names) < 2:
        return None
    at = settings.traffic.queries_per_month
    volumes = np.geomspace(max(at, 1.0) / CURVE_SPAN, max(at, 1.0) * CURVE_SPAN, CURVE_POINTS)
    kept = Scenario(**{**scenario.__dict__, "options": tuple(scenario.option(name) for name in names)})
    # The curve shows the middle of every range, so that its break-even is the one named beside it.
    rows = total_draws(kept, {"queries_per_month": volumes})
    first, second = names[0], names[1]
    crossing = break_even(kept, first, second).queries_per_month
    return CostCurve(
        queries_per_month=tuple(float(volume) for volume in volumes),
        totals={
            name: tuple(np.broadcast_to(row, CURVE_POINTS).tolist()) for name, row in zip(names, rows, strict=True)
        },
        first=first,
        second=second,
        break_even=float(crossing) if crossing is not None and crossing > 0 else None,
        at=at,
    )


def _cheapest_per_approach(
    names: Sequence[str], found: Mapping[str, OptionCost], listed: Mapping[str, HasApproach]
) -> list[str]:
    """The cheapest candidate of each approach: retrieval first and fine-tuning second where both are there, then the rest."""
    best: dict[str, str] = {}
    for name in sorted(names, key=lambda one: found[one].total_usd):
        best.setdefault(listed[name].approach, name)
    order = ("rag", "fine_tune", "hybrid", "prompt")
    return [best[approach] for approach in order if approach in best][:CURVE_LINES]
