"""Runs of rows with their vectors, words and texts; in memory, or mapped from a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.stores.clusters import Clusters
from steelyard.stores.interface import Staged, Vectors
from steelyard.stores.postings import Postings, merged
from steelyard.stores.rows import Mask, Numbers
from steelyard.stores.texts import Texts, joined

BLOCK = 8192  # rows copied at a time


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows that stand together. `vectors` are in the order of `clusters` where there are any, else of the rows.

    `path` is the file the arrays are mapped from, None while they live in memory alone.
    """

    vectors: Vectors
    postings: Postings
    texts: Texts
    clusters: Clusters | None = None
    path: Path | None = field(default=None)

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, add: Staged) -> Segment:
        """What is staged, as a segment in memory."""
        return cls(add.vectors, Postings.of([entry.search_text for entry in add.passages]), Texts.of(add.passages))

    def of_rows(self, rows: Numbers) -> Vectors:
        """The vectors of some rows, in the order given; copied."""
        places = rows if self.clusters is None else self.clusters.place[rows]
        found: Vectors = self.vectors[places]
        return found

    def blocks(self) -> Iterator[Vectors]:
        """All vectors in the order of the rows, some at a time."""
        for start in range(0, len(self), BLOCK):
            if self.clusters is None:
                yield self.vectors[start : start + BLOCK]
            else:
                yield self.of_rows(np.arange(start, min(start + BLOCK, len(self))))

    def only(self, kept: Mask) -> Segment:
        """The rows where `kept` is true, as a segment in memory."""
        return Segment(self.of_rows(np.flatnonzero(kept)), self.postings.only(kept), self.texts.only(kept))


def one(parts: Sequence[Segment]) -> Segment:
    """The rows of all parts as one segment in memory."""
    if len(parts) == 1:
        return parts[0]
    vectors = np.concatenate([block for part in parts for block in part.blocks()])
    texts = Texts(joined([part.texts for part in parts]), np.concatenate([part.texts.blob for part in parts]))
    return Segment(vectors, merged([part.postings for part in parts]), texts)


def due(sizes: Sequence[int]) -> int:
    """From which place on the segments of these sizes should become one; `len(sizes)` when none should.

    As in a binary counter: each segment stays more than twice as large as what follows it, so there are few, and a row
    is copied a few times however many are staged.

    >>> due([1000, 10]), due([1000, 10, 8]), due([16, 10, 8])
    (2, 1, 0)
    """
    at = len(sizes)
    weight = 0
    for place in range(len(sizes) - 1, -1, -1):
        if weight and sizes[place] < 2 * weight:
            at = place
        weight += sizes[place]
    return at


def starts(parts: Sequence[Segment]) -> NDArray[np.int64]:
    """The first row of each part, and behind the last the number of all rows."""
    found: NDArray[np.int64] = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return found
