"""What routers learn from and what they say: labelled rows, and votes on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.models.interface import Vectors
from steelyard.schema.items import Item

CARVED = 5  # without validation rows every fifth training row stands in for them


@dataclass(frozen=True)
class Labelled:
    """Texts with their vectors and labels, row by row."""

    texts: list[str]
    vectors: Vectors
    labels: list[str]

    def at(self, places: NDArray[np.int64]) -> Labelled:
        """The rows at these places."""
        kept = places.tolist()
        return Labelled([self.texts[at] for at in kept], self.vectors[places], [self.labels[at] for at in kept])

    def __add__(self, more: Labelled) -> Labelled:
        """These rows, then `more`."""
        vectors = np.concatenate([self.vectors, more.vectors])
        return Labelled([*self.texts, *more.texts], vectors, [*self.labels, *more.labels])


@dataclass(frozen=True)
class Votes:
    """Calibrated log probabilities (rows, labels), the labels' names, and what to add to the outside distance (rows,)."""

    log_probabilities: NDArray[np.float64]
    labels: list[str]
    strangeness: NDArray[np.float64]


def loss_of(votes: Votes, labels: Sequence[str]) -> float:
    """Mean -log probability of the labels that could be given; without any, infinity."""
    index = {label: at for at, label in enumerate(votes.labels)}
    known = [(row, index[label]) for row, label in enumerate(labels) if label in index]
    return -float(np.mean([votes.log_probabilities[place] for place in known])) if known else math.inf


def carved(rows: Sequence[Item], held: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Training rows with every fifth of each label moved to validation, when there are too few rows to calibrate on."""
    seen: dict[str, int] = {}
    kept: list[Item] = []
    moved = list(held)
    for item in rows:
        label = item.label or ""
        seen[label] = seen.get(label, 0) + 1
        (moved if seen[label] % CARVED == 0 else kept).append(item)
    return kept, moved
