"""How far two judges agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.statistics import Interval

DRAWS = 10_000
LEVEL = 0.95


def cohen_kappa(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Agreement of two judges on the same rows beyond what their shares of "yes" give by chance: 1.0 full, 0.0 chance, below 0 worse.

    (observed - expected) / (1 - expected). Judges who both always say the same one thing show nothing: 0.0. No rows: 0.0.
    Source: Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement, 1960.

    Raises:
        ValueError: the judges did not judge the same number of rows.

    >>> cohen_kappa([True, True, False, False], [True, False, False, False])
    0.5
    """
    return float(_kappa(_table(first, second)[None, :].astype(np.float64))[0])


def kappa_interval(first: Sequence[bool], second: Sequence[bool], *, seed: int = 0) -> Interval:
    """Cohen's kappa with the percentile interval of 10,000 bootstrap draws of the rows; without rows from 0 to 0."""
    table = _table(first, second)
    rows = int(table.sum())
    if rows == 0:
        return Interval(mean=0.0, low=0.0, high=0.0, n=0, level=LEVEL)
    drawn = np.random.default_rng(seed).multinomial(rows, table / rows, size=DRAWS).astype(np.float64)
    low, high = np.quantile(_kappa(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = cohen_kappa(first, second)
    return Interval(mean=mean, low=min(float(low), mean), high=max(float(high), mean), n=rows, level=LEVEL)


def _table(first: Sequence[bool], second: Sequence[bool]) -> NDArray[np.int64]:
    """How often both say yes, only the first, only the second, neither."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} judgements against {len(second)}")
    pairs = list(zip(map(bool, first), map(bool, second), strict=True))
    kinds = ((True, True), (True, False), (False, True), (False, False))
    return np.array([pairs.count(kind) for kind in kinds], dtype=np.int64)


def _kappa(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kappa of each row of counts, (tables, 4)."""
    rows = np.maximum(tables.sum(axis=1), 1.0)
    both, only_first, only_second, neither = (tables / rows[:, None]).T
    yes_first, yes_second = both + only_first, both + only_second
    expected = yes_first * yes_second + (1 - yes_first) * (1 - yes_second)
    beyond = both + neither - expected
    return np.asarray(np.divide(beyond, 1 - expected, out=np.zeros_like(beyond), where=expected < 1 - 1e-12))
