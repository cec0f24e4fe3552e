"""Finds passages for a question, for one asker, in one generation."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest

from steelyard.components.copies import distinct, newer_first
from steelyard.components.fusion import DENSE, LEXICAL, convex
from steelyard.models.interface import Encoder, Vectors
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Scope
from steelyard.stores.interface import Store
from steelyard.stores.rows import SCORE_DECIMALS

POOL = 200
"""Passages taken from each ranking before they are fused; from 200 to 1,000 nDCG@10 moved by less than .001 on three sets."""


class Retriever:
    """The `Search` of a workspace: one store, one generation, one encoder.

    Copies are returned once (see `copies.distinct`): the best-ranked one stays and names the others, and the next best fills
    the place. Only passages that the asker may see are looked at, so a copy that is hidden never hides one that is not.
    `collapse=False` returns every copy. With `prefer_newer` the newer of two pages that say nearly the same comes first (see
    `copies.newer_first`).
    """

    def __init__(
        self, store: Store, encoder: Encoder, generation: int, *, collapse: bool = True, prefer_newer: bool = False
    ) -> None:
        self.store = store
        self.encoder = encoder
        self.generation = generation
        self.collapse = collapse
        self.prefer_newer = prefer_newer

    def lexical(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """Best distinct passages by BM25; otherwise see `Store.lexical`."""
        return self._filled(lambda depth: self.store.lexical(text, scope, depth, self.generation), k)

    def dense(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """Best distinct passages by cosine to the embedded text; otherwise see `Store.dense`."""
        if k <= 0:
            return []
        vector = self._vector(text)
        return self._filled(lambda depth: self.store.dense(vector, scope, depth, self.generation), k)

    def fused(self, text: str, scope: Scope, k: int, dense_weight: float) -> list[Hit]:
        """Best distinct passages by convex fusion of the two rankings, best first, equal scores in passage-id order.

        The score is dense_weight * dense + (1 - dense_weight) * bm25, each as a share of its best (see
        `fusion.scaled`), 0 to 1. `parts` carries both scores as they were before scaling. Passages that score 0 are
        left out, so weight 0 gives the passages of `lexical`, and weight 1 those of `dense`.

        Raises:
            ValueError: `dense_weight` is not from 0 to 1.
        """
        if k <= 0:
            return []
        vector = self._vector(text)
        return self._filled(lambda depth: self._fuse(text, vector, scope, depth, dense_weight), k)

    def visible(self, scope: Scope) -> list[Passage]:
        """All passages of the generation that the asker may see, copies too, in passage-id order."""
        return self.store.passages(scope, self.generation)

    def _vector(self, text: str) -> Vectors:
        # Not remembered between calls: each candidate must pay for its own queries, or the second one measured looks
        # faster.
        vector: Vectors = self.encoder.encode([text])[0]
        return vector

    def _fuse(self, text: str, vector: Vectors, scope: Scope, depth: int, dense_weight: float) -> list[Hit]:
        # Also of what words alone found: without its cosine it would be ranked as if it were the opposite of the question.
        pool = self.store.pool(text, vector, scope, max(POOL, depth), self.generation)
        scores = convex(pool.lexical, pool.dense, dense_weight)
        # Rounded like the stores' own scores, so that equal texts tie; what rounding cannot bring among the best is left out first.
        least = 0.0 if len(scores) <= depth else nlargest(depth, scores.values())[-1] - 10.0**-SCORE_DECIMALS
        ranked = sorted((-round(score, SCORE_DECIMALS), name) for name, score in scores.items() if score >= least)
        rounded = {name: -lowered for lowered, name in ranked[:depth] if lowered < 0}
        return [
            Hit(
                passage=passage,
                score=rounded[passage.id],
                parts=((LEXICAL, pool.lexical.get(passage.id, 0.0)), (DENSE, pool.dense.get(passage.id, 0.0))),
            )
            for passage in self.store.named(list(rounded), scope, self.generation)
        ]

    def _filled(self, search: Callable[[int], list[Hit]], k: int) -> list[Hit]:
        """`k` distinct hits whenever there are that many: looks deeper until they are found or nothing is left."""
        if not self.collapse:
            return search(k)
        depth = k
        while True:
            hits = search(depth)
            kept = distinct(hits)
            if len(kept) >= k or len(hits) < depth:
                return newer_first(kept[:k]) if self.prefer_newer else kept[:k]
            depth *= 2
