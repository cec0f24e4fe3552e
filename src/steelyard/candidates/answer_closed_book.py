"""Answers from tuned weights alone: no documents, no citations, nothing newer than the last training."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.interface import Tools
from steelyard.components.linear_head import LinearHead
from steelyard.dataset.duplicates import normalised
from steelyard.metrics.answers import contains_answer
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

FEWEST_TO_CHOOSE = 10
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class ClosedBook:
    """A tuned head over the known answers of the training questions.

    Knowledge is in the weights: it cannot cite, cannot tell who asks, and answers what held when it was trained. Pass rows in force then;
    of rows with the same question the one that began last is learned. It declines below a probability chosen on validation.
    """

    name = "closed-book"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._head: LinearHead | None = None
        self._threshold = 0.0

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Raises:
            UserError: no training question has an answer.
        """
        rows = [item for item in latest_rows(train) if item.answerable and item.answers]
        held = latest_rows(validation)
        if not rows:
            raise UserError(
                "there are no answered questions to learn from.",
                where=self.name,
                remedy="Add questions with answers.",
                code="candidate.no_rows",
            )
        known = [item for item in held if item.answerable and item.answers]
        taught, choosing = self._labelled(rows), self._labelled(known)
        head = LinearHead(seed=self._tools.seed, refit=False).fit(taught, choosing)
        self._threshold = 0.0
        if len(held) >= FEWEST_TO_CHOOSE:
            # Before it learns the held rows too. Unanswerable questions teach the head nothing, and the threshold most.
            texts = [item.text for item in held]
            likely, said = _best(head.log_probabilities(texts, self._tools.encoder.encode(texts)), head.labels_)
            right = [
                item.answerable and bool(contains_answer(text, item.answers))
                for item, text in zip(held, said, strict=True)
            ]
            self._threshold = fit_threshold(likely, np.array(right, dtype=bool))
        if known:
            vectors = np.concatenate([taught[1], choosing[1]])
            head.fit_again([*taught[0], *choosing[0]], vectors, [*taught[2], *choosing[2]])
        self._head = head
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. Cites nothing, and tells every asker the same."""
        del scope  # weights hold no access rules: that is what this candidate is measured for
        head = self._fitted()
        with metered() as meter:
            vector = self._tools.encoder.encode([request.text])
            likely, said = _best(head.log_probabilities([request.text], vector), head.labels_)
        probability = float(likely[0])
        trace = (("probability", f"{probability:.4f}"), ("threshold", f"{self._threshold:.4f}"))
        if probability < self._threshold:
            return Output(abstained=True, probability=probability, usage=meter.usage, trace=trace)
        return Output(text=said[0], probability=probability, usage=meter.usage, trace=trace)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        arrays, meta = self._fitted().state()
        common = {"candidate": self.name, "encoder": self._tools.encoder.name, "threshold": self._threshold}
        save_artefact(folder, arrays, {"closed_book": common, "head": meta})

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, or made with another encoder.
        """
        arrays, meta = load_artefact(folder)
        common: dict[str, Any] = meta.get("closed_book", {})
        if common.get("encoder") != self._tools.encoder.name:
            raise ModelError(
                f"this was made with encoder {common.get('encoder')}, not {self._tools.encoder.name}.",
                where=str(folder),
                remedy="Train it again with this encoder.",
                code="candidate.other_artefact",
            )
        self._head = LinearHead.from_state(arrays, meta["head"])
        self._threshold = float(common["threshold"])
        return self

    def _labelled(self, rows: Sequence[Item]) -> tuple[list[str], NDArray[np.float32], list[str]]:
        texts = [item.text for item in rows]
        return texts, self._tools.encoder.encode(texts), [item.answers[0] for item in rows]

    def _fitted(self) -> LinearHead:
        if self._head is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        return self._head


def latest_rows(rows: Sequence[Item]) -> list[Item]:
    """One row for each question and asker's groups: the one that began last, in the order of first appearance."""
    kept: dict[tuple[str, frozenset[str]], Item] = {}
    for item in rows:
        key = (normalised(item.text), item.groups)
        if key not in kept or (kept[key].valid_from or _EARLIEST) < (item.valid_from or _EARLIEST):
            kept[key] = item
    return list(kept.values())


def _best(log_probabilities: NDArray[np.float64], labels: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """The largest probability of each row and its answer."""
    return np.exp(log_probabilities.max(axis=1)), [labels[at] for at in log_probabilities.argmax(axis=1)]


def fit_threshold(likely: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The probability from which on answers are given: most right ones given plus wrong ones declined; ties go to the lowest."""
    edges = np.concatenate([[0.0], np.unique(likely), [1.0]])
    middles = (edges[1:] + edges[:-1]) / 2
    well = [(right & (likely >= at)).sum() + (~right & (likely < at)).sum() for at in middles]
    return float(middles[int(np.argmax(well))])
