"""Puts two rankings of the same passages into one, and chooses how much each counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Hit

LEXICAL, DENSE = "bm25", "dense"

WEIGHTS = tuple(step / 20 for step in range(21))
"""Dense weights that tuning tries: 0 is BM25 alone, 1 the vectors alone."""

NEUTRAL_WEIGHT = 0.6
"""Used where there is nothing to tune on: the middle of what tuning chose on five public sets (0.5 to 0.7)."""

DEPTH = 10  # documents counted in the score that tuning maximises: nDCG@10
FEWEST_QUESTIONS = 10  # below this the neutral weight is kept: two or three questions would decide


@dataclass(frozen=True, kw_only=True)
class TunedWeight:
    """The chosen dense weight, and the mean nDCG@10 of each weight tried (empty when there was too little to tune on)."""

    dense_weight: float
    ndcg: Mapping[float, float]
    questions: int


def scaled(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores as a share of the best one, 0 to 1; what is below 0 counts as 0, and all are 0 when none is above.

    Scaling from the score's own lower end (no shared term, no common direction) and not from the lowest score found
    keeps a passage's value independent of how many were retrieved. Source: Bruch, Gai and Ingber, An Analysis of
    Fusion Functions for Hybrid Retrieval, ACM TOIS 2023 (theoretical minimum).

    >>> scaled({"a": 4.0, "b": 1.0, "c": -2.0})
    {'a': 1.0, 'b': 0.25, 'c': 0.0}
    """
    best = max(scores.values(), default=0.0)
    return {name: score / best if score > 0.0 else 0.0 for name, score in scores.items()}


def convex(lexical: Mapping[str, float], dense: Mapping[str, float], dense_weight: float) -> dict[str, float]:
    """dense_weight * dense + (1 - dense_weight) * lexical, each scaled first; a passage missing from one counts 0 there.

    Raises:
        ValueError: `dense_weight` is not from 0 to 1.

    >>> convex({"a": 2.0, "b": 1.0}, {"b": 0.8}, 0.75)
    {'b': 0.875, 'a': 0.25}
    """
    if not 0.0 <= dense_weight <= 1.0:
        raise ValueError(f"dense_weight must be from 0 to 1, got {dense_weight}")
    by_words, by_meaning = scaled(lexical), scaled(dense)
    rest = 1.0 - dense_weight
    # A sum with 0 is exact, so a passage of one ranking alone needs no second look.
    fused = {name: dense_weight * share for name, share in by_meaning.items()}
    for name, share in by_words.items():
        fused[name] = fused.get(name, 0.0) + rest * share
    return fused


def document_ranking(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    """Documents by their best passage, best first, equal scores in document order.

    >>> document_ranking([])
    []
    """
    best: dict[str, float] = {}
    for hit in hits:
        best[hit.passage.document] = max(hit.score, best.get(hit.passage.document, float("-inf")))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))


def tune_dense_weight(pools: Sequence[Sequence[Hit]], gold: Sequence[Collection[str]]) -> TunedWeight:
    """The dense weight with which the documents in `gold[i]` rank best among `pools[i]`, by mean nDCG@10 over the questions.

    `pools[i]` is one question's fused hits with both parts, a hundred or so: `search.fused(text, scope, 100,
    NEUTRAL_WEIGHT)`; the weight they were fused with does not matter. The curve over the weights is smoothed over
    neighbours, because its single peak is mostly luck; ties go to the weight nearest the middle. A guard keeps fusion
    from doing harm: when one part alone scores higher on these questions than the chosen weight, that part is taken.
    Questions without gold are left out.

    Raises:
        ValueError: `pools` and `gold` differ in length.
    """
    pairs = [(pool, names) for pool, names in zip(pools, gold, strict=True) if names]
    if len(pairs) < FEWEST_QUESTIONS:
        return TunedWeight(dense_weight=NEUTRAL_WEIGHT, ndcg={}, questions=len(pairs))
    curve = np.mean([_ndcg_by_weight(pool, names) for pool, names in pairs], axis=0)
    chosen = _peak(curve)
    ends = (0, len(WEIGHTS) - 1)
    better = max(ends, key=lambda end: float(curve[end]))
    if curve[better] > curve[chosen]:
        chosen = better
    by_weight = {weight: float(score) for weight, score in zip(WEIGHTS, curve, strict=True)}
    return TunedWeight(dense_weight=WEIGHTS[chosen], ndcg=by_weight, questions=len(pairs))


def _peak(curve: NDArray[np.float64]) -> int:
    """Place of the highest mean over a weight and its two neighbours; the one nearest the middle among equals."""
    padded = np.pad(curve, 1, mode="edge")
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0
    middle = (len(curve) - 1) / 2
    return max(range(len(curve)), key=lambda place: (round(float(smooth[place]), 9), -abs(place - middle)))


def _ndcg_by_weight(pool: Sequence[Hit], gold: Collection[str]) -> NDArray[np.float64]:
    """nDCG@10 of one question for each of WEIGHTS; documents by their best passage, every gold document worth the same."""
    documents = list(dict.fromkeys(hit.passage.document for hit in pool))
    places = {name: place for place, name in enumerate(documents)}
    owner = np.array([places[hit.passage.document] for hit in pool], dtype=np.int64)
    lexical, dense = (_part(pool, name) for name in (LEXICAL, DENSE))
    relevant = np.array([name in gold for name in documents], dtype=bool)
    discounts = 1.0 / np.log2(np.arange(2, DEPTH + 2))
    ideal = discounts[: min(DEPTH, len(set(gold)))].sum()
    scores = np.zeros(len(WEIGHTS), dtype=np.float64)
    for place, weight in enumerate(WEIGHTS):
        best = np.full(len(documents), -np.inf)
        np.maximum.at(best, owner, weight * dense + (1.0 - weight) * lexical)
        order = np.argsort(-best, kind="stable")[:DEPTH]
        scores[place] = discounts[: len(order)][relevant[order]].sum() / ideal
    return scores


def _part(pool: Sequence[Hit], name: str) -> NDArray[np.float64]:
    values = scaled({str(place): dict(hit.parts).get(name, 0.0) for place, hit in enumerate(pool)})
    return np.array([values[str(place)] for place in range(len(pool))], dtype=np.float64)
