"""Makes probabilities honest, and finds the threshold below which a router declines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

TEMPERATURES = np.geomspace(0.05, 20.0, 121)
SPREAD = 1.0  # of log temperature; those of the heads and votes on the public sets lie between 0.3 and 2
MAX_IN_SCOPE_LOSS = 0.01  # a router that turns away more than 1 in 100 messages it would get right is a worse router
FEWEST_OUTSIDE = 3  # one or two out-of-scope rows put a threshold anywhere


def log_softmax(logits: Matrix) -> Matrix:
    """Log of the softmax over the last axis, safe for large logits."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Matrix = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def negative_log_likelihood(logits: Matrix, labels: NDArray[np.int64], temperature: float = 1.0) -> float:
    """Mean of -log p(label) with logits divided by `temperature`; nats."""
    return float(-log_softmax(logits / temperature)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Matrix, labels: NDArray[np.int64]) -> float:
    """The likeliest temperature after `labels` were seen; 1.0 when there are no rows.

    Changes no ranking, only confidence. Before any row, its logarithm is held to be normal around 0 with `SPREAD`: that weighs as much
    as a row or two, so a handful of rows that are all right does not make a router certain of everything.
    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if len(labels) == 0:
        return 1.0

    def surprise(temperature: float) -> float:
        believed = 0.5 * (np.log(temperature) / SPREAD) ** 2
        return len(labels) * negative_log_likelihood(logits, labels, temperature) + float(believed)

    return min(map(float, TEMPERATURES), key=surprise)


def outside_distance(log_probabilities: Matrix, out_of_scope_index: int | None) -> Matrix:
    """How far outside every label each row looks, 0 to 2: 1 - the largest in-scope probability + that of the out-of-scope class.

    (rows, labels) calibrated log probabilities to (rows,). Without an out-of-scope class its probability is 0. On clinc150's
    validation rows this caught more than either part alone, than entropy and than energy at small losses.
    """
    probabilities = np.exp(log_probabilities)
    if out_of_scope_index is None:
        return np.asarray(1.0 - probabilities.max(axis=1))
    beyond = probabilities[:, out_of_scope_index]
    inside = np.delete(probabilities, out_of_scope_index, axis=1)
    return np.asarray(1.0 - inside.max(axis=1, initial=0.0) + beyond)


def fit_threshold(distance: Matrix, right: NDArray[np.bool_], beyond: NDArray[np.bool_]) -> float | None:
    """The distance above which to decline: it catches most of the rows `beyond` all labels, and costs little inside.

    Among thresholds that turn away at most `MAX_IN_SCOPE_LOSS` of the in-scope rows that were `right`, the one with the best out-of-scope
    recall less that loss; it lies in the middle of a gap between two rows. None, for "never decline", when fewer than
    `FEWEST_OUTSIDE` rows are beyond, or none is inside.
    """
    inside = int((~beyond).sum())
    if beyond.sum() < FEWEST_OUTSIDE or inside == 0:
        return None
    edges = np.unique(distance)
    middles = np.concatenate([(edges[:-1] + edges[1:]) / 2, [edges[-1] + 1e-9]])
    lost = _above(distance[right & ~beyond], middles) / inside
    caught = _above(distance[beyond], middles) / beyond.sum()
    allowed = np.flatnonzero(lost <= MAX_IN_SCOPE_LOSS)
    return float(middles[allowed[np.argmax((caught - lost)[allowed])]])


def _above(values: Matrix, thresholds: Matrix) -> Matrix:
    """How many of `values` lie above each threshold."""
    return np.asarray(len(values) - np.searchsorted(np.sort(values), thresholds, side="right"), dtype=np.float64)
