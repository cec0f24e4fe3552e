"""Draws from ranges, and options' totals over them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from steelyard.economics.cost_model import Bind, closed_form, input_name, terms, traffic
from steelyard.schema.economics import Number, Range, Scenario, exact, range_of

Vector = NDArray[np.float64]
"""float64, (draws,)."""


def uncertain_inputs(scenario: Scenario) -> dict[str, Range]:
    """The inputs that are ranges with some width, by name, in the scenario's order."""
    ranges = {name: range_of(number) for name, number in scenario.inputs().items()}
    return {name: span for name, span in ranges.items() if span is not None and span.low < span.high}


def quantile(span: Range, share: Vector) -> Vector:
    """The value below which that share of the range's distribution lies: triangular, log-uniform, or uniform from 0.

    Shape of `share`, which holds numbers from 0 to 1. Source: the inverse distribution functions.
    """
    low, high = float(span.low), float(span.high)
    if span.mode is None:
        return low * np.exp(share * np.log(high / low)) if low > 0 else high * share
    mode, width = float(span.mode), high - low
    if width == 0:
        return np.full_like(share, low)
    rising = low + np.sqrt(share * width * (mode - low))
    falling = high - np.sqrt((1 - share) * width * (high - mode))
    return np.where(share < (mode - low) / width, rising, falling)


def draw_inputs(ranges: Mapping[str, Range], draws: int, rng: np.random.Generator) -> dict[str, Vector]:
    """Independent draws by input name."""
    return {name: quantile(span, rng.random(draws)) for name, span in ranges.items()}


def vector_bind(values: Mapping[str, Vector]) -> Bind[Vector]:
    """Binds the inputs in `values` to their draws, every other number to its point."""

    def bind(path: str, number: Number) -> Vector:
        found = values.get(input_name(path, number))
        return np.asarray(float(exact(number))) if found is None else found

    return bind


def total_draws(scenario: Scenario, values: Mapping[str, Vector]) -> NDArray[np.float64]:
    """Totals in USD, float64, (options, draws): inputs named in `values` take those values, all others their point.

    The arrays in `values` have one length, or none where they are single numbers; a name that no input has is ignored.
    """
    bind = vector_bind(values)
    flow = traffic(scenario, bind)
    draws = max((np.size(array) for array in values.values()), default=1)
    totals = [sum(closed_form(terms(scenario, option, bind), flow).values()) for option in scenario.options]
    return np.stack([np.broadcast_to(total, (draws,)) for total in totals])
