"""Scores retrieval configurations on questions with known documents, without touching the workspace's own index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from steelyard.components.fusion import DENSE, LEXICAL, NEUTRAL_WEIGHT, document_ranking, scaled
from steelyard.components.retriever import Retriever
from steelyard.corpus.passages import SplitSettings, split
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import DocumentVersion, Hit
from steelyard.schema.scope import Scope
from steelyard.schema.search import Configuration
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

POOL = 100
DEPTH = 10
TIMED = 20
"""Searches timed for the latency constraint."""


@dataclass(frozen=True, kw_only=True)
class GoldQuestion:
    """A question, who asks it, and the documents that answer it."""

    id: str
    text: str
    scope: Scope
    documents: Collection[str]


class RetrievalLab:
    """Indexes cuts when they are first needed, in memory; vectors come from `encoder`'s cache where they are known."""

    def __init__(
        self, versions: Sequence[DocumentVersion], questions: Sequence[GoldQuestion], encoder: CachedEncoder
    ) -> None:
        self._versions = versions
        self._questions = {one.id: one for one in questions}
        self._encoder = encoder
        self._indexes: dict[tuple[int, int], Retriever] = {}
        self._pools: dict[tuple[tuple[int, int], str], list[Hit]] = {}
        self._latency: dict[tuple[int, int], float] = {}

    def score(self, one: Configuration, questions: Sequence[str]) -> list[float]:
        """nDCG@10 by document of each question; every gold document is worth the same."""
        return [
            _ndcg(self._pool(one.cut, name), one.dense_weight, self._questions[name].documents) for name in questions
        ]

    def p95_ms(self, one: Configuration) -> float:
        """95th percentile of a search's milliseconds over TIMED questions, embedding the question included."""
        if one.cut not in self._latency:
            search = self._index(one.cut)
            plain = Retriever(search.store, self._encoder.inner, 1)
            times = []
            for question in list(self._questions.values())[:TIMED]:
                begin = perf_counter()
                plain.fused(question.text, question.scope, DEPTH, NEUTRAL_WEIGHT)
                times.append((perf_counter() - begin) * 1000)
            self._latency[one.cut] = float(np.percentile(times, 95))
        return self._latency[one.cut]

    def _pool(self, cut: tuple[int, int], name: str) -> list[Hit]:
        key = (cut, name)
        if key not in self._pools:
            question = self._questions[name]
            self._pools[key] = self._index(cut).fused(question.text, question.scope, POOL, NEUTRAL_WEIGHT)
        return self._pools[key]

    def _index(self, cut: tuple[int, int]) -> Retriever:
        if cut not in self._indexes:
            splitting = SplitSettings(size=cut[0], overlap=cut[1])
            passages = [passage for version in self._versions for passage in split(version, splitting)]
            store = MemoryStore()
            store.stage(1, Staged(passages, self._encoder.encode([one.search_text for one in passages])), [])
            self._indexes[cut] = Retriever(store, self._encoder, 1, collapse=False)
        return self._indexes[cut]


def _ndcg(pool: Sequence[Hit], weight: float, gold: Collection[str]) -> float:
    parts: list[Mapping[str, float]] = [
        scaled({hit.passage.id: dict(hit.parts).get(part, 0.0) for hit in pool}) for part in (LEXICAL, DENSE)
    ]
    scores = [(1 - weight) * parts[0][hit.passage.id] + weight * parts[1][hit.passage.id] for hit in pool]
    ranked = [Hit(passage=hit.passage, score=score) for hit, score in zip(pool, scores, strict=True)]
    documents = [name for name, _ in document_ranking(ranked)][:DEPTH]
    gains = sum(1 / np.log2(place + 2) for place, name in enumerate(documents) if name in gold)
    ideal = sum(1 / np.log2(place + 2) for place in range(min(DEPTH, len(set(gold)))))
    return float(gains / ideal) if ideal else 0.0
