"""How sure the cheapest option is, which inputs decide it, and what finding them out is worth.

Vocabulary and estimators: total-order index of an input, the share of variance lost if it alone stayed unknown (Jansen, Analysis of
variance designs for model output, 1999); EVPI, the expected value of perfect information, and EVPPI, of one input's (Strong,
Oakley and Brennan, Estimating multiparameter partial expected value of perfect information, 2014, by regression).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from steelyard.economics.cost_model import costs
from steelyard.economics.sampling import Vector, draw_inputs, quantile, total_draws, uncertain_inputs
from steelyard.schema.costs import InputEffect, Simulation
from steelyard.schema.economics import Range, Scenario
from steelyard.schema.errors import FactsError
from steelyard.schema.money import cents

EVPPI_DEGREE = 5
"""Degree of the polynomial in the input's rank: bends enough for a cost with a kink; every term more adds noise that reads as worth."""

TAIL = 0.05
"""Intervals and tornado bars run from this quantile to its mirror image; the ends of a range are rarer than they look."""

LEAST_DRAWS = 100


def simulate(scenario: Scenario, draws: int = 10_000, seed: int = 0, *, effects: bool = True) -> Simulation:
    """Draw every range of the scenario and say which option is cheapest, how surely, and what decides it.

    Deterministic for a seed. Without ranges all draws are equal: the cheapest has probability 1 (equals share it), information is
    worth nothing, and there are no inputs. Without `effects` no input is looked at by itself; all else is the same.

    Raises:
        FactsError: the scenario has no option, or `draws` is below 100.
    """
    if not scenario.options:
        raise FactsError(
            "there is no option to price.", where="options", remedy="Add one.", code="economics.no_options"
        )
    if draws < LEAST_DRAWS:
        raise FactsError(f"{draws} draws say little.", remedy=f"Use {LEAST_DRAWS} or more.", code="economics.few_draws")
    ranges = uncertain_inputs(scenario)
    if not ranges:
        return _certain(scenario, draws, seed)
    rng = np.random.default_rng(seed)
    values = draw_inputs(ranges, draws, rng)
    totals = total_draws(scenario, values)
    names = [option.name for option in scenario.options]
    if not effects:
        return summarise(names, totals, draws=draws, seed=seed)
    leading = np.argsort(totals.mean(axis=1), kind="stable")[:2]
    inputs = _effects(scenario, ranges, values, totals, leading, draw_inputs(ranges, draws, rng))
    return summarise(names, totals, draws=draws, seed=seed, inputs=inputs)


def summarise(
    names: list[str], totals: NDArray[np.float64], *, draws: int, seed: int, inputs: tuple[InputEffect, ...] = ()
) -> Simulation:
    """What totals, float64 (options, draws), say about the choice; `names` are the options in row order."""
    means = totals.mean(axis=1)
    least = totals.min(axis=0)
    regret = np.maximum((totals - least).mean(axis=1), 0.0)
    low, high = np.quantile(totals, (TAIL, 1 - TAIL), axis=1)
    return Simulation(
        draws=draws,
        seed=seed,
        p_cheapest=dict(zip(names, p_cheapest(totals).tolist(), strict=True)),
        mean_usd=_by_name(names, means),
        interval_usd={name: (_usd(low[row]), _usd(high[row])) for row, name in enumerate(names)},
        regret_usd=_by_name(names, regret),
        evpi_usd=_usd(regret.min()),
        leaders=tuple(names[row] for row in np.argsort(means, kind="stable")[:2]),
        inputs=inputs,
    )


def p_cheapest(totals: NDArray[np.float64]) -> Vector:
    """For each option the share of draws in which it is the cheapest; float64, (options,), sums to 1. Equals share a draw."""
    winners = totals == totals.min(axis=0)
    shares: Vector = (winners / winners.sum(axis=0)).mean(axis=1)
    return shares


def evppi(values: Vector, totals: NDArray[np.float64]) -> float:
    """What knowing one input exactly is worth, USD: the expected fall of the least expected cost; from 0 to the EVPI.

    `values` is that input's draws, float64 (draws,); `totals` float64 (options, draws). Each option's expected cost given the
    input is a polynomial in the input's rank, fitted by least squares.
    """
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.linspace(-1, 1, len(values))
    design = np.polynomial.legendre.legvander(ranks, EVPPI_DEGREE)
    # Differences to the first option: what moves all options alike cannot change the choice, but would add noise.
    gaps = totals - totals[0]
    coefficients = np.linalg.lstsq(design, gaps.T, rcond=None)[0]
    expected = design @ coefficients
    worth = gaps.mean(axis=1).min() - expected.min(axis=1).mean()
    ceiling = gaps.mean(axis=1).min() - gaps.min(axis=0).mean()
    return float(np.clip(worth, 0.0, max(ceiling, 0.0)))


def total_order(outputs: Vector, swapped: Vector) -> float:
    """One input's total-order index, 0 to about 1: mean squared change when it alone is drawn anew, over twice the variance.

    `outputs` and `swapped` are the model's outputs before and after, float64 (draws,). 0 where the output never varies.
    """
    variance = float(outputs.var())
    return float(np.mean((outputs - swapped) ** 2) / (2 * variance)) if variance > 0 else 0.0


def _effects(
    scenario: Scenario,
    ranges: Mapping[str, Range],
    values: Mapping[str, Vector],
    totals: NDArray[np.float64],
    leading: NDArray[np.intp],
    fresh: Mapping[str, Vector],
) -> tuple[InputEffect, ...]:
    outputs = _gap(totals, leading)
    ends = np.array([TAIL, 1 - TAIL])
    effects = []
    for name, span in ranges.items():
        swapped = _gap(total_draws(scenario, {**values, name: fresh[name]}), leading)
        low, high = _gap(total_draws(scenario, {name: quantile(span, ends)}), leading)
        effects.append(
            InputEffect(
                input=name,
                total_order=total_order(outputs, swapped),
                evppi_usd=_usd(evppi(values[name], totals)),
                low_usd=_usd(low),
                high_usd=_usd(high),
            )
        )
    return tuple(sorted(effects, key=lambda effect: -effect.total_order))


def _gap(totals: NDArray[np.float64], leading: NDArray[np.intp]) -> Vector:
    """The runner-up less the cheapest; a lone option's own total."""
    gap: Vector = totals[leading[1]] - totals[leading[0]] if len(leading) > 1 else totals[leading[0]]
    return gap


def _certain(scenario: Scenario, draws: int, seed: int) -> Simulation:
    # From the exact totals, so that the shares and means agree with them to the last cent.
    exact = {cost.name: cost.total_usd for cost in costs(scenario)}
    least = min(exact.values())
    winners = [name for name, usd in exact.items() if usd == least]
    return Simulation(
        draws=draws,
        seed=seed,
        p_cheapest={name: 1 / len(winners) if name in winners else 0.0 for name in exact},
        mean_usd={name: cents(usd) for name, usd in exact.items()},
        interval_usd={name: (cents(usd), cents(usd)) for name, usd in exact.items()},
        regret_usd={name: cents(usd - least) for name, usd in exact.items()},
        evpi_usd=Decimal("0.00"),
        leaders=tuple(sorted(exact, key=lambda name: exact[name])[:2]),
    )


def _by_name(names: list[str], amounts: Vector) -> dict[str, Decimal]:
    return {name: _usd(amount) for name, amount in zip(names, amounts, strict=True)}


def _usd(amount: float) -> Decimal:
    return cents(Decimal(repr(float(amount))))
