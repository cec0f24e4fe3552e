"""A tuned head: logistic regression on embeddings, blended with a linear classifier on lexical features."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.components.calibration import fit_temperature, log_softmax, negative_log_likelihood
from steelyard.components.lexical import LexicalFeatures
from steelyard.models.interface import Vectors
from steelyard.schema.errors import NotFittedError

Weights = NDArray[np.float32]
Logits = NDArray[np.float64]

STRENGTHS = (
    10.0,
    30.0,
    100.0,
)  # C for vectors of length 1; below 10 banking77 and clinc150 lose, above 100 they overfit
BLENDS = (0.0, 1.0, 2.0, 4.0)  # weight of the lexical margins; 0 leaves them out
USUAL = (30.0, 2.0)  # strength and blend where there is nothing to choose by
LEXICAL_STRENGTH = 0.5
FEWEST_TO_CHOOSE = 10


class LinearHead:
    """Labels from a text and its vector. Knowledge is in the weights: no example is kept.

    `strength` (inverse regularisation) and `blend` are chosen by likelihood on validation rows, the temperature with them; then both
    classifiers are fitted again on train and validation rows together (`refit`), so no label is wasted. `lexical` False leaves the
    lexical classifier out; `dense` False the embeddings.
    """

    def __init__(self, *, seed: int = 0, refit: bool = True, lexical: bool = True, dense: bool = True) -> None:
        self.seed = seed
        self.refit = refit
        self.lexical = lexical
        self.dense = dense
        self._strengths: dict[float, Weights] = {}

    def fit(
        self,
        train: tuple[Sequence[str], Vectors, Sequence[str]],
        validation: tuple[Sequence[str], Vectors, Sequence[str]],
        weights: Weights | None = None,
    ) -> Self:
        """Learn from (texts, vectors, labels) of both parts; returns self.

        `weights`, (dim + 1, labels in sorted order), were learned on the train rows elsewhere, with the vectors: they stand for the first
        classifier, and are not fitted again.

        After it, `validation_log_probabilities_` (calibrated, from the classifiers that did not see those rows) has one row for each
        validation row over `chosen_labels_`, for whoever sets a threshold, and `validation_loss_`
        says how likely the labels of those rows were, in nats. Fewer than 10 usable validation rows: the usual settings.
        """
        texts, vectors, labels = train
        self._fit_parts(texts, vectors, labels, STRENGTHS if self.dense else STRENGTHS[:1], weights)
        index = {label: at for at, label in enumerate(self.labels_)}
        truth = np.array([index.get(label, -1) for label in validation[2]], dtype=np.int64)
        known = truth >= 0
        parts = self._parts_logits(validation[0], validation[1])
        self.strength_, self.blend_ = self._choose(parts, truth, known)
        logits = self._blended(parts[self.strength_], parts[None], self.blend_)
        self.temperature_ = fit_temperature(logits[known], truth[known]) if known.sum() >= FEWEST_TO_CHOOSE else 1.0
        self.validation_loss_ = (
            negative_log_likelihood(logits[known], truth[known], self.temperature_) if known.any() else math.inf
        )
        self.validation_log_probabilities_: Logits = log_softmax(logits / self.temperature_)
        self.chosen_labels_ = self.labels_
        if self.refit and len(truth):
            self.fit_again(
                [*texts, *validation[0]], np.concatenate([vectors, validation[1]]), [*labels, *validation[2]], weights
            )
        self._dense = self._strengths[self.strength_]
        return self

    def fit_again(
        self, texts: Sequence[str], vectors: Vectors, labels: Sequence[str], weights: Weights | None = None
    ) -> Self:
        """Fit both classifiers on other rows with the strength, blend and temperature that `fit` chose; returns self."""
        self._fit_parts(texts, vectors, labels, (self.strength_,), weights)
        self._dense = self._strengths[self.strength_]
        return self

    def fitted_on(self, texts: Sequence[str], vectors: Vectors, labels: Sequence[str]) -> Self:
        """Another head with the strength, blend and temperature of this one, fitted on other rows."""
        other = type(self)(seed=self.seed, refit=False, lexical=self.lexical and self.blend_ > 0, dense=self.dense)
        other.strength_, other.blend_, other.temperature_ = self.strength_, self.blend_, self.temperature_
        return other.fit_again(texts, vectors, labels)

    @property
    def dense_weights(self) -> Weights:
        """The classifier on vectors, (dim + 1, labels), the last row its intercepts."""
        return self._dense

    def log_probabilities(self, texts: Sequence[str], vectors: Vectors) -> Logits:
        """Calibrated log probabilities, float64, (texts, labels), in the order of `labels_`.

        Raises:
            NotFittedError: neither fitted nor loaded.
        """
        if not hasattr(self, "temperature_"):
            raise NotFittedError(
                "the head is not fitted.", remedy="Call fit or load first.", code="components.not_fitted"
            )
        dense = _affine(vectors, self._dense)
        logits = self._blended(dense, self._lexical_logits(texts) if self.blend_ else np.zeros_like(dense), self.blend_)
        return log_softmax(logits / self.temperature_)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON values to save; what a blend of 0 never reads is left out."""
        arrays: dict[str, NDArray[Any]] = {"dense": self._dense}
        meta: dict[str, Any] = {
            "labels": self.labels_,
            "strength": self.strength_,
            "blend": self.blend_,
            "temperature": self.temperature_,
            "dense_used": self.dense,
        }
        if self.blend_:
            features, terms = self._features.state()
            arrays |= {**features, "lexical": self._lexical}
            meta |= terms
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The head that `state` described."""
        head = cls(dense=bool(meta["dense_used"]))
        head.labels_ = list(meta["labels"])
        head.strength_, head.blend_ = float(meta["strength"]), float(meta["blend"])
        head.temperature_ = float(meta["temperature"])
        head._dense = arrays["dense"]
        if head.blend_:
            head._features = LexicalFeatures.from_state(arrays, meta)
            head._lexical = arrays["lexical"]
        return head

    def _fit_parts(
        self,
        texts: Sequence[str],
        vectors: Vectors,
        labels: Sequence[str],
        strengths: Sequence[float],
        weights: Weights | None = None,
    ) -> None:
        self.labels_: list[str] = sorted(set(labels))
        index = {label: at for at, label in enumerate(self.labels_)}
        truth = np.array([index[label] for label in labels], dtype=np.int64)
        count = len(self.labels_)
        self._strengths = (
            {strengths[0]: weights}
            if weights is not None
            else {
                strength: logistic_weights(vectors, truth, count, strength, self.seed)
                if self.dense
                else np.zeros((vectors.shape[1] + 1, count), dtype=np.float32)
                for strength in strengths
            }
        )
        if self.lexical:
            self._features = LexicalFeatures().fit(texts)
            self._lexical: Weights = _margins(self._features.matrix(texts), truth, count, self.seed)

    def _parts_logits(self, texts: Sequence[str], vectors: Vectors) -> dict[float | None, Logits]:
        """Logits of the dense part by strength, and of the lexical part under None."""
        parts: dict[float | None, Logits] = {
            strength: _affine(vectors, weights) for strength, weights in self._strengths.items()
        }
        shape = (len(texts), len(self.labels_))
        parts[None] = self._lexical_logits(texts) if self.lexical else np.zeros(shape)
        return parts

    def _choose(
        self, parts: Mapping[float | None, Logits], truth: NDArray[np.int64], known: NDArray[np.bool_]
    ) -> tuple[float, float]:
        strengths = list(self._strengths)
        blends = BLENDS if self.lexical and self.dense else (USUAL[1],) if self.lexical else (0.0,)
        if known.sum() < FEWEST_TO_CHOOSE:
            strength = USUAL[0] if USUAL[0] in strengths else strengths[0]
            return strength, USUAL[1] if self.lexical else 0.0
        best: tuple[float, float, float] | None = None
        for strength in strengths:
            for blend in blends:
                logits = self._blended(parts[strength], parts[None], blend)[known]
                # Compared at its own best temperature: likelihood would otherwise choose the best calibrated, not the most right.
                loss = negative_log_likelihood(logits, truth[known], fit_temperature(logits, truth[known]))
                if best is None or loss < best[0]:
                    best = (loss, strength, blend)
        assert best is not None
        return best[1], best[2]

    @staticmethod
    def _blended(dense: Logits, lexical: Logits, blend: float) -> Logits:
        # Normalised, so that `blend` weighs margins against log probabilities. Without vectors the first part is a constant.
        return log_softmax(dense) + blend * lexical

    def _lexical_logits(self, texts: Sequence[str]) -> Logits:
        out = np.zeros((len(texts), len(self.labels_)))
        for row, text in zip(out, texts, strict=True):
            index, values = self._features.transform(text)
            row += values @ self._lexical[index] + self._lexical[-1]
        return out


def _affine(vectors: Vectors, weights: Weights) -> Logits:
    """`vectors` (rows, dim) times `weights` (dim + 1, labels), whose last row is the intercept."""
    return np.asarray(vectors @ weights[:-1] + weights[-1], dtype=np.float64)


def logistic_weights(vectors: Vectors, truth: NDArray[np.int64], count: int, strength: float, seed: int) -> Weights:
    """Multinomial logistic regression on `vectors` (rows, dim); (dim + 1, labels), the last row the intercepts.

    `truth` holds numbers below `count`, each of which should occur.
    """
    if count < 2:
        return np.zeros((vectors.shape[1] + 1, count), dtype=np.float32)
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=500, random_state=seed)
    with many_labels_are_fine():
        model.fit(vectors, truth)
    return _both_sides(model.coef_, model.intercept_)


def _margins(features: Any, truth: NDArray[np.int64], count: int, seed: int) -> Weights:
    """One-against-rest linear support vector machines; (features + 1, labels)."""
    if count < 2 or features.shape[1] == 0:
        return np.zeros((features.shape[1] + 1, count), dtype=np.float32)
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=LEXICAL_STRENGTH, random_state=seed, max_iter=5000)
    with many_labels_are_fine():
        model.fit(features, truth)
    return _both_sides(model.coef_, model.intercept_)


@contextmanager
def many_labels_are_fine() -> Iterator[None]:
    """Without scikit-learn's guess that labels with one or two rows each were meant as a regression."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        yield


def _both_sides(coefficients: NDArray[np.float64], intercepts: NDArray[np.float64]) -> Weights:
    """One column for each label; scikit-learn gives a single one for two labels."""
    stacked = np.column_stack([coefficients, intercepts]).T
    if stacked.shape[1] == 1:
        stacked = np.hstack([np.zeros_like(stacked), stacked])
    return np.ascontiguousarray(stacked, dtype=np.float32)
