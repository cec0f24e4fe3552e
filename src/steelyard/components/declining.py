"""When to decline: how likely the chosen quote is right, and from which probability on it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from steelyard.components.reader import Reading, stems
from steelyard.schema.corpus import Hit

Matrix = NDArray[np.float64]

FEWEST_ROWS = 20
"""Below this no threshold is learned: every question is answered."""


def evidence_features(question: str, hits: Sequence[Hit], reading: Reading) -> Matrix:
    """What tells a sound choice from a guess; float64, (7,).

    The reader's score and margin, the best quote's similarity and coverage, the best dense similarity of any hit, the share
    of the question's stems found in the first hits, and agreement: whether the best quote stands in the best hit.
    """
    asked = set(stems(question))
    best_hits = hits[:3]
    seen: set[str] = set()
    for hit in best_hits:
        seen |= set(stems(hit.passage.search_text))
    dense = max((value for hit in hits for name, value in hit.parts if name == "dense"), default=reading.features[0])
    found = len(asked & seen) / len(asked) if asked else 0.0
    return np.array(
        [
            reading.score,
            min(reading.margin, 2.0),
            reading.features[0],
            reading.features[2],
            dense,
            found,
            float(reading.best.hit_rank == 0),
        ]
    )


class Decliner:
    """A calibrated probability that the quote is right, and the threshold below which the question is declined.

    `coefficients` is float64, (3, features + 1): means and scales of the features (last entry unused), then weights and
    intercept.
    """

    def __init__(self, coefficients: Matrix, threshold: float) -> None:
        self.coefficients = np.asarray(coefficients, dtype=np.float64)
        self.threshold = threshold

    @classmethod
    def fit(cls, features: Matrix, right: NDArray[np.bool_], on_validation: NDArray[np.bool_]) -> Self:
        """Learn from questions whose quote was right or not; the threshold comes from the validation rows.

        It maximises the share of questions handled well: right quotes given plus wrong ones declined. With fewer than
        FEWEST_ROWS rows, or when all rows are alike, nothing is ever declined.
        """
        width = features.shape[1] if features.ndim == 2 else 7
        if len(features) < FEWEST_ROWS or right.all() or not right.any():
            return cls(np.vstack([np.zeros((1, width + 1)), np.ones((1, width + 1)), np.zeros((1, width + 1))]), 0.0)
        from sklearn.linear_model import LogisticRegression

        mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
        model = LogisticRegression(C=0.3).fit((features - mean) / scale, right)
        weights = np.append(model.coef_[0], model.intercept_[0])
        fitted = cls(np.vstack([np.append(mean, 0.0), np.append(scale, 1.0), weights]), 0.0)
        chosen = on_validation if on_validation.any() else np.ones(len(right), dtype=bool)
        scores = np.array([fitted.confidence(row) for row in features[chosen]])
        fitted.threshold = _best_threshold(scores, right[chosen])
        return fitted

    def confidence(self, features: Matrix) -> float:
        """The probability that the quote is right, 0 to 1."""
        mean, scale, weights = self.coefficients
        logit = float(((features - mean[:-1]) / scale[:-1]) @ weights[:-1] + weights[-1])
        return 1.0 / (1.0 + float(np.exp(-logit)))


def _best_threshold(scores: Matrix, right: NDArray[np.bool_]) -> float:
    """The middle of the widest stretch of thresholds under which most questions are handled well."""
    edges = np.concatenate([[0.0], np.sort(scores), [1.0]])
    middles = (edges[1:] + edges[:-1]) / 2
    well = np.array([np.sum(right & (scores >= t)) + np.sum(~right & (scores < t)) for t in middles])
    best = np.flatnonzero(well == well.max())
    widths = edges[best + 1] - edges[best]
    return float(middles[best[int(np.argmax(widths))]])
