"""Routers: a label for a message with a calibrated probability, or "out of scope"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.classify_votes import Labelled, Votes, carved, loss_of
from steelyard.candidates.interface import Tools
from steelyard.components.calibration import (
    fit_temperature,
    fit_threshold,
    log_softmax,
    negative_log_likelihood,
    outside_distance,
)
from steelyard.components.cross_fitting import MOST_TO_FIT, cross_fitted_temperature
from steelyard.components.knn import NearestExamples
from steelyard.components.linear_head import LinearHead
from steelyard.dataset.split import cluster_rows
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.interface import Vectors
from steelyard.models.metering import metered
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

Logits = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

EVEN = 1.0  # an outside distance above 1 means: the out-of-scope class is likelier than every label
KNN_WEIGHTS = (
    0.15,
    0.3,
    0.5,
)  # share of the nearest examples in the cascade; the head alone and the examples alone are candidates too
FEWEST_VALIDATION = 10
ENOUGH_TO_CALIBRATE = 3_000
"""Validation rows from which on they alone tell the temperature. Below, rows that are held out in turn tell it: with a fifth of
banking77's training rows as a test, drawn three ways, its range shrank from 1.11-1.24 to 1.12-1.15 and the loss of the test rows in nats
from .2807, .2259 and .2081 to .2803, .2257 and .2050."""


class Router(ABC):
    """What routers share: reading rows, the threshold for declining, output, saving. A subclass learns and votes.

    Rows labelled `tools.out_of_scope_label` are a class of their own and are what the threshold is chosen by, on validation rows. A
    router without enough of them declines only where that class is the likeliest. `refit` False keeps validation rows out of
    the final fit, for comparisons with published figures. `validation_loss_` says after `fit` how unlikely the labels of the validation
    rows were before they were learned from, in nats: the router to choose has the lowest.
    """

    name = "router"
    encodes = True

    def __init__(self, tools: Tools, *, refit: bool = True) -> None:
        self._tools = tools
        self._refit = refit
        self._threshold: float | None = None
        self._last_temperature = 1.0
        self._ready = False

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Raises:
            UserError: no row has a label.
        """
        rows = [item for item in train if item.label]
        held = [item for item in validation if item.label]
        if not rows:
            raise UserError(
                "there are no labelled rows to learn from.",
                where=self.name,
                remedy="Add rows.",
                code="candidate.no_rows",
            )
        if len(held) < FEWEST_VALIDATION:
            rows, held = carved(rows, held)
        known, unseen = self._labelled(rows), self._labelled(held)
        votes = self._learn(known, unseen)
        self._last_temperature = self._temperature_of([*rows, *held], known, unseen)
        votes = self._tempered(votes)
        self.validation_loss_ = loss_of(votes, unseen.labels)
        outside = self._tools.out_of_scope_label
        self._threshold = None
        if len(unseen.labels):
            distance, best, _ = self._placed(votes, choosing=True)
            right = np.array([label == want for label, want in zip(best, unseen.labels, strict=True)], dtype=bool)
            beyond = np.array([label == outside for label in unseen.labels], dtype=bool)
            self._threshold = fit_threshold(distance, right, beyond)
        self._ready = True
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `probability` is that of the label given; the trace names the best label when it declined."""
        del scope  # a router reads the message only
        self._check_ready()
        with metered() as meter:
            votes = self._tempered(self._vote([request.text], self._vectors([request.text])))
            distance, best, probability = self._placed(votes)
        return self._output(float(distance[0]), best[0], float(probability[0]), meter.usage)

    def predict_many(self, texts: Sequence[str]) -> list[Output]:
        """As `predict` for each text, in one pass over the encoder; usage is not filled in. For benchmarks and drift checks."""
        self._check_ready()
        if not texts:
            return []
        distance, best, probability = self._placed(self._tempered(self._vote(list(texts), self._vectors(texts))))
        rows = zip(distance.tolist(), best, probability.tolist(), strict=True)
        return [self._output(far, label, likely, None) for far, label, likely in rows]

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        self._check_ready()
        arrays, meta = self._state()
        common = {
            "candidate": self.name,
            "threshold": self._threshold,
            "temperature": self._last_temperature,
            "out_of_scope_label": self._tools.out_of_scope_label,
            "encoder": self._tools.encoder.name if self.encodes else None,
        }
        save_artefact(folder, arrays, {"router": common, **meta})

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, of another candidate, or made with another encoder.
        """
        arrays, meta = load_artefact(folder)
        common = meta["router"]
        expected = (self.name, self._tools.encoder.name if self.encodes else None)
        if (common["candidate"], common["encoder"]) != expected:
            raise ModelError(
                f"this is '{common['candidate']}' made with encoder {common['encoder']}, not '{expected[0]}' with {expected[1]}.",
                where=str(folder),
                remedy="Train it again with this encoder.",
                code="candidate.other_artefact",
            )
        self._restore(arrays, meta)
        self._threshold = common["threshold"]
        self._last_temperature = common.get("temperature", 1.0)
        self._ready = True
        return self

    @abstractmethod
    def _learn(self, _train: Labelled, _held: Labelled) -> Votes:
        """Fit; returns the votes on `held`, made before those rows were learned from."""

    @abstractmethod
    def _vote(self, _texts: list[str], _vectors: Vectors) -> Votes: ...

    @abstractmethod
    def _state(self) -> tuple[Arrays, dict[str, Any]]: ...

    @abstractmethod
    def _restore(self, _arrays: Arrays, _meta: dict[str, Any]) -> None: ...

    def _temperature_of(self, _items: Sequence[Item], _known: Labelled, _unseen: Labelled) -> float:
        """What calibrated votes are divided by."""
        return 1.0

    def _tempered(self, votes: Votes) -> Votes:
        return replace(votes, log_probabilities=log_softmax(votes.log_probabilities / self._last_temperature))

    def _placed(self, votes: Votes, *, choosing: bool = False) -> tuple[Logits, list[str], Logits]:
        """Outside distance, best in-scope label and its probability, row by row."""
        outside = self._tools.out_of_scope_label
        index = votes.labels.index(outside) if outside in votes.labels else None
        inside = votes.log_probabilities.copy()
        if index is not None and len(votes.labels) > 1:
            inside[:, index] = -np.inf
        best = inside.argmax(axis=1)
        distance = outside_distance(votes.log_probabilities, index)
        if self._threshold is not None or choosing:
            # Without a threshold only the out-of-scope class declines: being far from all examples must not push above `EVEN`.
            distance = distance + votes.strangeness
        return distance, [votes.labels[at] for at in best], np.exp(inside.max(axis=1))

    def _output(self, distance: float, label: str, probability: float, usage: Any) -> Output:
        threshold = EVEN if self._threshold is None else self._threshold
        trace = (("distance", f"{distance:.4f}"), ("threshold", f"{threshold:.4f}"), ("best_label", label))
        more = {} if usage is None else {"usage": usage}
        if distance > threshold or label == self._tools.out_of_scope_label:
            # 1 - p: what is left for "none of the labels".
            outside = self._tools.out_of_scope_label
            return Output(label=outside, probability=1 - probability, out_of_scope=True, trace=trace, **more)
        return Output(label=label, probability=probability, trace=trace, **more)

    def _labelled(self, rows: Sequence[Item]) -> Labelled:
        texts = [item.text for item in rows]
        return Labelled(texts, self._vectors(texts), [item.label or "" for item in rows])

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        if not self.encodes:
            return np.zeros((len(texts), 0), dtype=np.float32)
        return self._tools.encoder.encode(list(texts))

    def _check_ready(self) -> None:
        if not self._ready:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )


class QuickRouter(Router):
    """A router that is quick enough to be fitted once more for each fold of its rows."""

    @abstractmethod
    def _vote_without(self, _rest: Labelled, _held: Labelled) -> Votes:
        """Votes on `_held` with the settings that `_learn` chose, fitted on `_rest`."""

    def _temperature_of(self, items: Sequence[Item], known: Labelled, unseen: Labelled) -> float:
        """What calibrated votes are divided by: told by all rows, each held out once, where validation rows are few."""
        rows = known + unseen
        enough = len(unseen.labels) >= ENOUGH_TO_CALIBRATE or len(rows.labels) > MOST_TO_FIT
        if not self._refit or enough:
            return 1.0
        cluster_of = np.zeros(len(items), dtype=np.int64)
        for number, places in enumerate(cluster_rows(items)):
            cluster_of[places] = number

        def fitted_on(rest: NDArray[np.int64], held: NDArray[np.int64]) -> tuple[Logits, list[str]]:
            votes = self._vote_without(rows.at(rest), rows.at(held))
            return votes.log_probabilities, votes.labels

        return cross_fitted_temperature(rows.labels, cluster_of.tolist(), fitted_on, seed=self._tools.seed)


class LinearRouter(QuickRouter):
    """A tuned head: logistic regression on embeddings, blended with a lexical classifier."""

    name = "linear"
    lexical = True
    dense = True

    def _learn(self, train: Labelled, held: Labelled) -> Votes:
        self._head = LinearHead(seed=self._tools.seed, refit=self._refit, lexical=self.lexical, dense=self.dense)
        self._head.fit((train.texts, train.vectors, train.labels), (held.texts, held.vectors, held.labels))
        seen = self._head.validation_log_probabilities_
        return Votes(seen, self._head.chosen_labels_, np.zeros(len(seen)))

    def _vote_without(self, rest: Labelled, held: Labelled) -> Votes:
        return _votes(self._head.fitted_on(rest.texts, rest.vectors, rest.labels), held.texts, held.vectors)

    def _vote(self, texts: list[str], vectors: Vectors) -> Votes:
        return _votes(self._head, texts, vectors)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        return self._head.state()

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._head = LinearHead.from_state(arrays, meta)


class TfidfRouter(LinearRouter):
    """The plain baseline: words and character n-grams with a linear classifier, no encoder."""

    name = "tfidf"
    dense = False
    encodes = False


class KnnRouter(QuickRouter):
    """A vote of the nearest labelled examples; mending an example takes effect at once."""

    name = "knn"

    def _learn(self, train: Labelled, held: Labelled) -> Votes:
        self._examples = NearestExamples().fit(
            train.vectors, train.labels, held.vectors, held.labels, refit=self._refit
        )
        return Votes(
            self._examples.validation_log_probabilities_,
            self._examples.chosen_labels_,
            1.0 - self._examples.validation_nearest_,
        )

    def _vote_without(self, rest: Labelled, held: Labelled) -> Votes:
        return _nearest_votes(self._examples.kept_on(rest.vectors, rest.labels), held.vectors)

    def _vote(self, _texts: list[str], vectors: Vectors) -> Votes:
        return _nearest_votes(self._examples, vectors)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        return self._examples.state()

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._examples = NearestExamples.from_state(arrays, meta)


class CascadeRouter(QuickRouter):
    """The hybrid: the tuned head and the nearest examples, weighed against each other on validation rows."""

    name = "cascade"

    def _learn(self, train: Labelled, held: Labelled) -> Votes:
        head = LinearHead(seed=self._tools.seed, refit=self._refit)
        self._head = head.fit((train.texts, train.vectors, train.labels), (held.texts, held.vectors, held.labels))
        examples = NearestExamples()
        self._examples = examples.fit(train.vectors, train.labels, held.vectors, held.labels, refit=self._refit)
        self._weight, self._temperature = KNN_WEIGHTS[0], 1.0
        dense, near = head.validation_log_probabilities_, examples.validation_log_probabilities_
        index = {label: at for at, label in enumerate(head.chosen_labels_)}
        truth = np.array([index.get(label, -1) for label in held.labels], dtype=np.int64)
        known = truth >= 0
        if known.any():
            self._weight, self._temperature = _weighed(dense[known], near[known], truth[known])
        return Votes(self._mixed(dense, near), head.chosen_labels_, self._weight * (1.0 - examples.validation_nearest_))

    def _vote_without(self, rest: Labelled, held: Labelled) -> Votes:
        head = self._head.fitted_on(rest.texts, rest.vectors, rest.labels)
        examples = self._examples.kept_on(rest.vectors, rest.labels)
        return self._both(head, examples, held.texts, held.vectors)

    def _vote(self, texts: list[str], vectors: Vectors) -> Votes:
        return self._both(self._head, self._examples, texts, vectors)

    def _both(self, head: LinearHead, examples: NearestExamples, texts: list[str], vectors: Vectors) -> Votes:
        near, nearest = examples.scores(vectors)
        mixed = self._mixed(head.log_probabilities(texts, vectors), near)
        return Votes(mixed, head.labels_, self._weight * (1.0 - nearest))

    def _mixed(self, dense: Logits, near: Logits) -> Logits:
        return log_softmax(((1 - self._weight) * dense + self._weight * near) / self._temperature)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        (head, head_meta), (examples, examples_meta) = self._head.state(), self._examples.state()
        mixing = {"weight": self._weight, "temperature": self._temperature}
        return {**head, **examples}, {"head": head_meta, "knn": examples_meta, "mixing": mixing}

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._head = LinearHead.from_state(arrays, meta["head"])
        self._examples = NearestExamples.from_state(arrays, meta["knn"])
        self._weight, self._temperature = meta["mixing"]["weight"], meta["mixing"]["temperature"]


class MajorityRouter(Router):
    """The plainest baseline: always the most frequent label, with its share as probability."""

    name = "majority"
    encodes = False

    def _learn(self, train: Labelled, held: Labelled) -> Votes:
        self._labels = sorted(set(train.labels) | set(held.labels))
        counts = np.array([(train.labels + held.labels).count(label) for label in self._labels], dtype=np.float64)
        self._log_shares: Logits = np.log(counts / counts.sum())
        return self._vote(held.texts, held.vectors)

    def _vote(self, texts: list[str], _vectors: Vectors) -> Votes:
        return Votes(np.tile(self._log_shares, (len(texts), 1)), self._labels, np.zeros(len(texts)))

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        return {"log_shares": self._log_shares}, {"labels": self._labels}

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self._log_shares, self._labels = arrays["log_shares"], list(meta["labels"])


def _votes(head: LinearHead, texts: list[str], vectors: Vectors) -> Votes:
    return Votes(head.log_probabilities(texts, vectors), head.labels_, np.zeros(len(texts)))


def _nearest_votes(examples: NearestExamples, vectors: Vectors) -> Votes:
    votes, nearest = examples.scores(vectors)
    # Far from every example: a vote among strangers is no evidence.
    return Votes(votes, examples.labels_, 1.0 - nearest)


def _weighed(dense: Logits, near: Logits, truth: NDArray[np.int64]) -> tuple[float, float]:
    """The weight of the nearest examples and the temperature under which `truth` is likeliest."""

    def loss(weight: float) -> tuple[float, float]:
        mixed = (1 - weight) * dense + weight * near
        temperature = fit_temperature(mixed, truth)
        return negative_log_likelihood(mixed, truth, temperature), temperature

    best = min(KNN_WEIGHTS, key=lambda weight: loss(weight)[0])
    return best, loss(best)[1]
