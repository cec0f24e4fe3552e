"""Learns the reader's weights from questions with known answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

FEWEST_QUESTIONS = 12
"""Below this the prior is kept: a handful of questions moves weights by luck."""

PULL = 2.0
"""Strength of the pull towards the prior, in questions per unit of squared change; the prior was chosen on other data."""


def fit_weights(groups: Sequence[Matrix], labels: Sequence[NDArray[np.bool_]], prior: Matrix) -> Matrix:
    """Weights under which right quotes outrank wrong ones, question by question.

    `groups[i]` is float64, (quotes, features), `labels[i]` marks the right quotes of question i. Maximises the log of the softmax
    share that falls on right quotes (a conditional logit), pulled towards `prior`. Returns float64, (features,); the prior when
    there are fewer than FEWEST_QUESTIONS questions. Source: McFadden, Conditional Logit Analysis, 1974.
    """
    if len(groups) < FEWEST_QUESTIONS:
        return prior.copy()
    from scipy.optimize import minimize

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        total = PULL * float(np.sum((weights - prior) ** 2))
        gradient = 2 * PULL * (weights - prior)
        for features, right in zip(groups, labels, strict=True):
            scores = features @ weights
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            mass = shares[right].sum()
            total -= float(np.log(max(mass, 1e-12)))
            within = np.where(right, shares, 0.0) / max(mass, 1e-12)
            gradient -= (within - shares) @ features
        return total, gradient

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x, dtype=np.float64)
