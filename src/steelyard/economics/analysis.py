"""One scenario, everything that can be said about it."""

from __future__ import annotations

import numpy as np

from steelyard.economics.break_even import accuracy_gap, break_even, break_even_in
from steelyard.economics.cost_model import costs
from steelyard.economics.sampling import draw_inputs, total_draws, uncertain_inputs
from steelyard.economics.uncertainty import TAIL, simulate
from steelyard.schema.costs import Analysis, Crossing, CurvePoint
from steelyard.schema.economics import Scenario, exact
from steelyard.schema.errors import FactsError

CURVE_POINTS = 61
"""Volumes on the curve: enough for smooth lines over three decades."""

CURVE_DRAWS = 500
"""Draws behind the band at each volume; a 5th percentile of 500 moves by a percent or two, less than a line's width."""

CURVE_REACH = 30
"""The curve runs from a thirtieth to thirtyfold of the scenario's volume, further where the break-even lies outside."""

CROSSING_INPUTS = (
    "updates_per_year",
    "tokens.context",
    "tokens.output",
    "hour_usd",
    "growth_per_month",
    "horizon_months",
)
"""Inputs whose break-even is reported besides the volume; those that a scenario lacks are passed over."""


def analyse(scenario: Scenario, draws: int = 10_000, seed: int = 0) -> Analysis:
    """Costs, break-evens, uncertainty and the curve over volume; deterministic for a seed.

    Raises:
        FactsError: the scenario has no option, or `draws` is below 100.
    """
    if not scenario.options:
        raise FactsError(
            "there is no option to price.", where="options", remedy="Add one.", code="economics.no_options"
        )
    names = [option.name for option in scenario.options]
    pair = ("rag", "fine_tune") if {"rag", "fine_tune"} <= set(names) else tuple(names[:2])
    both = len(pair) == 2
    even = break_even(scenario, *pair) if both else None
    volume = float(even.queries_per_month) if even and even.queries_per_month else None
    return Analysis(
        queries_per_month=exact(scenario.queries_per_month),
        costs=costs(scenario),
        pair=pair,
        break_even=even,
        crossings=_crossings(scenario, *pair) if both else (),
        accuracy_gap=accuracy_gap(scenario, *pair) if both else None,
        simulation=simulate(scenario, draws, seed),
        curve=volume_curve(scenario, volume, seed),
        notes=scenario.notes,
    )


def _crossings(scenario: Scenario, first: str, second: str) -> tuple[Crossing, ...]:
    known = scenario.inputs()
    found = (break_even_in(scenario, name, first, second) for name in CROSSING_INPUTS if name in known)
    return tuple(crossing for crossing in found if crossing is not None)


def volume_curve(scenario: Scenario, marked: float | None = None, seed: int = 0) -> tuple[CurvePoint, ...]:
    """Each option's total over the volume in the first month, with its band; `marked` is a volume the curve must reach.

    All options see the same draws at every volume, so their bands may overlap while one is always the cheaper.
    """
    at = float(exact(scenario.queries_per_month)) or 1.0
    smallest, largest = at / CURVE_REACH, at * CURVE_REACH
    if marked and smallest / CURVE_REACH < marked < largest * CURVE_REACH:
        smallest, largest = min(smallest, marked / 3), max(largest, marked * 3)
    volumes = np.geomspace(smallest, largest, CURVE_POINTS)
    point = total_draws(scenario, {"queries_per_month": volumes})
    ranges = {name: span for name, span in uncertain_inputs(scenario).items() if name != "queries_per_month"}
    drawn = draw_inputs(ranges, CURVE_DRAWS, np.random.default_rng(seed))
    values = {name: np.tile(draws, CURVE_POINTS) for name, draws in drawn.items()}
    values["queries_per_month"] = np.repeat(volumes, CURVE_DRAWS)
    totals = total_draws(scenario, values).reshape(len(scenario.options), CURVE_POINTS, CURVE_DRAWS)
    low, high = np.quantile(totals, (TAIL, 1 - TAIL), axis=2)
    return tuple(
        CurvePoint(
            option=option.name,
            queries_per_month=float(volumes[column]),
            usd=float(point[row, column]),
            low_usd=float(low[row, column]),
            high_usd=float(high[row, column]),
        )
        for row, option in enumerate(scenario.options)
        for column in range(CURVE_POINTS)
    )
