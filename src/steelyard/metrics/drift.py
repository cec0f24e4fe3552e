"""Drift between two sets of rows: population stability of labels, and the distance of mean vectors, each with a permutation test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 1000
PRIOR = 0.5  # added to every count: a label that one side lacks would make the index infinite (Jeffreys)

Counts = NDArray[np.float64]


def population_stability(expected: Counts, actual: Counts) -> float:
    """Population stability index of two sets of counts over the same labels: sum of (a - e) ln(a / e) over their shares, at least 0.

    The last axis is the labels; leading axes of `actual` give one index each. Rules of thumb call 0.1 a small and 0.25 a large shift, but
    the index of samples grows with the number of labels and shrinks with that of rows: read it beside a permutation test. Source: Lewis,
    An Introduction to Credit Scoring, 1994; it is the symmetric Kullback-Leibler divergence (Jeffreys, 1946).

    >>> round(float(population_stability(np.array([50.0, 50.0]), np.array([80.0, 20.0]))), 2)
    0.41
    """
    e = (expected + PRIOR) / (expected + PRIOR).sum(axis=-1, keepdims=True)
    a = (actual + PRIOR) / (actual + PRIOR).sum(axis=-1, keepdims=True)
    index: float = ((a - e) * np.log(a / e)).sum(axis=-1)
    return index


def label_drift(old: Sequence[str], new: Sequence[str], *, seed: int = 0) -> tuple[float, float]:
    """The population stability index from `old` to `new` labels, and the share of random splits of all rows that reach it.

    The observed split counts as one of them, so the share is never 0. Source: Phipson and Smyth, Permutation P-values Should Never Be
    Zero, 2010.
    """
    names = {name: at for at, name in enumerate(sorted({*old, *new}))}
    whole = np.array([names[label] for label in (*old, *new)], dtype=np.int64)
    first = np.bincount(whole[: len(old)], minlength=len(names)).astype(np.float64)
    total = np.bincount(whole, minlength=len(names)).astype(np.float64)
    observed = float(population_stability(first, total - first))
    rng = np.random.default_rng(seed)
    # Counts of a random split without replacement follow the multivariate hypergeometric distribution.
    drawn = rng.multivariate_hypergeometric(total.astype(np.int64), len(new), size=PERMUTATIONS).astype(np.float64)
    reached = np.asarray(population_stability(total - drawn, drawn)) >= observed - 1e-12
    return observed, float((1 + reached.sum()) / (1 + PERMUTATIONS))


def mean_shift(old: NDArray[np.float32], new: NDArray[np.float32], *, seed: int = 0) -> tuple[float, float]:
    """The distance between the mean vectors of two sets of rows, (rows, dim), and the share of random splits that reach it."""
    whole = np.concatenate([old, new]).astype(np.float64)
    count, size = len(whole), len(new)
    total = whole.sum(axis=0)

    def distance(of_new: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(of_new / size - (total - of_new) / (count - size), axis=-1))

    observed = float(distance(whole[len(old) :].sum(axis=0)))
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(PERMUTATIONS):
        chosen = rng.permutation(count)[:size]
        reached += bool(distance(whole[chosen].sum(axis=0)) >= observed - 1e-12)
    return observed, (1 + reached) / (1 + PERMUTATIONS)
