"""Answers quoted from retrieved passages: by words, by meaning, by both, and with a reader tuned on the team's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from steelyard.candidates.interface import Search, Tools
from steelyard.components.declining import EVIDENCE, Decliner, evidence_features
from steelyard.components.fusion import NEUTRAL_WEIGHT, tune_dense_weight
from steelyard.components.quotes import Quote
from steelyard.components.reader import UNTUNED, Matrix, Reader, Reading
from steelyard.components.tuning import fit_weights
from steelyard.metrics.answers import contains_answer
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope

Mode = Literal["bm25", "dense", "hybrid"]

READ_PASSAGES = 6
"""Passages handed to the reader: the answer stands among six nearly as often as among ten, and reading costs time."""

FUSION_POOL = 100
"""Hits from which the fusion weight is chosen; see `tune_dense_weight`."""

FOLDS = 4
"""Parts of the train questions: each is read with weights tuned on the others, to learn how often a tuned reader is wrong."""


@dataclass(frozen=True)
class _Asked:
    """A question with its hits and what the reader made of them."""

    item: Item
    hits: list[Hit]
    quotes: list[Quote]
    features: Matrix

    @property
    def right(self) -> list[bool]:
        """Which quotes answer the question, and from the right document where it names one."""
        return [
            self.item.answerable
            and self.item.source in (None, quote.hit.passage.document)
            and contains_answer(quote.text, self.item.answers) > 0
            for quote in self.quotes
        ]


@dataclass(frozen=True)
class _Fitted:
    """What fitting learned; together with the tools it answers."""

    dense_weight: float
    reader: Reader
    decliner: Decliner


class RagAnswer:
    """Retrieves among the passages the asker may see, quotes the best span, or declines.

    Facts stay outside: nothing of a document is learned, so an edited document is answered from as soon as it is indexed. Fitting
    chooses the fusion weight (mode `hybrid`), the reader's weights (when `tuned`) and the threshold for declining.
    """

    def __init__(self, tools: Tools, *, name: str, mode: Mode, tuned: bool) -> None:
        self.name = name
        self._tools = tools
        self._mode = mode
        self._tuned = tuned
        self._fitted: _Fitted | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Reader weights are learned on train rows. The fusion weight, the probability of being right and the threshold come from both,
        for an untuned reader has learned from neither; a tuned one reads each train row with weights learned on the others.
        Unanswerable rows teach when to decline, and nothing else.

        Raises:
            UserError: there are no documents.
        """
        dense_weight = self._choose_dense_weight([item for item in (*train, *validation) if item.answerable])
        untuned = Reader(self._tools.encoder)
        asked = [self._ask(untuned, item, dense_weight, done, len(train)) for done, item in enumerate(train, start=1)]
        reader = untuned.reweighted(_weights(asked)) if self._tuned else untuned
        readings = [(one, reader) for one in asked]
        if self._tuned:
            readings = [(one, fold) for fold, part in _folds(untuned, asked) for one in part]
        readings += [(self._ask(reader, item, dense_weight), reader) for item in validation]
        self._fitted = _Fitted(dense_weight, reader, _fit_decliner(readings))
        return self

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
            confidence = 0.0
            if reading is not None:
                confidence = fitted.decliner.confidence(evidence_features(request.text, hits, reading))
        return self._output(fitted, hits, reading, confidence, meter.usage)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`.

        Raises:
            NotFittedError: neither fitted nor loaded.
        """
        fitted = self._require()
        arrays = {"weights": fitted.reader.weights, "decline": fitted.decliner.coefficients}
        meta = {"name": self.name, "dense_weight": fitted.dense_weight, "threshold": fitted.decliner.threshold}
        save_artefact(folder, arrays, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the files are damaged, or were written for another candidate or by a version that reads differently.
        """
        arrays, meta = load_artefact(folder)
        weights, decline = arrays["weights"], arrays["decline"]
        if meta["name"] != self.name or weights.shape != UNTUNED.shape or decline.shape != (3, len(EVIDENCE) + 1):
            raise ModelError(
                f"the saved model is no '{self.name}' of this version.",
                where=str(folder),
                remedy="Train it again.",
                code="candidate.other_model",
            )
        decliner = Decliner(decline, float(meta["threshold"]))
        self._fitted = _Fitted(float(meta["dense_weight"]), Reader(self._tools.encoder, weights), decliner)
        return self

    def _require(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        return self._fitted

    def _output(
        self, fitted: _Fitted, hits: Sequence[Hit], reading: Reading | None, confidence: float, usage: Usage
    ) -> Output:
        threshold = fitted.decliner.threshold
        trace = (("dense_weight", f"{fitted.dense_weight:.2f}"), ("threshold", f"{threshold:.3f}"))
        if reading is None or confidence < threshold:
            return Output(abstained=True, probability=confidence, hits=tuple(hits), usage=usage, trace=trace)
        return Output(
            text=reading.best.text,
            probability=confidence,
            citations=(reading.best.citation(),),
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

    def _ask(self, reader: Reader, item: Item, dense_weight: float, done: int = 0, total: int = 0) -> _Asked:
        hits = self._hits(item.text, Scope(groups=item.groups), dense_weight)
        asked = _Asked(item, hits, *reader.describe(item.text, hits))
        if total:
            self._tools.progress(done, total)
        return asked

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
        super().__init__(tools, name="rag-bm25", mode="bm25", tuned=False)


class RagDense(RagAnswer):
    """Retrieval by meaning."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-dense", mode="dense", tuned=False)


class RagHybrid(RagAnswer):
    """Retrieval by both, fused with a weight chosen on the team's questions."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-hybrid", mode="hybrid", tuned=False)


class RagTuned(RagAnswer):
    """The fourth cell: retrieval by both, and a reader tuned on the team's questions."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, name="rag-tuned", mode="hybrid", tuned=True)


def _gold(item: Item, pool: Sequence[Hit]) -> set[str]:
    """The document that answers; where the question names none, those that contain an answer."""
    if item.source is not None:
        return {item.source}
    return {hit.passage.document for hit in pool if contains_answer(hit.passage.text, item.answers) > 0}


def _weights(asked: Sequence[_Asked]) -> Matrix:
    return fit_weights(
        [one.features for one in asked], [np.array(one.right, dtype=np.bool_) for one in asked], prior=UNTUNED
    )


def _folds(untuned: Reader, asked: Sequence[_Asked]) -> list[tuple[Reader, list[_Asked]]]:
    """Every part of the questions with a reader that was tuned on the other parts."""
    parts = [list(asked[first::FOLDS]) for first in range(FOLDS)]
    return [
        (untuned.reweighted(_weights([one for other in parts if other is not part for one in other])), part)
        for part in parts
    ]


def _fit_decliner(asked: Sequence[tuple[_Asked, Reader]]) -> Decliner:
    rows, right = [], []
    for one, reader in asked:
        reading = reader.choose(one.quotes, one.features)
        if reading is not None:
            rows.append(evidence_features(one.item.text, one.hits, reading))
            right.append(one.item.answerable and contains_answer(reading.best.text, one.item.answers) > 0)
    return Decliner.fit(np.array(rows), np.array(right, dtype=np.bool_))
