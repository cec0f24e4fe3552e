"""When to decline: how likely the chosen quote is right, and from which probability on it is given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from steelyard.components.fusion import DENSE
from steelyard.components.reader import FEATURES, Reading
from steelyard.schema.corpus import Hit
from steelyard.stores.analysis import terms

Matrix = NDArray[np.float64]

EVIDENCE = ("score", "margin", *FEATURES, "dense", "found", "lead")
"""What tells a sound choice from a guess: the reader's score, its lead over the runner-up, the FEATURES of the choice; the highest
cosine of any hit, the share of the question's terms in the first hits, and how far the best hit is ahead of the third."""

FIRST_HITS = 3
FEWEST_ROWS = 20
"""Below this no threshold is learned: every question is answered."""

MOST_LOST = 0.1
"""Share of the right answers that declining may cost at most: a team takes a system that hands over too much for a broken one."""

FOLDS = 5
REGULARISATION = 0.1  # scikit-learn's C on standardised features: sets of 50 questions must not overfit 20 of them
_MOST_MARGIN = 2.0

KEPT_PASSAGES = 1_000
"""Passages whose terms are remembered, 5 kB each: the same few are found again and again."""


def evidence_features(question: str, hits: Sequence[Hit], reading: Reading) -> Matrix:
    """EVIDENCE of one reading; float64, (features,). `hits` are those it was read from, best first."""
    asked = frozenset(terms(question))
    seen = frozenset[str]().union(*(_words_of(hit.passage.search_text) for hit in hits[:FIRST_HITS]))
    similar = [value for hit in hits for name, value in hit.parts if name == DENSE]
    best, third = hits[0].score, hits[min(FIRST_HITS, len(hits)) - 1].score
    return np.array(
        [
            reading.score,
            min(reading.margin, _MOST_MARGIN),
            *reading.features,
            # BM25 alone knows no cosine of a passage; the quote's stands in for it.
            max(similar, default=float(reading.features[0])),
            len(asked & seen) / len(asked) if asked else 0.0,
            (best - third) / best if best > 0 else 0.0,
        ],
        dtype=np.float64,
    )


@lru_cache(maxsize=KEPT_PASSAGES)
def _words_of(text: str) -> frozenset[str]:
    return frozenset(terms(text))


class Decliner:
    """A calibrated probability that the quote is right, and the threshold below which the question is declined.

    `coefficients` is float64, (3, features + 1): means, scales and weights of the features; the last column is 0, 1 and the
    intercept.
    """

    def __init__(self, coefficients: Matrix, threshold: float) -> None:
        self.coefficients = np.asarray(coefficients, dtype=np.float64)
        self.threshold = threshold

    @classmethod
    def fit(cls, features: Matrix, right: NDArray[np.bool_]) -> Self:
        """Learn from questions whose quote was right or not: `features` (rows, features), `right` (rows,).

        Logistic regression gives the probability. The threshold is the one under which most questions are handled well, that is a
        right quote given or a wrong one declined, among those that lose at most MOST_LOST of the right answers; for it, each row's
        probability comes from a fit on the other rows. With fewer than FEWEST_ROWS rows, or fewer than FOLDS of a kind, nothing is
        ever declined.
        """
        if len(features) < FEWEST_ROWS or min(int(right.sum()), int((~right).sum())) < FOLDS:
            return cls._never(right, features.shape[-1] if features.ndim == 2 else len(EVIDENCE))
        from sklearn.model_selection import StratifiedKFold

        fitted = cls(_coefficients(features, right), 0.0)
        scores = np.zeros(len(right))
        for learned, held in StratifiedKFold(FOLDS).split(features, right):
            part = cls(_coefficients(features[learned], right[learned]), 0.0)
            scores[held] = [part.confidence(row) for row in features[held]]
        fitted.threshold = best_threshold(scores, right)
        return fitted

    @classmethod
    def _never(cls, right: NDArray[np.bool_], width: int) -> Self:
        # (right + 1) / (rows + 2): Laplace's rule of succession, a probability that is never 0 or 1.
        share = (int(right.sum()) + 1) / (len(right) + 2)
        rows = np.vstack([np.zeros(width + 1), np.ones(width + 1), np.zeros(width + 1)])
        rows[2, -1] = np.log(share / (1 - share))
        return cls(rows, 0.0)

    def confidence(self, features: Matrix) -> float:
        """The probability that the quote is right, 0 to 1."""
        mean, scale, weights = self.coefficients
        logit = float(((features - mean[:-1]) / scale[:-1]) @ weights[:-1] + weights[-1])
        return 1.0 / (1.0 + float(np.exp(-np.clip(logit, -50.0, 50.0))))


def _coefficients(features: Matrix, right: NDArray[np.bool_]) -> Matrix:
    from sklearn.linear_model import LogisticRegression

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-9] = 1.0
    model = LogisticRegression(C=REGULARISATION, max_iter=1000).fit((features - mean) / scale, right)
    weights = np.append(model.coef_[0], model.intercept_[0])
    return np.vstack([np.append(mean, 0.0), np.append(scale, 1.0), weights])


def best_threshold(scores: Matrix, right: NDArray[np.bool_], most_lost: float = MOST_LOST) -> float:
    """The threshold under which most questions are handled well, losing at most a share `most_lost` of the right answers.

    The middle of the widest stretch among equals, for the next questions' scores will differ a little.

    >>> best_threshold(np.array([0.1, 0.2, 0.7, 0.9]), np.array([False, False, True, True]))
    0.45
    """
    edges = np.concatenate([[0.0], np.sort(scores), [1.0]])
    middles = (edges[1:] + edges[:-1]) / 2
    given = scores[None, :] >= middles[:, None]
    kept = (given & right).sum(axis=1)
    well = kept + (~given & ~right).sum(axis=1)
    allowed = kept >= (1.0 - most_lost) * right.sum()
    best = np.flatnonzero(allowed & (well == well[allowed].max()))
    widths = edges[best + 1] - edges[best]
    return float(middles[best[int(np.argmax(widths))]])
