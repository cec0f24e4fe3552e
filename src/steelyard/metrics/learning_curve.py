"""Power laws through learning curves, with the uncertainty of what they foretell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.metrics.statistics import LEVEL
from steelyard.schema.curves import PowerLaw
from steelyard.schema.statistics import Interval

Matrix = NDArray[np.float64]

EXPONENTS = np.geomspace(0.02, 1.5, 90)
"""Flatter is no learning, steeper was never measured: Hestness et al. report 0.07 to 0.35 for deep networks, simple models reach 1."""

RESAMPLES = 400


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """The law through the means, and one for each bootstrap; `still_learning`: the last step's fall of the error is above 0 for sure."""

    law: PowerLaw
    laws: tuple[PowerLaw, ...]
    still_learning: bool


def fit_power_law(rows: Sequence[float], errors: Sequence[float], weights: Sequence[float] | None = None) -> PowerLaw:
    """The power law through mean errors by rows; see `fit_power_laws`."""
    return fit_power_laws(rows, np.asarray([errors], dtype=np.float64), weights)[0]


def fit_power_laws(
    rows: Sequence[float], errors: Matrix, weights: Sequence[float] | None = None
) -> tuple[PowerLaw, ...]:
    """The power law through each line of `errors`, float64, (laws, sizes), by weighted least squares; `weights` are inverse variances.

    Errors of 0 to 1. The scale is at least 0 and the floor between 0 and the smallest error, so that no law foretells getting worse. For
    each exponent of a fine grid the best scale and floor have a closed form, so the best of all is found, not a nearby one. Source of
    the form: Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017; Cortes et al., Learning Curves, NIPS 1993.

    Raises:
        ValueError: fewer than three sizes: three unknowns could not be told apart.
    """
    x, y = np.asarray(rows, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if len(set(x.tolist())) < 3:
        raise ValueError(f"a power law needs three sizes or more, got {len(set(x.tolist()))}")
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    w = w / w.sum()
    highest = y.min(axis=1)
    best = np.full(len(y), np.inf)
    found = np.zeros((len(y), 3))
    for exponent in EXPONENTS.tolist():
        fall = (x / x[0]) ** -exponent  # in units of the smallest size, so that the scale is an error
        for scale, floor in _corners(fall, y, w, highest):
            loss = (((scale[:, None] * fall + floor[:, None] - y) ** 2) * w).sum(axis=1)
            better = (loss < best) & (scale >= 0) & (floor >= 0) & (floor <= highest)
            best = np.where(better, loss, best)
            found[better] = np.column_stack([scale * x[0] ** exponent, np.full(len(y), exponent), floor])[better]
    return tuple(PowerLaw(scale=scale, exponent=exponent, floor=floor) for scale, exponent, floor in found.tolist())


def _corners(fall: Matrix, y: Matrix, w: Matrix, highest: Matrix) -> list[tuple[Matrix, Matrix]]:
    """Scale and floor, a pair for each law, where least squares inside a box can have its best: inside, and on each side."""
    mean_fall, mean_y = float(w @ fall), y @ w
    spread = float(w @ (fall - mean_fall) ** 2)
    inside = ((y - mean_y[:, None]) * (fall - mean_fall)) @ w / max(spread, 1e-18)
    power = float(w @ fall**2)

    def with_floor(floor: Matrix) -> tuple[Matrix, Matrix]:
        return np.maximum(((y - floor[:, None]) * fall) @ w / power, 0.0), floor

    flat = np.minimum(mean_y, highest)
    return [
        (inside, mean_y - inside * mean_fall),
        with_floor(np.zeros(len(y))),
        with_floor(highest),
        (np.zeros(len(y)), flat),
    ]


def resampled_laws(
    rows: Sequence[int], errors: Sequence[Matrix], *, resamples: int = RESAMPLES, seed: int = 0
) -> Resampled:
    """The law through the means, and one for each bootstrap of validation rows (the same for all sizes), with the noise of the draws.

    How much the mean error of a size varies with the rows drawn is pooled over the sizes that were drawn more than once: a few draws are
    too few to be drawn from again, and the largest size is drawn once.
    `errors[i]`, float64, (draws, items), are the errors of each validation row after learning from `rows[i]` rows, few to many. Sizes
    with little spread weigh more, in every fit alike.
    """
    rng = np.random.default_rng(seed)
    items = errors[0].shape[1]
    by_item = np.stack([matrix.mean(axis=0) for matrix in errors])
    means = np.stack([by_item[:, rng.integers(items, size=items)].mean(axis=1) for _ in range(resamples)])
    counts = np.array([len(matrix) for matrix in errors])
    means += rng.normal(0.0, 1.0, means.shape) * _draw_noise(errors) / np.sqrt(counts)
    means = np.clip(means, 0.0, 1.0)
    # A size that was never wrong has no spread of its own; one more wrong row is the least that could be seen.
    weights = (1.0 / np.maximum(means.var(axis=0), 1.0 / items**2)).tolist()
    law = fit_power_law(rows, [float(matrix.mean()) for matrix in errors], weights)
    fall = float(np.quantile(means[:, -2] - means[:, -1], (1 - LEVEL) / 2))
    return Resampled(
        law=law,
        laws=fit_power_laws(rows, means, weights),
        still_learning=fall > 0,
    )


def _draw_noise(errors: Sequence[Matrix]) -> float:
    """Standard deviation of a size's mean error from draw to draw, pooled; 0 where every size was drawn once."""
    spreads = [(len(matrix) - 1, float(matrix.mean(axis=1).var(ddof=1))) for matrix in errors if len(matrix) > 1]
    freedom = sum(count for count, _ in spreads)
    return float(np.sqrt(sum(count * spread for count, spread in spreads) / freedom)) if freedom else 0.0


def gain_between(
    law: PowerLaw,
    laws: Sequence[PowerLaw],
    before: int,
    after: int,
    *,
    still_learning: bool = True,
    level: float = LEVEL,
) -> Interval:
    """By how much the error falls from `before` to `after` rows: that of `law`, with quantiles over `laws` as the interval.

    A power law never stops falling; where the last step measured did not surely fall (`still_learning` False) the interval begins at 0.
    """
    values = np.array([one.error(before) - one.error(after) for one in laws])
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    mean = law.error(before) - law.error(after)
    low = float(low) if still_learning else 0.0
    return Interval(mean=mean, low=min(low, mean), high=max(float(high), mean), n=len(laws), level=level)


def score_at(law: PowerLaw, laws: Sequence[PowerLaw], rows: int, level: float = LEVEL) -> Interval:
    """The score, 1 - error, foretold for `rows` rows, with quantiles over `laws` as the interval."""
    values = np.array([1.0 - one.error(rows) for one in laws])
    low, high = np.quantile(values, ((1 - level) / 2, (1 + level) / 2))
    mean = 1.0 - law.error(rows)
    return Interval(mean=mean, low=min(float(low), mean), high=max(float(high), mean), n=len(laws), level=level)
