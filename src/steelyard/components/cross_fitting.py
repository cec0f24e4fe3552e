"""Probabilities of labels for rows that the model did not see: cross-validation on embeddings, and the temperature that they tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.components.calibration import fit_temperature, negative_log_likelihood
from steelyard.components.linear_head import many_labels_are_fine
from steelyard.models.interface import Vectors

FOLDS = 5
STRENGTH = 3.0  # C for vectors of length 1; weaker than a router's, which fits wrong labels as well (1, 3 and 10 tried on banking77)
FEWEST_TO_TELL = 10
SUREST = 0.5  # rows that are all labelled right would call for certainty; a few dozen of them are no reason for it
STEP = 1.06  # a little more than from one of `fit_temperature`'s temperatures to the next
MOST_TO_FIT = 20_000  # rows a fold learns from: beyond, the time grows and the order of the doubts hardly changes


def cross_probabilities(
    vectors: Vectors,
    labels: Sequence[str],
    clusters: Sequence[int],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[NDArray[np.float64], list[str]]:
    """Probabilities, float64, (rows, labels), each row's from a fit without it, and the labels' names in column order.

    Logistic regression on `vectors`, five folds, each label spread over all of them. Rows of one cluster (near-duplicates) share a fold:
    a repeated row would vouch for its own wrong label. Where a fold's rest has no row of a label, nothing can be said of its rows: they
    get the same probability for every label. Deterministic for a seed.
    """
    names = sorted(set(labels))
    index = {name: at for at, name in enumerate(names)}
    truth = np.array([index[label] for label in labels], dtype=np.int64)
    out = np.zeros((len(truth), len(names)))
    rng = np.random.default_rng(seed)
    folds = folds_of(truth, np.asarray(clusters, dtype=np.int64), rng)
    for fold in range(FOLDS):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(rest) > MOST_TO_FIT:
            rest = np.sort(rng.choice(rest, MOST_TO_FIT, replace=False))
        if len(held) and len(rest):
            columns, probabilities = _fitted(vectors[rest], truth[rest], vectors[held], seed)
            out[np.ix_(held, columns)] = probabilities
            out[held[~np.isin(truth[held], columns)]] = 1.0 / len(names)
        progress(fold + 1, FOLDS)
    return out, names


def cross_fitted_temperature(
    labels: Sequence[str],
    clusters: Sequence[int],
    fitted_on: Callable[[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.float64], Sequence[str]]],
    *,
    seed: int = 0,
) -> float:
    """By how much log probabilities are to be divided to be true, from every row instead of the few that choose.

    `fitted_on(rest, held)` fits on the rows at `rest` and gives log probabilities (held rows, labels) and the labels' names; it is
    called once a fold. Rows of one cluster share a fold, as in `cross_probabilities`. A row whose label its fold's rest does not have
    says nothing; with fewer than `FEWEST_TO_TELL` others, 1.0. Deterministic for a seed.
    """
    names = sorted(set(labels))
    index = {name: at for at, name in enumerate(names)}
    truth = np.array([index[label] for label in labels], dtype=np.int64)
    folds = folds_of(truth, np.asarray(clusters, dtype=np.int64), np.random.default_rng(seed))
    found = np.full((len(truth), len(names)), -np.inf)
    for fold in range(FOLDS):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(held) and len(rest):
            logs, columns = fitted_on(rest, held)
            found[np.ix_(held, np.array([index[name] for name in columns], dtype=np.int64))] = logs
    told = np.isfinite(found[np.arange(len(truth)), truth])
    if told.sum() < FEWEST_TO_TELL:
        return 1.0
    rough = fit_temperature(found[told], truth[told])
    near = np.geomspace(rough / STEP, rough * STEP, 41)
    return max(SUREST, float(min(near, key=lambda one: negative_log_likelihood(found[told], truth[told], float(one)))))


def _fitted(
    vectors: Vectors, truth: NDArray[np.int64], held: Vectors, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns that were learned, and the probabilities of `held` over them."""
    known = np.unique(truth)
    if len(known) < 2:
        return known, np.ones((len(held), len(known)))
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, max_iter=200, random_state=seed)
    with many_labels_are_fine():
        model.fit(vectors, truth)
    return known, np.asarray(model.predict_proba(held), dtype=np.float64)


def folds_of(truth: NDArray[np.int64], clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold, 0 to `FOLDS` - 1, for each row: clusters in random order, dealt round label by label; both arguments (rows,)."""
    first: dict[int, int] = {}
    for at, cluster in enumerate(clusters.tolist()):
        first.setdefault(cluster, at)
    heads = np.array(list(first.values()), dtype=np.int64)
    heads = heads[rng.permutation(len(heads))]
    dealt = heads[np.argsort(truth[heads], kind="stable")]
    fold_of = dict(zip(clusters[dealt].tolist(), (np.arange(len(dealt)) % FOLDS).tolist(), strict=True))
    return np.array([fold_of[cluster] for cluster in clusters.tolist()], dtype=np.int64)
