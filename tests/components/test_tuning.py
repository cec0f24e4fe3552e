import numpy as np
import pytest

from steelyard.components.tuning import FEWEST_QUESTIONS, fit_weights


def questions(count, seed=0):
    """Quotes whose first feature tells which is right; the second is noise."""
    rng = np.random.default_rng(seed)
    groups, labels = [], []
    for _ in range(count):
        right = np.zeros(5, dtype=bool)
        right[rng.integers(5)] = True
        groups.append(np.column_stack([right + rng.normal(0, 0.4, 5), rng.normal(0, 1, 5)]))
        labels.append(right)
    return groups, labels


def test_weight_moves_to_the_feature_that_tells_right_from_wrong():
    weights = fit_weights(*questions(60), prior=np.zeros(2))
    assert weights[0] > 2
    assert abs(weights[1]) < 0.5


def test_the_optimum_has_no_slope():
    groups, labels = questions(30)
    prior = np.array([0.5, 0.5])
    weights = fit_weights(groups, labels, prior=prior)

    def loss(at):
        total = float(((at - prior) ** 2).sum())
        for features, right in zip(groups, labels, strict=True):
            shares = np.exp(features @ at)
            total -= np.log(shares[right].sum() / shares.sum())
        return total

    for step in np.eye(2) * 1e-4:
        slope = (loss(weights + step) - loss(weights - step)) / 2e-4
        assert slope == pytest.approx(0.0, abs=0.02)


def test_a_strong_pull_keeps_the_prior():
    prior = np.array([1.0, -1.0])
    assert fit_weights(*questions(30), prior=prior, pull=1e6) == pytest.approx(prior, abs=1e-3)


def test_few_questions_and_questions_that_teach_nothing_keep_the_prior():
    prior = np.array([1.0, 2.0])
    assert np.array_equal(fit_weights(*questions(FEWEST_QUESTIONS - 1), prior=prior), prior)
    groups, labels = questions(40)
    assert np.array_equal(fit_weights(groups, [~one & one for one in labels], prior=prior), prior)
    assert np.array_equal(fit_weights(groups, [one | ~one for one in labels], prior=prior), prior)
    assert np.array_equal(fit_weights([], [], prior=prior), prior)
