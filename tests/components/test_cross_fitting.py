from __future__ import annotations

import numpy as np
import pytest

from steelyard.components.calibration import log_softmax
from steelyard.components.cross_fitting import FOLDS, SUREST, cross_fitted_temperature, cross_probabilities
from steelyard.dataset.label_errors import rank_by_doubt, suspects

LABELS, ROWS_A_LABEL, WRONG = 6, 60, 18  # 5 % of 360


def clouds(seed: int) -> tuple[np.ndarray, list[str]]:
    """Unit vectors around six directions."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(LABELS, 32))
    vectors = np.repeat(centres, ROWS_A_LABEL, axis=0) + rng.normal(size=(LABELS * ROWS_A_LABEL, 32)) * 0.7
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"l{at}" for at in range(LABELS) for _ in range(ROWS_A_LABEL)]


def test_planted_wrong_labels_are_the_ones_named() -> None:
    vectors, labels = clouds(3)
    rng = np.random.default_rng(4)
    wrong = rng.choice(len(labels), WRONG, replace=False)
    for at in wrong:
        labels[at] = f"l{(int(labels[at][1:]) + int(rng.integers(1, LABELS))) % LABELS}"

    probabilities, names = cross_probabilities(vectors, labels, range(len(labels)))
    order, _ = rank_by_doubt(probabilities, [names.index(label) for label in labels])
    found = suspects(probabilities, labels, names)

    assert len(set(order[:WRONG].tolist()) & set(wrong.tolist())) >= 0.9 * WRONG
    assert len({one.at for one in found} & set(wrong.tolist())) >= 0.9 * len(found) > 0


def test_a_sound_set_names_no_row() -> None:
    vectors, labels = clouds(5)

    probabilities, names = cross_probabilities(vectors, labels, range(len(labels)))

    assert suspects(probabilities, labels, names) == []


def test_a_repeated_row_does_not_vouch_for_its_own_wrong_label() -> None:
    vectors, labels = clouds(6)
    # Ten copies of one row, all wrong: folds that separate them would learn the wrong label from the copies.
    copies = np.repeat(vectors[:1], 10, axis=0)
    vectors, labels = np.vstack([vectors, copies]), [*labels, *["l3"] * 10]
    labels[0] = "l3"
    clusters = [0, *range(1, LABELS * ROWS_A_LABEL), *[0] * 10]

    probabilities, names = cross_probabilities(vectors, labels, clusters)
    together = suspects(probabilities, labels, names)
    probabilities, names = cross_probabilities(vectors, labels, range(len(labels)))
    apart = suspects(probabilities, labels, names)

    assert len(together) == 11
    assert len(apart) < 11


def test_rows_are_probabilities_reported_fold_by_fold_and_the_same_for_a_seed() -> None:
    vectors, labels = clouds(7)
    told: list[tuple[int, int]] = []

    first, names = cross_probabilities(
        vectors, labels, range(len(labels)), seed=2, progress=lambda *at: told.append(at)
    )
    again, _ = cross_probabilities(vectors, labels, range(len(labels)), seed=2)

    assert np.array_equal(first, again)
    assert np.allclose(first.sum(axis=1), 1)
    assert (names, told[-1]) == (sorted(set(labels)), (FOLDS, FOLDS))


def test_labels_too_rare_to_be_learned_without_their_row_do_not_break_it() -> None:
    vectors, _ = clouds(8)
    probabilities, names = cross_probabilities(vectors[:3], ["a", "a", "b"], [0, 1, 2])
    assert probabilities.shape == (3, 2)
    assert names == ["a", "b"]
    assert probabilities[2].tolist() == [0.5, 0.5]  # nothing can be said of the only row of b


def told_temperature(logits: np.ndarray, truth: np.ndarray, clusters: list[int] | None = None) -> float:
    """Of a fit that says the same whatever it was fitted on."""
    names = [f"l{at}" for at in range(logits.shape[1])]
    return cross_fitted_temperature(
        [names[at] for at in truth],
        list(range(len(truth))) if clusters is None else clusters,
        lambda _rest, held: (log_softmax(logits[held]), names),
    )


@pytest.mark.parametrize("planted", [0.7, 1.0, 1.6])
def test_the_temperature_that_labels_were_drawn_with_is_found(planted: float) -> None:
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(4_000, 6)) * 3
    shares = np.exp(log_softmax(logits / planted)).cumsum(axis=1)
    truth = (rng.random((len(logits), 1)) > shares).sum(axis=1).clip(max=5)

    assert told_temperature(logits, truth) == pytest.approx(planted, rel=0.06)  # three standard errors at these rows


def test_no_fit_is_asked_about_a_row_of_a_cluster_that_it_learned_from() -> None:
    labels = [f"l{at % 3}" for at in range(60)]
    clusters = [at // 4 for at in range(60)]
    asked: list[int] = []

    def fitted_on(rest: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, list[str]]:
        assert not {clusters[at] for at in rest} & {clusters[at] for at in held}
        asked.extend(held.tolist())
        return np.log(np.full((len(held), 3), 1 / 3)), ["l0", "l1", "l2"]

    cross_fitted_temperature(labels, clusters, fitted_on)

    assert sorted(asked) == list(range(60))


def test_a_label_that_its_folds_rest_lacks_says_nothing_and_too_few_rows_leave_things_as_they_are() -> None:
    once = [*[f"only {at}" for at in range(30)], "both", "both"]

    def fitted_on(rest: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, list[str]]:
        columns = sorted({once[at] for at in rest})
        return log_softmax(np.ones((len(held), len(columns)))), columns

    assert cross_fitted_temperature(once, range(32), fitted_on) == 1.0


def test_rows_that_are_all_right_make_nobody_certain() -> None:
    truth = np.arange(60) % 3
    logits = np.eye(3)[truth] * 2.0

    assert told_temperature(logits, truth) == SUREST
