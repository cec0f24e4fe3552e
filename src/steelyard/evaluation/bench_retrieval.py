"""The retrieval benchmark: BM25, vectors and their fusion on five open data sets, with bm25s beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.components.fusion import NEUTRAL_WEIGHT, document_ranking, tune_dense_weight
from steelyard.components.retriever import POOL, Retriever
from steelyard.corpus.passages import SplitSettings, split
from steelyard.evaluation.retrieval_sets import SETS, RetrievalSet, load_retrieval_set
from steelyard.metrics.ranking import Run, ndcg, recall
from steelyard.metrics.scores import scored
from steelyard.metrics.statistics import mean_interval
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Scope
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

Progress = Callable[[int, int], None]

PASSAGES = SplitSettings()
"""How documents are cut: the product's default, which `steelyard bench chunking` chose on the first halves of the queries."""

PEERS: Mapping[str, float] = {
    "postgresql15_docs": 0.681,
    "clapnq_dev": 0.986,
    "cranfield": 0.413,
    "xquad_en": 0.983,
    "medquad": 0.853,
}
"""Best nDCG@10 over all queries of five published stacks in their default configurations, each kind of search counted, with the same
encoder."""

STEPS = 1000  # of progress for each set: embedding its passages is nearly all of the time

ASKER = Scope()
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One method's documents for each query, best first."""

    method: str
    run: Run
    dense_weight: tuple[float, ...] = ()


def bench_retrieval(data_root: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Measure every set in `data_root`; the result is `{"name": "retrieval", "rows": [...]}`.

    There is one row for each set and method, and one for each set that compares fusion with its better part and the best
    peer. Documents rank by their best passage. All queries are scored; the fusion weight of a query is tuned on the other
    half of the queries (two folds, seeded), so no query has a part in its own weight. `held_out` repeats every score for the
    second half alone, which had no part in any choice: the weight comes from the first half, and so does the size of
    passages. A half can be harder than the whole: the baselines' `held_out` says by how much. `gain` is fusion minus its
    better part, with its interval.
    `cache` keeps vectors by content, so a second run is quick. A set that is not there is a row that says so.
    """
    encoder = load_encoder("minilm")
    cached = CachedEncoder(encoder, cache / "vectors.sqlite")
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(SETS):
        progress(place * STEPS, len(SETS) * STEPS)
        if not (data_root / name).is_dir():
            rows.append({"set": name, "missing": f"no folder {name} in the data folder"})
            continue
        rows += measure_set(load_retrieval_set(data_root / name), cached, _part(progress, place))
    progress(len(SETS) * STEPS, len(SETS) * STEPS)
    return {"name": "retrieval", "rows": rows}


def measure_set(data: RetrievalSet, encoder: CachedEncoder, progress: Progress) -> list[dict[str, Any]]:
    """The rows of one set: bm25s, bm25, dense and fusion; see `bench_retrieval`. `progress` counts passages to embed."""
    # Every copy counts: the judgements name one of them.
    search, passages = indexed(data, encoder, PASSAGES, progress)
    ranked = [
        Ranked(method="bm25s", run=_peer_bm25(passages, data.queries)),
        _ranked("bm25", data, lambda text: search.lexical(text, ASKER, POOL)),
        _ranked("dense", data, lambda text: search.dense(text, ASKER, POOL)),
        _fusion(search, data),
    ]
    scores = {one.method: _ndcg(one, data) for one in ranked}
    rows = [_row(data, len(passages), one, scores) for one in ranked]
    return [*rows, _fusion_row(data, ranked[-1], scores)]


def indexed(
    data: RetrievalSet, encoder: CachedEncoder, splitting: SplitSettings, progress: Progress
) -> tuple[Retriever, list[Passage]]:
    """A search over a set's documents, cut in one way, that returns every copy; and their passages."""
    passages = [passage for version in data.versions for passage in split(version, splitting)]
    store = MemoryStore()
    store.stage(1, Staged(passages, encoder.encode_with_progress([one.search_text for one in passages], progress)), [])
    encoder.encode(list(data.queries.values()))  # in batches; the searches then find each query's vector
    return Retriever(store, encoder, 1, collapse=False), passages


def _part(progress: Progress, place: int) -> Progress:
    """Progress of one set as a part of the whole."""
    return lambda done, total: progress(place * STEPS + STEPS * done // max(1, total), len(SETS) * STEPS)


def _ranked(method: str, data: RetrievalSet, search: Callable[[str], list[Hit]]) -> Ranked:
    return Ranked(method=method, run={query: _documents(search(text)) for query, text in data.queries.items()})


def _fusion(search: Retriever, data: RetrievalSet) -> Ranked:
    """Two-fold cross-fitting: each half of the queries is fused with the weight that the other half chose."""
    pools = {query: search.fused(text, ASKER, POOL, NEUTRAL_WEIGHT) for query, text in data.queries.items()}
    first, second = halves(list(data.queries))
    run: dict[str, list[str]] = {}
    weights = []
    for tuned_on, applied_to in ((first, second), (second, first)):
        gold = [[name for name, grade in data.qrels[query].items() if grade > 0] for query in tuned_on]
        weight = tune_dense_weight([pools[query] for query in tuned_on], gold).dense_weight
        weights.append(weight)
        for query in applied_to:
            run[query] = _documents(search.fused(data.queries[query], ASKER, POOL, weight))
    return Ranked(method="fusion", run=run, dense_weight=tuple(weights))


def halves(queries: Sequence[str]) -> tuple[list[str], list[str]]:
    """The queries in two halves, drawn with SEED."""
    order = np.random.default_rng(SEED).permutation(len(queries))
    middle = len(queries) // 2
    return [queries[place] for place in order[:middle]], [queries[place] for place in order[middle:]]


def _row(
    data: RetrievalSet, passages: int, ranked: Ranked, scores: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    own = scores[ranked.method]
    interval = mean_interval(list(own.values()))
    return {
        "set": data.name,
        "method": ranked.method,
        "ndcg_at_10": round(interval.mean, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "held_out": round(_held_out(own, data), 4),
        "recall_at_5": round(_mean(scored(recall(ranked.run, data.qrels, 5))), 4),
        "queries": len(data.queries),
        "documents": len(data.versions),
        "passages": passages,
    }


def _fusion_row(data: RetrievalSet, ranked: Ranked, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """How fusion stands to its better part and to the best published figure."""
    own = scores[ranked.method]
    better = max(("bm25", "dense"), key=lambda part: _mean(scores[part]))
    gain = mean_interval([own[query] - scores[better][query] for query in own])
    second = mean_interval([own[query] for query in halves(list(data.queries))[1]])
    return {
        "set": data.name,
        "fusion": round(_mean(own), 4),
        "held_out": round(second.mean, 4),
        "held_out_low": round(second.low, 4),
        "held_out_high": round(second.high, 4),
        "dense_weights": list(ranked.dense_weight),
        "better_part": better,
        "gain": round(gain.mean, 4),
        "gain_low": round(gain.low, 4),
        "gain_high": round(gain.high, 4),
        "best_peer": PEERS[data.name],
    }


def _ndcg(ranked: Ranked, data: RetrievalSet) -> dict[str, float]:
    return scored(ndcg(ranked.run, data.qrels, 10))


def _held_out(scores: Mapping[str, float], data: RetrievalSet) -> float:
    return float(np.mean([scores[query] for query in halves(list(data.queries))[1]]))


def _mean(scores: Mapping[str, float]) -> float:
    return float(np.mean(list(scores.values())))


def _documents(hits: Sequence[Hit]) -> list[str]:
    return [document for document, _ in document_ranking(hits)]


def _peer_bm25(passages: Sequence[Passage], queries: Mapping[str, str]) -> Run:
    """bm25s as its documentation shows it: its own tokens and English stop words, Snowball stems, its default parameters."""
    import bm25s
    import Stemmer

    options = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    index = bm25s.BM25()
    index.index(bm25s.tokenize([passage.search_text for passage in passages], **options), show_progress=False)
    run: dict[str, list[str]] = {}
    for query, text in queries.items():
        tokens = bm25s.tokenize([text], return_ids=False, **options)[0]
        scores = index.get_scores(tokens) if tokens else np.zeros(len(passages))
        best: dict[str, float] = {}
        for row in np.flatnonzero(scores > 0).tolist():
            document = passages[row].document
            best[document] = max(best.get(document, 0.0), float(scores[row]))
        run[query] = sorted(best, key=lambda document: (-best[document], document))
    return run
