"""The answer benchmark: quoted answers, their citations, and refusals on three open data sets, with a plain peer beside them."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.answer_rag import READ_PASSAGES, RagAnswer, RagBm25, RagDense, RagHybrid, RagRerank, RagTuned
from steelyard.candidates.interface import Search, Tools
from steelyard.components.fusion import NEUTRAL_WEIGHT
from steelyard.components.quotes import Quote, spans_of
from steelyard.components.reader import FEATURES, UNTUNED, Reader
from steelyard.components.retriever import Retriever
from steelyard.components.tuning import fit_weights
from steelyard.corpus.passages import split
from steelyard.dataset.split import split_items
from steelyard.evaluation.retrieval_sets import load_retrieval_set
from steelyard.evaluation.run import WARM_UP, request_of, scope_of
from steelyard.metrics.answers import answer_scores, citation_validity, contains_answer
from steelyard.metrics.scores import Score, Unscored
from steelyard.metrics.statistics import mean_interval, paired_p_value
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.interface import Encoder
from steelyard.models.loading import load_minilm
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import DocumentVersion, Passage
from steelyard.schema.items import Item, Split
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

Progress = Callable[[int, int], None]

SETS = ("postgresql15_docs", "xquad_en", "clapnq_dev")

Build = Callable[[Tools], RagAnswer]

CANDIDATES: tuple[Build, ...] = (RagBm25, RagDense, RagHybrid, RagRerank, RagTuned)

FRACTIONS = (0.25, 0.25, 0.5)
"""Train, validation and test. The first two are the development half, all that the constants of the reader were derived from."""

DERIVED_ON = ("postgresql15_docs", "xquad_en")

TIMED = 100
"""Test questions that are timed: enough for a 95th percentile, and the encoder's work is not done again for every question."""

START_WEIGHTS: Mapping[str, float] = {
    "similarity": 8.0,
    "new_terms": 0.0,
    "length": 0.0,
    "label": -1.0,
    "piece": 0.0,
    "tokens": 0.0,
}
"""Where `derive_untuned` starts; other features at 1. A cosine differs by a tenth or two between quotes, shares of terms by a half
or more, so equal say needs a weight several times as large."""

START_PULL = 3.0

STEPS = 1000  # of progress for each set


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """Stored versions by (document, version), their passages in the product's default size, and the questions, split."""

    name: str
    versions: Mapping[tuple[str, str], DocumentVersion]
    passages: Sequence[Passage]
    questions: Split

    def stored_text(self, document: str, version: str) -> str | None:
        """A version's text; None when there is none."""
        found = self.versions.get((document, version))
        return found.text if found else None


class _Answering(Protocol):
    def predict(self, request: Request, scope: Scope) -> Output: ...


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A method's outputs on the test questions, their scores by metric, and the scores if it never declined."""

    method: str
    outputs: Sequence[Output]
    scores: Mapping[str, Sequence[Score]]
    unguarded: Mapping[str, Sequence[Score]]


class FirstSentence:
    """The plain peer: the first sentence of the best passage by BM25; it learns nothing and never declines."""

    name = "first-sentence"

    def __init__(self, search: Search) -> None:
        self._search = search

    def predict(self, request: Request, scope: Scope) -> Output:
        """The quote with its citation; declined only where no passage shares a word with the question."""
        hits = self._search.lexical(request.text, scope, 1)
        spans = [span for hit in hits for span in spans_of(hit.passage.text)]
        chosen = next((span for span in spans if span.kind != "label"), spans[0] if spans else None)
        if chosen is None:
            return Output(abstained=True, usage=Usage())
        quote = Quote(hit=hits[0], hit_rank=0, span=chosen)
        return Output(text=quote.text, citations=(quote.citation(),), hits=tuple(hits))


def bench_answer(data_root: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Measure every set in `data_root`; `{"name": "answer", "rows": [...]}`, one row for each set and method.

    Reader weights of `rag-tuned` are learned on train questions, fusion weights and thresholds on train and validation; every
    figure is of the test questions. A set that is not there is a row that says so. `cache` keeps vectors by content, so a second
    run is quick; latency is measured on a candidate saved and loaded again, on one thread, with vectors of its own.
    See `measure_set` for the columns.
    """
    encoder = load_minilm()
    cached = CachedEncoder(encoder, cache / "vectors.sqlite")
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(SETS):
        progress(place * STEPS, len(SETS) * STEPS)
        if (data_root / name).is_dir():
            rows += measure_set(load_set(data_root / name), cached, load_minilm(threads=1), _part(progress, place))
        else:
            rows.append({"set": name, "missing": f"no folder {name} in the data folder"})
    progress(len(SETS) * STEPS, len(SETS) * STEPS)
    return {"name": "answer", "rows": rows}


def load_set(folder: Path) -> AnswerSet:
    """`postgresql15_docs`, `xquad_en` or `clapnq_dev`; the answers of the last are the sentences that support the human answer."""
    versions = load_retrieval_set(folder).versions
    with gzip.open(folder / "questions.jsonl.gz", "rt", encoding="utf-8") as lines:
        items = [_item(json.loads(line)) for line in lines]
    return AnswerSet(
        name=folder.name,
        versions={(version.document, version.version): version for version in versions},
        passages=[passage for version in versions for passage in split(version)],
        questions=split_items(items, fractions=FRACTIONS),
    )


def measure_set(data: AnswerSet, cached: CachedEncoder, serving: Encoder, progress: Progress) -> list[dict[str, Any]]:
    """The rows of one set: the peer and every candidate.

    `containment` (of an answer; on clapnq_dev of a supporting sentence) and `token_f1` are over answerable questions, a declined
    one counting 0; `right_of_given` is the share of given answers that are right; `unguarded` the containment if nothing were
    declined. `difference` is containment less the peer's, `p` its paired p-value. Intervals are clustered by document.
    """
    vectors = cached.encode_with_progress([passage.search_text for passage in data.passages], progress)
    # In batches; what follows then finds each question's vector.
    cached.encode([item.text for part in (data.questions.train, data.questions.validation) for item in part])
    learning, timing = tools_of(data, vectors, cached), tools_of(data, vectors, serving)
    assert timing.search is not None
    items = data.questions.holdout
    peer = FirstSentence(timing.search)
    base = _measured(peer.name, peer, peer, data)
    rows = [_row(data, base, base.scores, milliseconds_of(peer.predict, items))]
    for kind in CANDIDATES:
        fitted = kind(learning).fit(data.questions.train, data.questions.validation)
        with tempfile.TemporaryDirectory() as folder:
            fitted.save(Path(folder))
            served = kind(timing).load(Path(folder))
            unguarded = _never_declining(kind, learning, Path(folder))
        measured = _measured(served.name, fitted, unguarded, data)
        rows.append(_row(data, measured, base.scores, milliseconds_of(served.predict, items)))
    return rows


def derive_untuned(data_root: Path, cache: Path) -> dict[str, float]:
    """The constants `components.reader.UNTUNED` by feature, derived again from the development halves of DERIVED_ON.

    For each set: the best six passages by fusion with the neutral weight, quotes by START_WEIGHTS, then `fit_weights` pulled
    towards START_WEIGHTS with strength START_PULL. The result is the mean over the sets, so that each counts the same however
    many questions it has; the constants are rounded to one decimal.
    """
    cached = CachedEncoder(load_minilm(), cache / "vectors.sqlite")
    found = []
    placed = FEATURES.index(
        "named"
    )  # what a quote knows by its place: these two sets, mostly prose, cannot tell its weights
    start = np.array([START_WEIGHTS.get(name, 1.0) for name in FEATURES])
    start[placed:] = UNTUNED[placed:]
    for name in DERIVED_ON:
        data = load_set(data_root / name)
        vectors = cached.encode([passage.search_text for passage in data.passages])
        search = tools_of(data, vectors, cached).search
        assert search is not None
        reader = Reader(cached, start)
        groups, labels = [], []
        for item in (*data.questions.train, *data.questions.validation):
            hits = search.fused(item.text, scope_of(item), READ_PASSAGES, NEUTRAL_WEIGHT)
            quotes, features = reader.describe(item.text, hits)
            groups.append(features)
            labels.append(np.array([_answers(item, quote) for quote in quotes], dtype=np.bool_))
        found.append(fit_weights(groups, labels, prior=start, pull=START_PULL))
    return dict(zip(FEATURES, np.mean(found, axis=0).tolist(), strict=True))


def _answers(item: Item, quote: Quote) -> bool:
    return quote.hit.passage.document == item.source and contains_answer(quote.text, item.answers) > 0


def tools_of(data: AnswerSet, vectors: NDArray[np.float32], encoder: Encoder) -> Tools:
    """What a candidate works with on a set: its passages in memory, `vectors` of them, float32, (passages, dim), and the encoder."""
    store = MemoryStore()
    store.stage(1, Staged(data.passages, vectors), [])
    return Tools(encoder=encoder, search=Retriever(store, encoder, 1))


def _measured(method: str, candidate: _Answering, unguarded: _Answering, data: AnswerSet) -> _Measured:
    items = data.questions.holdout
    outputs, all_given = (
        [one.predict(request_of(item), scope_of(item)) for item in items] for one in (candidate, unguarded)
    )
    return _Measured(
        method=method,
        outputs=outputs,
        scores=scores_of(items, outputs, data),
        unguarded=scores_of(items, all_given, data),
    )


def scores_of(items: Sequence[Item], outputs: Sequence[Output], data: AnswerSet) -> dict[str, list[Score]]:
    """Scores of each output by metric; see `answer_scores` and `citation_validity`."""
    rows = [
        {**answer_scores(item, output), "citation_validity": citation_validity(output, data.stored_text)}
        for item, output in zip(items, outputs, strict=True)
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(
    data: AnswerSet, measured: _Measured, peer: Mapping[str, Sequence[Score]], milliseconds: Mapping[str, float]
) -> dict[str, Any]:
    items, scores = data.questions.holdout, measured.scores
    clusters = [item.source for item in items]
    differences = [
        difference_of(ours, theirs) for ours, theirs in zip(scores["containment"], peer["containment"], strict=True)
    ]
    given = [mark for mark, output in zip(scores["accuracy"], measured.outputs, strict=True) if not output.abstained]
    row: dict[str, Any] = {
        "set": data.name,
        "method": measured.method,
        **interval_of("containment", scores["containment"], clusters),
        "unguarded": _mean(measured.unguarded["containment"]),
        "token_f1": _mean(scores["token_f1"]),
        "right_of_given": _mean(given),
        "citation_validity": _mean(scores["citation_validity"]),
        "quote_chars": round(float(np.mean([len(output.text) for output in measured.outputs if output.text])), 1),
        "declined": round(float(np.mean([output.abstained for output in measured.outputs])), 4),
        **interval_of("difference", differences, clusters),
        "p": round(paired_p_value(differences, clusters), 4),
    }
    if not all(item.answerable for item in items):
        row |= interval_of("refusal_recall", scores["refusal_recall"], clusters)
        row |= interval_of("refusal_precision", scores["refusal_precision"], clusters)
    return {**row, **milliseconds, "questions": len(items), "passages": len(data.passages)}


def difference_of(ours: Score, theirs: Score) -> Score:
    """One score less another; not scored where either is not."""
    if isinstance(ours, Unscored) or isinstance(theirs, Unscored):
        return ours if isinstance(ours, Unscored) else theirs
    return ours - theirs


def interval_of(name: str, scores: Sequence[Score], clusters: Sequence[str | None]) -> dict[str, float | None]:
    """The mean as `name`, and its 95 % interval as `name_low` and `name_high`, clustered; None where nothing was scored."""
    found = mean_interval(scores, clusters)
    ends = {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: None if math.isnan(value) else round(value, 4) for key, value in ends.items()}


def _mean(scores: Sequence[Score]) -> float | None:
    """The mean of the scores there are; None without any."""
    found = mean_interval(scores)
    return round(found.mean, 4) if found.n else None


def _never_declining(kind: Build, tools: Tools, folder: Path) -> RagAnswer:
    """The candidate saved in `folder` with a threshold of 0."""
    arrays, meta = load_artefact(folder)
    with tempfile.TemporaryDirectory() as other:
        save_artefact(Path(other), arrays, {**meta, "threshold": 0.0})
        return kind(tools).load(Path(other))


def milliseconds_of(predict: Callable[[Request, Scope], Output], items: Sequence[Item]) -> dict[str, float]:
    """Milliseconds of the first TIMED questions, asked twice: `cold` when nothing about them was read, then with passages read."""
    for item in items[-WARM_UP:]:
        predict(request_of(item), scope_of(item))
    found: dict[str, float] = {}
    for prefix in ("cold_", ""):
        spent = []
        for item in items[:-WARM_UP][:TIMED]:
            begun = perf_counter()
            predict(request_of(item), scope_of(item))
            spent.append(1e3 * (perf_counter() - begun))
        found |= {f"{prefix}p{share}_ms": round(float(np.percentile(spent, share)), 1) for share in (50, 95)}
    return found


def _item(row: Mapping[str, Any]) -> Item:
    supporting = row.get("supporting_sentences")
    sources = row.get("doc_ids") or [row["doc_id"]]
    return Item(
        id=row["id"],
        task="answer",
        text=row["question"],
        answers=tuple(row["answers"] if supporting is None else supporting),
        answerable=row.get("answerable", True),
        source=sources[0],
    )


def _part(progress: Progress, place: int) -> Progress:
    """Progress of one set as a part of the whole; embedding its passages is most of the time."""
    return lambda done, total: progress(place * STEPS + STEPS * done // max(1, total), len(SETS) * STEPS)
