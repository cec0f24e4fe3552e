"""Is the new version at most a little worse? Paired, one-sided tests of several metrics at once, and how many rows would settle it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.metrics.statistics import POWER, clustered_error

Outcome = Literal["passed", "worse", "open"]
"""Shown to be no worse than the margin; worse than that by what was seen; too few rows to tell."""

MOST_ROWS = 50_000
"""Nobody labels more rows than this to settle one promotion."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Differences of one metric, candidate minus production, higher is better; one value and one cluster for each item."""

    differences: Sequence[float] | NDArray[np.float64]
    clusters: Sequence[Hashable]
    margin: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rows show of one metric. `low` is the one-sided lower bound of the difference at the corrected level.

    `more_rows` is how many further rows would show it with power 0.8, None where it is not open, or no sensible number would.
    """

    outcome: Outcome
    mean: float
    low: float
    p_value: float
    rows: int
    more_rows: int | None


def noninferior(metrics: Mapping[str, Paired], *, alpha: float) -> dict[str, Verdict]:
    """Test each metric for "worse by the margin or more" with a clustered paired t-test, corrected for their number by Holm.

    The chance that any metric passes which is truly worse by its margin is at most `alpha`. The standard error is not taken below that
    of the rule of three (see `smallest_detectable`): rows without a difference are no proof that none would differ. Sources: Piaggio
    et al., Reporting of Noninferiority Trials, JAMA 2012; Holm 1979.
    """
    measured = {name: _measured(one) for name, one in metrics.items()}
    steps = _holm_levels({name: p for name, (_, _, _, p) in measured.items()}, alpha)
    found = {}
    for name, one in metrics.items():
        mean, error, degrees, p_value = measured[name]
        level, rejected = steps[name]
        low = mean - _quantile(1 - level, degrees) * error if math.isfinite(error) else -math.inf
        outcome: Outcome = "passed" if rejected else "worse" if mean <= -one.margin else "open"
        found[name] = Verdict(
            outcome=outcome,
            mean=mean,
            low=low,
            p_value=p_value,
            rows=len(one.differences),
            more_rows=_more_rows(one, mean, error, alpha / len(metrics)) if outcome == "open" else None,
        )
    return found


def _measured(one: Paired) -> tuple[float, float, int, float]:
    """Mean, standard error, degrees of freedom, one-sided p-value of "worse by the margin or more"."""
    from scipy.stats import t

    values = np.asarray(one.differences, dtype=np.float64)
    sums, sizes = _clustered(values, one.clusters)
    count = len(sums)
    if count < 2:
        return (float(values.mean()) if len(values) else 0.0), math.inf, 0, 1.0
    error = max(clustered_error(sums, sizes), math.sqrt(3) / count)
    mean = float(values.mean())
    return mean, error, count - 1, float(t.sf((mean + one.margin) / error, count - 1))


def _clustered(
    values: NDArray[np.float64], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    index: dict[Hashable, int] = {}
    rows = np.fromiter((index.setdefault(name, len(index)) for name in clusters), dtype=np.int64, count=len(values))
    sums = np.bincount(rows, weights=values, minlength=len(index)).astype(np.float64)
    return sums, np.bincount(rows, minlength=len(index)).astype(np.float64)


def _holm_levels(p_values: Mapping[str, float], alpha: float) -> dict[str, tuple[float, bool]]:
    """For each name the level it was tested at, and whether it was rejected; after the first that was not, none is."""
    found: dict[str, tuple[float, bool]] = {}
    going = True
    for rank, name in enumerate(sorted(p_values, key=lambda one: p_values[one])):
        level = alpha / (len(p_values) - rank)
        going = going and p_values[name] <= level
        found[name] = level, going
    return found


def _quantile(level: float, degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(level, degrees))


def _more_rows(one: Paired, mean: float, error: float, level: float) -> int | None:
    """Rows to add: the error falls with the root of the rows, and must reach the distance to the margin over z sums.

    The true difference is taken to be the one that was seen; it may have been luck, and then the next release asks for more.
    """
    distance = one.margin + mean
    if not math.isfinite(error) or distance <= 0:
        return None
    normal = NormalDist()
    wanted = distance / (normal.inv_cdf(1 - level) + normal.inv_cdf(POWER))
    rows = len(one.differences)
    needed = rows * (error / wanted) ** 2
    # Where the error is the floor of the rule of three it falls with the rows themselves, which the square overstates: the safe side.
    more = math.ceil(needed) - rows
    return None if more > MOST_ROWS else max(1, more)
