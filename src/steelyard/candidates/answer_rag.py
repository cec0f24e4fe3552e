"""Answers quoted from retrieved passages: by words, by meaning, by both, and with a reader tuned on the team's questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from steelyard.metrics.answers import contains_answer

from steelyard.candidates.interface import Search, Tools
from steelyard.components.declining import Decliner, evidence_features
from steelyard.components.quotes import Quote, widened
from steelyard.components.reader import UNTUNED, Matrix, Reader, Reading
from steelyard.components.tuning import fit_weights
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit
from steelyard.schema.errors import NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope

Mode = Literal["bm25", "dense", "hybrid"]

READ_PASSAGES = 6
"""Passages handed to the reader."""

DENSE_WEIGHTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
"""Fusion weights tried on train and validation questions; the ends are the two parts alone."""


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
        self._weights: Matrix = UNTUNED
        self._dense_weight = {"bm25": 0.0, "dense": 1.0, "hybrid": 0.5}[mode]
        self._decliner: Decliner | None = None
        self._reader: Reader | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. Reader weights are learned on train rows, the fusion weight and the threshold on validation."""
        known = [item for item in (*train, *validation) if item.answerable]
        if self._mode == "hybrid" and known:
            self._dense_weight = self._choose_dense_weight(known)
        if self._tuned:
            self._weights = self._learn_weights([item for item in train if item.answerable])
        self._reader = Reader(self._tools.encoder, self._weights)
        # The decliner learns where the reader goes wrong, so it needs questions the reader was not tuned on where there are any.
        rows = list(validation) if self._tuned else [*train, *validation]
        self._decliner = self._fit_decliner(rows, validation)
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`."""
        if self._decliner is None or self._reader is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        with metered() as meter:
            hits = self._hits(request.text, scope)
            reading = self._reader.read(request.text, hits) if hits else None
            if reading is None:
                return self._finish((), None, 0.0, meter.usage)
            confidence = self._decliner.confidence(evidence_features(request.text, hits, reading))
        return self._finish(hits, reading, confidence, meter.usage)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if self._decliner is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        arrays = {"weights": self._weights, "decline": self._decliner.coefficients}
        meta = {"name": self.name, "dense_weight": self._dense_weight, "threshold": self._decliner.threshold}
        save_artefact(folder, arrays, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`."""
        arrays, meta = load_artefact(folder)
        self._weights = arrays["weights"]
        self._dense_weight = float(meta["dense_weight"])
        self._decliner = Decliner(arrays["decline"], float(meta["threshold"]))
        self._reader = Reader(self._tools.encoder, self._weights)
        return self

    def _finish(self, hits: Sequence[Hit], reading: Reading | None, confidence: float, usage: Usage) -> Output:
        assert self._decliner is not None
        trace = [("dense_weight", f"{self._dense_weight:.2f}"), ("threshold", f"{self._decliner.threshold:.3f}")]
        if reading is None or confidence < self._decliner.threshold:
            return Output(abstained=True, probability=confidence, hits=tuple(hits), usage=usage, trace=tuple(trace))
        quote = _complete(reading)
        return Output(
            text=quote.text,
            probability=confidence,
            citations=(quote.citation(),),
            hits=tuple(hits),
            usage=usage,
            trace=tuple(trace),
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

    def _hits(self, text: str, scope: Scope, dense_weight: float | None = None) -> list[Hit]:
        search = self._search()
        if self._mode == "bm25":
            return search.lexical(text, scope, READ_PASSAGES)
        if self._mode == "dense":
            return search.dense(text, scope, READ_PASSAGES)
        weight = self._dense_weight if dense_weight is None else dense_weight
        return search.fused(text, scope, READ_PASSAGES, weight)

    def _choose_dense_weight(self, items: Sequence[Item]) -> float:
        def found(weight: float) -> float:
            return sum(
                _reciprocal_rank(item, self._hits(item.text, Scope(groups=item.groups), weight)) for item in items
            )

        # max() keeps the first of equals; the middle first, because with few questions equal weights are the safer choice.
        ordered = sorted(DENSE_WEIGHTS, key=lambda weight: abs(weight - 0.5))
        return max(ordered, key=found)

    def _learn_weights(self, items: Sequence[Item]) -> Matrix:
        reader = Reader(self._tools.encoder, UNTUNED)
        groups, labels = [], []
        for item in items:
            quotes, features = reader.describe(item.text, self._hits(item.text, Scope(groups=item.groups)))
            right = np.array([_is_right(item, quote) for quote in quotes], dtype=bool)
            # A question whose answer was not retrieved, or stands everywhere, teaches nothing about choosing.
            if right.any() and not right.all():
                groups.append(features)
                labels.append(right)
        return fit_weights(groups, labels, prior=UNTUNED)

    def _fit_decliner(self, rows: Sequence[Item], validation: Sequence[Item]) -> Decliner:
        assert self._reader is not None
        features, right = [], []
        held = {item.id for item in validation}
        on_validation = []
        for item in rows:
            hits = self._hits(item.text, Scope(groups=item.groups))
            reading = self._reader.read(item.text, hits) if hits else None
            if reading is None:
                continue
            features.append(evidence_features(item.text, hits, reading))
            right.append(item.answerable and contains_answer(_complete(reading).text, item.answers) > 0)
            on_validation.append(item.id in held)
        return Decliner.fit(np.array(features), np.array(right, dtype=bool), np.array(on_validation, dtype=bool))


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


def _complete(reading: Reading) -> Quote:
    # A lead-in ("The limits are:") is no answer without what follows it.
    if reading.best.text.rstrip().endswith(":"):
        return widened(reading.best, reading.following)
    return reading.best


def _is_right(item: Item, quote: Quote) -> bool:
    if item.source is not None and quote.hit.passage.document != item.source:
        return False
    return contains_answer(quote.text, item.answers) > 0


def _reciprocal_rank(item: Item, hits: Sequence[Hit]) -> float:
    for rank, hit in enumerate(hits, start=1):
        if contains_answer(hit.passage.text, item.answers) > 0 and item.source in (None, hit.passage.document):
            return 1.0 / rank
    return 0.0
