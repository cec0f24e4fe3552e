"""Learns the reader's weights from questions with known answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

FEWEST_QUESTIONS = 12
"""Below this the prior is kept: a handful of questions moves weights by luck."""

PULL = 1.0
"""Strength of the pull towards the prior, in questions per unit of squared change; the prior was chosen on other data."""


def fit_weights(
    groups: Sequence[Matrix], labels: Sequence[NDArray[np.bool_]], prior: Matrix, pull: float = PULL
) -> Matrix:
    """Weights under which right quotes outrank wrong ones, question by question.

    `groups[i]` is float64, (quotes, features), `labels[i]`, bool, (quotes,), marks the right quotes of question i. Maximises the log
    of the softmax share that falls on right quotes (a conditional logit), pulled towards `prior`. Questions of which all or no
    quotes are right teach nothing and are left out. Returns float64, (features,); the prior when fewer than FEWEST_QUESTIONS are
    left. Deterministic. Source: McFadden, Conditional Logit Analysis of Qualitative Choice Behavior, 1974.
    """
    pairs = [
        (features, right) for features, right in zip(groups, labels, strict=True) if right.any() and not right.all()
    ]
    if len(pairs) < FEWEST_QUESTIONS:
        return prior.copy()
    from scipy.optimize import minimize

    # One stacked matrix: a Python loop over questions in every step of the optimiser takes most of a fit's time.
    stacked = np.vstack([features for features, _ in pairs])
    right = np.concatenate([marks for _, marks in pairs])
    starts = np.cumsum([0, *(len(features) for features, _ in pairs[:-1])])
    sizes = [len(features) for features, _ in pairs]

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        scores = stacked @ weights
        scores -= np.repeat(np.maximum.reduceat(scores, starts), sizes)
        shares = np.exp(scores)
        shares /= np.repeat(np.add.reduceat(shares, starts), sizes)
        on_right = np.where(right, shares, 0.0)
        mass = np.maximum(np.add.reduceat(on_right, starts), 1e-12)
        change = weights - prior
        gradient = 2 * pull * change - (on_right / np.repeat(mass, sizes) - shares) @ stacked
        return pull * float(change @ change) - float(np.log(mass).sum()), gradient

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x, dtype=np.float64)
