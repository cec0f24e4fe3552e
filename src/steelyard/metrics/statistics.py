"""Means, intervals and comparisons: the one place where per-item scores become statistics.

Items that share a source document rise and fall together, so resampling draws whole clusters, never single items.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.metrics.scores import Score, Unscored
from steelyard.schema.statistics import Comparison, Interval

LEVEL = 0.95
ALPHA = 0.025  # a false "better" misleads a team for months: at most 1 in 40 families of twins, still 9 in 10 8-point winners
POWER = 0.8  # Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988
BOOTSTRAP_DRAWS = 4_000
PERMUTATION_DRAWS = 10_000  # smallest p 1e-4: stays below ALPHA after correction for 15 candidates (105 pairs)
_CELLS_AT_ONCE = 4_000_000  # draws are made in blocks of this many numbers, 16 MB

Array = NDArray[np.float64]


def mean_interval(
    scores: Sequence[Score] | Array, clusters: Sequence[Hashable] | None = None, *, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Mean of the scores with its bootstrap percentile interval at `level`, resampling whole `clusters`.

    `clusters[i]` names what item i shares with others; None: every item is its own. Percentiles are widened for few clusters
    (Hesterberg, What Teachers Should Know About the Bootstrap, 2015, section 4.3). Scores that are all 0 or all 1 get Wilson's
    interval over the clusters, because resampling them would claim certainty. A single cluster has no other to be drawn in its
    place: its items stand for themselves, and the interval says nothing of other clusters. No scored item: mean, low and high are NaN.
    """
    values, groups, unscored = _kept(scores, clusters)
    if len(values) == 0:
        return Interval(mean=math.nan, low=math.nan, high=math.nan, n=0, level=level, unscored=unscored)
    sums, sizes = _per_cluster(values[:, None], groups)
    if len(sums) == 1:
        sums, sizes = _per_cluster(values[:, None], range(len(values)))
    mean = float(values.mean())
    if len(np.unique(values)) == 1 and mean in (0.0, 1.0):
        low, high = wilson(mean, len(sums), level)
    else:
        low, high = _bootstrap(sums, sizes, level, seed)[0]
    return Interval(mean=mean, low=min(low, mean), high=max(high, mean), n=len(values), level=level, unscored=unscored)


def compare_all(
    scores: Mapping[str, Sequence[Score]],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    *,
    alpha: float = ALPHA,
) -> list[Comparison]:
    """Every pair of candidates on the same items, `first` minus `second`, in the mapping's order.

    Paired sign-flip permutation test on cluster sums (two-sided, 10,000 draws, the observed one counted in), corrected
    over all pairs by Holm; the interval of the difference is a clustered bootstrap at level 1 - `alpha`, not corrected. An
    item that either of two candidates leaves unscored is out of that pair. The same seed gives the same numbers.

    Raises:
        ValueError: the candidates were not scored on the same number of items, or `clusters` has another length.
    """
    lengths = {len(values) for values in scores.values()}
    if len(lengths) > 1 or (clusters is not None and lengths and len(clusters) not in lengths):
        raise ValueError("every candidate needs one score for each item, and clusters one name for each item")
    matrix = {name: _as_array(values) for name, values in scores.items()}
    groups = list(range(max(lengths, default=0))) if clusters is None else list(clusters)
    pairs = list(combinations(matrix, 2))
    p_values = [paired_p_value(matrix[first] - matrix[second], groups, seed=seed) for first, second in pairs]
    return [
        _comparison(first, second, matrix, groups, corrected, alpha, seed)
        for (first, second), corrected in zip(pairs, holm(p_values), strict=True)
    ]


def paired_p_value(
    differences: Sequence[Score] | Array, clusters: Sequence[Hashable], *, draws: int = PERMUTATION_DRAWS, seed: int = 0
) -> float:
    """Two-sided p-value of "the mean difference is 0": how often random signs of the cluster sums give as large a sum.

    Exact under the hypothesis that the two candidates could be swapped within each cluster. NaN differences are left out;
    none left, or all 0, gives 1.0. Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005.
    """
    values, groups, _ = _kept(differences, clusters)
    if len(values) == 0:
        return 1.0
    sums = _per_cluster(values[:, None], groups)[0][:, 0]
    sums = sums[sums != 0]
    if len(sums) == 0:
        return 1.0
    observed = abs(float(sums.sum()))
    rng = np.random.default_rng(seed)
    # Rounding must not turn a tie with the observed sum into a smaller one.
    bound = observed - 1e-9 * max(1.0, observed)
    hits = 0
    for size in _blocks(draws - 1, len(sums)):
        signs = rng.integers(0, 2, size=(size, len(sums)), dtype=np.int8) * np.int8(2) - np.int8(1)
        hits += int((np.abs(signs @ sums) >= bound).sum())
    return (hits + 1) / draws


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the order given. Source: Holm, Scandinavian Journal of Statistics, 1979.

    >>> [round(p, 6) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def smallest_detectable(
    differences: Sequence[Score] | Array, clusters: Sequence[Hashable], *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """The true mean difference that items with this spread show with `power` at `alpha`, in the unit of the scores.

    (z of 1 - alpha/2 plus z of power) x the clustered standard error. When nearly all differences are 0 the spread is not
    taken below that of one differing item in three times as many, the "rule of three": seeing none is not proof of none.
    No items: infinity.
    """
    values, groups, _ = _kept(differences, clusters)
    if len(values) == 0:
        return math.inf
    sums, sizes = _per_cluster(values[:, None], groups)
    error = clustered_error(sums[:, 0], sizes)
    floor = math.sqrt(3 / len(sums)) / math.sqrt(len(sums))
    return _z_sum(alpha, power) * max(error, floor)


def required_items(
    difference: float, spread: float, *, alpha: float = ALPHA, power: float = POWER, design: float = 1.0
) -> int:
    """Items needed to show `difference` with `power` at `alpha` when differences have standard deviation `spread`.

    `design` is the variance inflation of clustered items, 1 for independent ones (Kish, Survey Sampling, 1965).

    Raises:
        ValueError: `difference` is 0.
    """
    if difference == 0:
        raise ValueError("no number of items shows a difference of 0")
    return max(2, math.ceil(design * (_z_sum(alpha, power) * spread / difference) ** 2))


def clustered_error(sums: Array, sizes: Array) -> float:
    """Standard error of sum(sums) / sum(sizes) when clusters are the independent draws; infinity for one cluster.

    The linearised ratio estimator: sqrt(k / (k - 1) x sum of squared residuals) / total size.
    """
    count = len(sums)
    if count < 2:
        return math.inf
    residuals = sums - sizes * (sums.sum() / sizes.sum())
    return math.sqrt(count / (count - 1) * float((residuals**2).sum())) / float(sizes.sum())


def wilson(share: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share seen in `n` independent draws (Journal of the American Statistical Association, 1927)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _comparison(
    first: str,
    second: str,
    matrix: Mapping[str, Array],
    clusters: Sequence[Hashable],
    p_value: float,
    alpha: float,
    seed: int,
) -> Comparison:
    difference = matrix[first] - matrix[second]
    interval = mean_interval(difference, clusters, level=1 - alpha, seed=seed)
    verdict: Literal["better", "worse", "no_difference"] = "no_difference"
    if p_value < alpha:
        verdict = "better" if interval.mean > 0 else "worse"
    return Comparison(
        first=first,
        second=second,
        difference=interval,
        p_value=p_value,
        alpha=alpha,
        verdict=verdict,
        smallest_detectable=smallest_detectable(difference, clusters, alpha=alpha),
    )


def _as_array(scores: Sequence[Score] | Array) -> Array:
    """float64, (items,); NaN where there is no score."""
    return np.array([math.nan if isinstance(score, Unscored) else float(score) for score in scores], dtype=np.float64)


def _kept(scores: Sequence[Score] | Array, clusters: Sequence[Hashable] | None) -> tuple[Array, list[Hashable], int]:
    """The scores that exist, their clusters, and how many were left out."""
    values = _as_array(scores)
    there = ~np.isnan(values)
    names: Sequence[Hashable] = range(len(values)) if clusters is None else clusters
    if len(names) != len(values):
        raise ValueError(f"{len(values)} scores and {len(names)} clusters")
    return values[there], [name for name, kept in zip(names, there, strict=True) if kept], int((~there).sum())


def _per_cluster(values: Array, clusters: Sequence[Hashable]) -> tuple[Array, Array]:
    """Sums (clusters, columns) and sizes (clusters,), clusters in order of first appearance."""
    index: dict[Hashable, int] = {}
    rows = np.fromiter((index.setdefault(name, len(index)) for name in clusters), dtype=np.int64, count=len(values))
    sums = np.zeros((len(index), values.shape[1]))
    np.add.at(sums, rows, values)
    return sums, np.bincount(rows, minlength=len(index)).astype(np.float64)


def _bootstrap(sums: Array, sizes: Array, level: float, seed: int) -> list[tuple[float, float]]:
    """Interval of the ratio of totals, for each column of `sums`."""
    count = len(sums)
    rng = np.random.default_rng(seed)
    means: list[Array] = []
    for block in _blocks(BOOTSTRAP_DRAWS, count):
        drawn = rng.integers(0, count, size=(block, count), dtype=np.int32)
        # How often each cluster was drawn, then two matrix products: no gather of (draws, clusters, columns).
        weights = np.bincount(
            (drawn + np.arange(block, dtype=np.int64)[:, None] * count).ravel(), minlength=block * count
        ).reshape(block, count)
        means.append((weights @ sums) / (weights @ sizes)[:, None])
    tail = _tail(level, count)
    bounds = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    return [(float(low), float(high)) for low, high in bounds.T]


def _tail(level: float, count: int) -> float:
    """The percentile that a bootstrap interval over `count` clusters takes for half of 1 - level."""
    from scipy.stats import t

    if count < 2:
        return 0.0
    quantile = math.sqrt(count / (count - 1)) * float(t.ppf(0.5 - level / 2, count - 1))
    return NormalDist().cdf(quantile)


def _z_sum(alpha: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)


def _blocks(draws: int, width: int) -> list[int]:
    size = max(1, _CELLS_AT_ONCE // max(1, width))
    return [min(size, draws - at) for at in range(0, draws, size)]
