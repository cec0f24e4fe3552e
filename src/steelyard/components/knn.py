"""Labels by vote of the nearest labelled examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.components.calibration import fit_temperature, log_softmax, negative_log_likelihood
from steelyard.models.interface import Vectors
from steelyard.schema.errors import NotFittedError

Logits = NDArray[np.float64]

NEIGHBOURS = (1, 3, 5, 10, 20)
SHARPNESS = (0.03, 0.1)  # scale of the softmax over cosines: at 0.03 a neighbour 0.1 further away counts 1/28
USUAL = (5, 0.1)
SMALLEST_SHARE = 1e-4  # a label without a neighbour is unlikely, not impossible: its log must be finite
FEWEST_TO_CHOOSE = 10
_ROWS_AT_ONCE = 512


class NearestExamples:
    """Labels from the nearest examples. Knowledge stays outside: adding or mending an example needs no training.

    A neighbour's vote is softmax(cosine / sharpness) among the k nearest; k and sharpness are chosen by likelihood on validation rows,
    which then join the examples.
    """

    def fit(
        self, vectors: Vectors, labels: Sequence[str], held: Vectors, held_labels: Sequence[str], *, refit: bool = True
    ) -> Self:
        """Keep `vectors` as examples, choose and calibrate on `held`; returns self.

        After it, `validation_log_probabilities_` and `validation_nearest_` (cosine of the nearest example) have one row for each
        held row over `chosen_labels_`, made before the held rows joined.
        """
        self._keep(vectors, labels)
        index = {label: at for at, label in enumerate(self.labels_)}
        truth = np.array([index.get(label, -1) for label in held_labels], dtype=np.int64)
        known = truth >= 0
        self.k_, self.sharpness_, self.temperature_ = *USUAL, 1.0
        if known.sum() >= FEWEST_TO_CHOOSE:
            self._choose(held[known], truth[known])
        logits, self.validation_nearest_ = self.scores(held)
        self.validation_log_probabilities_: Logits = logits
        self.chosen_labels_ = self.labels_
        if refit and len(truth):
            self._keep(np.concatenate([vectors, held]), [*labels, *held_labels])
        return self

    def kept_on(self, vectors: Vectors, labels: Sequence[str]) -> Self:
        """Other examples, voting with the k, sharpness and temperature of these."""
        other = type(self)()
        other.k_, other.sharpness_, other.temperature_ = self.k_, self.sharpness_, self.temperature_
        other._keep(vectors, labels)
        return other

    def scores(self, vectors: Vectors) -> tuple[Logits, NDArray[np.float64]]:
        """Calibrated log probabilities (rows, labels) in the order of `labels_`, and the cosine of the nearest example (rows,).

        Raises:
            NotFittedError: neither fitted nor loaded.
        """
        if not hasattr(self, "temperature_"):
            raise NotFittedError(
                "there are no examples.", remedy="Call fit or load first.", code="components.not_fitted"
            )
        votes, nearest = self._votes(vectors, self.k_, self.sharpness_)
        return log_softmax(votes / self.temperature_), nearest

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON values to save."""
        arrays: dict[str, NDArray[Any]] = {"examples": self._vectors, "example_labels": self._truth}
        meta: dict[str, Any] = {
            "labels": self.labels_,
            "k": self.k_,
            "sharpness": self.sharpness_,
            "temperature": self.temperature_,
        }
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The examples that `state` described."""
        nearest = cls()
        nearest.labels_ = list(meta["labels"])
        nearest._vectors, nearest._truth = arrays["examples"], arrays["example_labels"]
        nearest.k_, nearest.sharpness_ = int(meta["k"]), float(meta["sharpness"])
        nearest.temperature_ = float(meta["temperature"])
        return nearest

    def _keep(self, vectors: Vectors, labels: Sequence[str]) -> None:
        self.labels_: list[str] = sorted(set(labels))
        index = {label: at for at, label in enumerate(self.labels_)}
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._truth = np.array([index[label] for label in labels], dtype=np.int64)

    def _choose(self, held: Vectors, truth: NDArray[np.int64]) -> None:
        best = np.inf
        for k, sharpness in product(NEIGHBOURS, SHARPNESS):
            votes, _ = self._votes(held, k, sharpness)
            temperature = fit_temperature(votes, truth)
            loss = negative_log_likelihood(votes, truth, temperature)
            if loss < best:
                best = loss
                self.k_, self.sharpness_, self.temperature_ = k, sharpness, temperature

    def _votes(self, vectors: Vectors, k: int, sharpness: float) -> tuple[Logits, NDArray[np.float64]]:
        out = np.empty((len(vectors), len(self.labels_)))
        nearest = np.empty(len(vectors))
        k = min(k, len(self._truth))
        for at in range(0, len(vectors), _ROWS_AT_ONCE):
            block = slice(at, at + _ROWS_AT_ONCE)
            similar = (vectors[block] @ self._vectors.T).astype(np.float64)
            top = np.argpartition(-similar, k - 1, axis=1)[:, :k]
            cosines = np.take_along_axis(similar, top, axis=1)
            nearest[block] = cosines.max(axis=1)
            weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / sharpness)
            weights /= weights.sum(axis=1, keepdims=True)
            shares = np.full((len(similar), len(self.labels_)), SMALLEST_SHARE)
            np.add.at(shares, (np.arange(len(similar))[:, None], self._truth[top]), weights)
            out[block] = np.log(shares)
        return out, nearest
