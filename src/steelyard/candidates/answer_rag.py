"""Answers quoted from retrieved passages: by words, by meaning, by both, and with a reader tuned on the team's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np

from steelyard.candidates.answer_learning import Asked, Learner, Note
from steelyard.candidates.interface import Search, Tools
from steelyard.components.declining import EVIDENCE, Decliner, evidence_features
from steelyard.components.fusion import NEUTRAL_WEIGHT, tune_dense_weight
from steelyard.components.misplaced import misplaced
from steelyard.components.nearness import by_tokens
from steelyard.components.reader import UNTUNED, Reader, Reading
from steelyard.metrics.answers import contains_answer
from steelyard.models.artefact import Arrays, load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.models.pair_scorer import PairScorer
from steelyard.schema.corpus import Hit
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope

Mode = Literal["bm25", "dense", "hybrid"]

READ_PASSAGES = 6
"""Passages handed to the reader: the answer stands among six nearly as often as among ten, and reading costs time."""

RERANKING = frozenset({"tokens", "close weights", "cross-encoder"})
"""Levels of reading good enough to rank the passages again, by the best quote of each."""

FUSION_POOL = 100
"""Hits from which the fusion weight is chosen; see `tune_dense_weight`."""

Learn = Literal["nothing", "token weight", "everything"]


@dataclass(frozen=True)
class _Fitted:
    """What fitting learned; together with the tools it answers. `level` and `notes`: see `Learned`."""

    dense_weight: float
    reader: Reader
    decliner: Decliner
    level: str
    notes: Mapping[str, Note]


class RagAnswer:
    """Retrieves among the passages the asker may see, quotes the best span, or declines.

    Facts stay outside: nothing of a document is learned, so an edited document is answered from as soon as it is indexed. Fitting
    chooses the fusion weight (mode `hybrid`), the reader's weights (when `tuned`) and the threshold for declining.
    """

    def __init__(self, tools: Tools, *, name: str, mode: Mode, learn: Learn = "nothing") -> None:
        self.name = name
        self._tools = tools
        self._mode = mode
        self._learn = learn
        self._fitted: _Fitted | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Reader weights and the cross-encoder are learned on train rows. The fusion weight, the probability of being right and the
        threshold come from both as far as a row was not learned from: see `Learned.readings`. Unanswerable rows teach when to
        decline, and nothing else.

        Raises:
            UserError: there are no documents.
        """
        dense_weight = self._choose_dense_weight([item for item in (*train, *validation) if item.answerable])
        learner = Learner(
            self._tools, lambda item: self._hits(item.text, Scope(groups=item.groups), dense_weight), train, validation
        )
        ways = {"nothing": learner.untuned, "token weight": learner.reranked, "everything": learner.tuned}
        learned = ways[self._learn]()
        decliner = _fit_decliner(learned.readings)
        self._fitted = _Fitted(dense_weight, learned.reader, decliner, learned.level, learned.notes)
        return self

    @property
    def dense_weight(self) -> float | None:
        """The weight of meaning against words that fitting chose; None before."""
        return self._fitted.dense_weight if self._fitted is not None else None

    @property
    def learned(self) -> Mapping[str, Note]:
        """What was compared while fitting, and what came of it: `level`, and shares of questions that were answered right.

        Raises:
            NotFittedError: neither fitted nor loaded.
        """
        fitted = self._require()
        return {"level": fitted.level, **fitted.notes}

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`.

        Raises:
            NotFittedError: neither fitted nor loaded.
            UserError: there are no documents.
        """
        fitted = self._require()
        with metered() as meter:
            hits = self._hits(request.text, scope, fitted.dense_weight)
            reading = fitted.reader.read(request.text, hits)
            confidence = None
            if reading is not None and not misplaced(request.text, reading.best):
                confidence = fitted.decliner.confidence(evidence_features(request.text, hits, reading))
        return self._output(fitted, hits, reading, confidence, meter.usage)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`.

        Raises:
            NotFittedError: neither fitted nor loaded.
        """
        fitted = self._require()
        arrays: Arrays = {"weights": fitted.reader.weights, "decline": fitted.decliner.coefficients}
        if fitted.reader.scorer is not None:
            arrays |= fitted.reader.scorer.arrays()
        meta = {
            "name": self.name,
            "dense_weight": fitted.dense_weight,
            "threshold": fitted.decliner.threshold,
            "closely": fitted.reader.closely,
            "level": fitted.level,
            "notes": dict(fitted.notes),
        }
        save_artefact(folder, arrays, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the files are damaged, were written for another candidate or by a version that reads differently, or need
                token vectors that this encoder does not give.
        """
        arrays, meta = load_artefact(folder)
        weights, decline = arrays["weights"], arrays["decline"]
        tokens = by_tokens(self._tools.encoder) if meta.get("closely") else None
        other = meta["name"] != self.name or weights.shape != UNTUNED.shape or decline.shape != (3, len(EVIDENCE) + 1)
        if other or (meta.get("closely") and tokens is None):
            raise ModelError(
                f"the saved model is no '{self.name}' of this version.",
                where=str(folder),
                remedy="Train it again: `steelyard train`; where it was released, release the new version.",
                code="candidate.other_model",
            )
        decliner = Decliner(decline, float(meta["threshold"]))
        reader = Reader(self._tools.encoder, weights, tokens=tokens, scorer=PairScorer.from_arrays(arrays))
        self._fitted = _Fitted(float(meta["dense_weight"]), reader, decliner, str(meta["level"]), meta["notes"])
        return self

    def on(self, search: Search) -> Self:
        """See `OnDocuments.on`."""
        other = copy(self)
        other._tools = replace(self._tools, search=search)
        return other

    def _require(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        return self._fitted

    def _output(
        self, fitted: _Fitted, hits: Sequence[Hit], reading: Reading | None, confidence: float | None, usage: Usage
    ) -> Output:
        """`confidence` is None where there is nothing to quote, or only what stands under another release."""
        threshold = fitted.decliner.threshold
        trace: tuple[tuple[str, str], ...] = (
            ("dense_weight", f"{fitted.dense_weight:.2f}"),
            ("threshold", f"{threshold:.3f}"),
            ("reader", fitted.level),
        )
        if reading is not None and fitted.level in RERANKING:
            hits = [hits[place] for place in reading.order]
        if reading is None or confidence is None or confidence < threshold:
            if reading is not None and confidence is None:
                trace = (*trace, ("declined", "the quote stands under another release, or names none"))
            return Output(abstained=True, probability=confidence or 0.0, hits=tuple(hits), usage=usage, trace=trace)
        return Output(
            text=reading.best.text,
            probability=confidence,
            citations=reading.best.citations(),
            hits=tuple(hits),
            usage=usage,
            trace=trace,
        )

    def _search(self) -> Search:
        if self._tools.search is None:
            raise UserError(
                "there are no documents to search.",
                where=f"candidate {self.name}",
                remedy="Add [[sources]] to steelyard.toml and run `steelyard ingest`.",
                code="candidate.no_documents",
            )
        return self._tools.search

    def _hits(self, text: str, scope: Scope, dense_weight: float) -> list[Hit]:
        search = self._search()
        if self._mode == "bm25":
            return search.lexical(text, scope, READ_PASSAGES)
        if self._mode == "dense":
            return search.dense(text, scope, READ_PASSAGES)
        return search.fused(text, scope, READ_PASSAGES, dense_weight)

    def _choose_dense_weight(self, items: Sequence[Item]) -> float:
        if self._mode != "hybrid":
            return 0.0 if self._mode == "bm25" else 1.0
        pools = [
            self._search().fused(item.text, Scope(groups=item.groups), FUSION_POOL, NEUTRAL_WEIGHT) for item in items
        ]
        return tune_dense_weight(
            pools, [_gold(item, pool) for item, pool in zip(items, pools, strict=True)]
        ).dense_weight


class RagBm25(RagAnswer):
    """Retrieval by words."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-bm25", mode="bm25")


class RagDense(RagAnswer):
    """Retrieval by meaning."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-dense", mode="dense")


class RagHybrid(RagAnswer):
    """Retrieval by both, fused with a weight chosen on the team's questions."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-hybrid", mode="hybrid")


class RagRerank(RagAnswer):
    """Retrieval by both, then passages and quotes ranked again token by token; the weight of that is chosen, 0 included."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-rerank", mode="hybrid", learn="token weight")


class RagTuned(RagAnswer):
    """The fourth cell: retrieval by both, with a reranker and a reader tuned on the team's questions as far as that pays."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-tuned", mode="hybrid", learn="everything")


def _gold(item: Item, pool: Sequence[Hit]) -> set[str]:
    """The document that answers; where the question names none, those that contain an answer."""
    if item.source is not None:
        return {item.source}
    return {hit.passage.document for hit in pool if contains_answer(hit.passage.text, item.answers) > 0}


def _fit_decliner(asked: Sequence[tuple[Asked, Reader]]) -> Decliner:
    rows, right = [], []
    for one, reader in asked:
        reading = reader.choose(one.item.text, one.quotes, one.features)
        if reading is not None and not misplaced(one.item.text, reading.best):
            rows.append(evidence_features(one.item.text, one.hits, reading))
            right.append(one.item.answerable and contains_answer(reading.best.text, one.item.answers) > 0)
    return Decliner.fit(np.array(rows), np.array(right, dtype=np.bool_))
