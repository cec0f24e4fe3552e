"""The chunking benchmark: what the size and overlap of passages do to retrieval, on the queries that may choose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.components.fusion import NEUTRAL_WEIGHT, document_ranking, tune_dense_weight
from steelyard.components.retriever import POOL, Retriever
from steelyard.corpus.passages import SplitSettings
from steelyard.evaluation.bench_retrieval import ASKER, halves, indexed
from steelyard.evaluation.retrieval_sets import SETS, RetrievalSet, load_retrieval_set
from steelyard.metrics.answers import contains_answer
from steelyard.metrics.ranking import ndcg
from steelyard.metrics.scores import scored
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import Hit

Progress = Callable[[int, int], None]

CUTS: tuple[SplitSettings, ...] = (
    SplitSettings(size=450),
    SplitSettings(size=600),
    SplitSettings(size=900),
    SplitSettings(size=900, overlap=150),
    SplitSettings(size=1200),
)
"""From a paragraph to more than the encoder reads at once (about 1,200 characters), and an overlap of a sixth."""

CHARACTERS = 1_500_000
"""Text of a set that is cut and embedded five times: all documents that answer, then a seeded sample of the others."""

READ_CHARACTERS = 4500
"""Characters of passages, best first, in which an answer is looked for: five of the default size. Sizes are compared at the same
reading cost, not at the same number of passages."""

STEPS = 1000  # of progress for each set and cut
SEED = 0


def bench_chunking(data_root: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Measure every cut on every set in `data_root`; the result is `{"name": "chunking", "rows": [...]}`.

    Only the first half of the queries is asked: the other half is the retrieval benchmark's held-out half. The fusion weight of a
    query comes from the other part of that half (two folds). A row has `ndcg_at_10` of fusion by document, the number of
    `passages`, and for sets with short answers `answer_read`: the share of queries whose answer stands, in a relevant document, in
    the best READ_CHARACTERS characters.
    """
    encoder = CachedEncoder(load_encoder("minilm"), cache / "vectors.sqlite")
    rows: list[dict[str, Any]] = []
    total = len(SETS) * len(CUTS) * STEPS
    for place, name in enumerate(SETS):
        if not (data_root / name).is_dir():
            rows.append({"set": name, "missing": f"no folder {name} in the data folder"})
            continue
        data = choosing_part(load_retrieval_set(data_root / name))
        for step, cut in enumerate(CUTS):
            begun = (place * len(CUTS) + step) * STEPS

            def part(done: int, of: int, begun: int = begun) -> None:
                progress(begun + STEPS * done // max(1, of), total)

            rows.append(measure_cut(data, encoder, cut, part))
    progress(total, total)
    return {"name": "chunking", "rows": rows}


def choosing_part(data: RetrievalSet) -> RetrievalSet:
    """The half of the queries that may choose, within bounds."""
    return bounded_part(data, 0)


def bounded_part(data: RetrievalSet, half: int) -> RetrievalSet:
    """One half of the queries (0 may choose, 1 is held out), with the documents relevant to them and others up to CHARACTERS."""
    asked = halves(list(data.queries))[half]
    wanted = {name for query in asked for name, grade in data.qrels[query].items() if grade > 0}
    room = CHARACTERS - sum(len(version.text) for version in data.versions if version.document in wanted)
    others = [version for version in data.versions if version.document not in wanted]
    for place in np.random.default_rng(SEED).permutation(len(others)).tolist():
        room -= len(others[place].text)
        if room < 0:
            break
        wanted.add(others[place].document)
    return replace(
        data,
        versions=[version for version in data.versions if version.document in wanted],
        queries={query: data.queries[query] for query in asked},
        qrels={query: data.qrels[query] for query in asked},
    )


def measure_cut(data: RetrievalSet, encoder: CachedEncoder, cut: SplitSettings, progress: Progress) -> dict[str, Any]:
    """One row: a set cut in one way; see `bench_chunking`."""
    search, passages = indexed(data, encoder, cut, progress)
    hits = _fused(search, data)
    run = {query: [document for document, _ in document_ranking(found)] for query, found in hits.items()}
    row: dict[str, Any] = {
        "set": data.name,
        "size": cut.size,
        "overlap": cut.overlap,
        "ndcg_at_10": round(float(np.mean(list(scored(ndcg(run, data.qrels, 10)).values()))), 4),
        "queries": len(data.queries),
        "documents": len(data.versions),
        "passages": len(passages),
    }
    read = [_answer_read(found, data, query) for query, found in hits.items() if query in data.answers]
    if read:
        row["answer_read"] = round(float(np.mean(read)), 4)
    return row


def _fused(search: Retriever, data: RetrievalSet) -> Mapping[str, Sequence[Hit]]:
    """The hits of each query, fused with the weight that the other fold of the queries chose."""
    pools = {query: search.fused(text, ASKER, POOL, NEUTRAL_WEIGHT) for query, text in data.queries.items()}
    first, second = halves(list(data.queries))
    found: dict[str, Sequence[Hit]] = {}
    for tuned_on, applied_to in ((first, second), (second, first)):
        gold = [[name for name, grade in data.qrels[query].items() if grade > 0] for query in tuned_on]
        weight = tune_dense_weight([pools[query] for query in tuned_on], gold).dense_weight
        found |= {query: search.fused(data.queries[query], ASKER, POOL, weight) for query in applied_to}
    return found


def _answer_read(hits: Sequence[Hit], data: RetrievalSet, query: str) -> bool:
    """Whether an answer stands whole in a passage of a relevant document among the best READ_CHARACTERS characters."""
    room = READ_CHARACTERS
    for hit in hits:
        room -= len(hit.passage.text)
        if room < 0:
            return False
        relevant = data.qrels[query].get(hit.passage.document, 0) > 0
        if relevant and contains_answer(hit.passage.text, data.answers[query]) > 0:
            return True
    return False
