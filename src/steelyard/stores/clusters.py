"""Vectors laid by likeness, so that a search reads the near ones and leaves the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.stores.interface import Vectors
from steelyard.stores.rows import Mask, Numbers

ROUNDS = 6  # of k-means; more moved recall by less than .001
SAMPLE = 48  # vectors a cluster that k-means looks at
SEED = 0


@dataclass(frozen=True, eq=False)
class Clusters:
    """Position p of the vectors holds row `order[p]`, row r lies at position `place[r]`, both int32.

    Cluster c takes positions `starts[c]` up to `starts[c + 1]`, rows ascending; `centroids` are float32, (clusters, dim),
    rows of length 1.
    """

    centroids: Vectors
    starts: NDArray[np.int64]
    order: NDArray[np.int32]
    place: NDArray[np.int32]

    def visible(self, mask: Mask) -> tuple[Numbers, NDArray[np.int64]]:
        """Positions of the rows in `mask`, ascending, and where among them each cluster begins."""
        positions = np.flatnonzero(mask[self.order])
        return positions, np.searchsorted(positions, self.starts)

    def near(self, vector: Vectors, bounds: NDArray[np.int64], wanted: int) -> Numbers:
        """The clusters nearest to `vector` that together hold `wanted` visible rows, or all; nearest first."""
        order = np.argsort(-(self.centroids @ vector), kind="stable")
        held = np.cumsum(np.diff(bounds)[order])
        enough = int(np.searchsorted(held, wanted, side="left")) + 1
        return order[:enough]


def clustered(blocks: Callable[[], Iterable[Vectors]], count: int) -> Clusters:
    """Clusters of `count` vectors of length 1, about the square root of their number: spherical k-means on a sample.

    `blocks` gives all vectors in order, some at a time, whenever it is called. Source: Sivic and Zisserman, Video Google,
    ICCV 2003 (inverted file); Dhillon and Modha, Concept Decompositions, Machine Learning 2001 (spherical k-means).
    """
    number = max(1, round(count**0.5))
    generator = np.random.default_rng(SEED)
    chosen = np.sort(generator.choice(count, size=min(count, number * SAMPLE), replace=False))
    sample = _picked(blocks(), chosen)
    centroids = sample[generator.choice(len(sample), size=number, replace=False)].copy()
    for _ in range(ROUNDS):
        own = _nearest(sample, centroids)
        sums = np.zeros_like(centroids)
        order = np.argsort(own, kind="stable")
        found, begins = np.unique(own[order], return_index=True)
        sums[found] = np.add.reduceat(sample[order], begins, axis=0)
        lost = np.setdiff1d(np.arange(number), found)
        sums[lost] = sample[generator.choice(len(sample), size=len(lost), replace=False)]
        centroids = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    own = np.concatenate([_nearest(block, centroids) for block in blocks()])
    positions: NDArray[np.int32] = np.argsort(own, kind="stable").astype(np.int32)
    place = np.empty(count, dtype=np.int32)
    place[positions] = np.arange(count, dtype=np.int32)
    starts = np.zeros(number + 1, dtype=np.int64)
    np.cumsum(np.bincount(own, minlength=number), out=starts[1:])
    return Clusters(centroids.astype(np.float32), starts, positions, place)


def _picked(blocks: Iterable[Vectors], rows: Numbers) -> Vectors:
    found = []
    start = 0
    for block in blocks:
        low, high = np.searchsorted(rows, (start, start + len(block)))
        found.append(np.array(block[rows[low:high] - start], dtype=np.float32))
        start += len(block)
    return np.concatenate(found)


def _nearest(vectors: Vectors, centroids: Vectors) -> Numbers:
    """The nearest centroid of each vector."""
    size = 8192
    return np.concatenate(
        [(vectors[start : start + size] @ centroids.T).argmax(axis=1) for start in range(0, len(vectors), size)]
    )
