"""How wrong probabilities are, and how wrong true ones look on few rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.metrics.classify import calibration_by_chance, calibration_error, debiased_calibration_error
from steelyard.metrics.scores import Unscored


def drawn(count, shift=0.0, seed=1):
    rng = np.random.default_rng(seed)
    true = rng.beta(6, 1, count)
    return np.clip(true + shift, 0, 1).tolist(), (rng.random(count) < true).astype(float).tolist()


def test_true_probabilities_show_an_error_that_chance_explains():
    sure, right = drawn(3_000)
    chance = calibration_by_chance(sure, right)
    error = calibration_error(sure, right)
    assert 0.005 < error < chance.high
    assert chance.p_value > 0.05
    assert debiased_calibration_error(sure, right) < error


def test_probabilities_that_are_too_high_are_told_from_chance():
    sure, right = drawn(3_000, shift=0.05)
    chance = calibration_by_chance(sure, right)
    assert chance.p_value == 1 / 1001  # no draw of 1,000 reached the error seen
    assert calibration_error(sure, right) > chance.high
    assert debiased_calibration_error(sure, right) == pytest.approx(0.05, abs=0.02)


def test_the_debiased_error_is_the_square_of_the_gap_less_the_variance_of_a_share():
    # One bin of 40 rows at 0.9, of which 30 are right.
    found = debiased_calibration_error([0.9] * 40, [1.0] * 30 + [0.0] * 10, bins=1)
    assert found == pytest.approx(((0.75 - 0.9) ** 2 - 0.75 * 0.25 / 39) ** 0.5)


def test_without_rows_there_is_no_error():
    assert isinstance(calibration_error([], []), Unscored)
    assert isinstance(debiased_calibration_error([0.5] * 29, [1.0] * 29), Unscored)
    with pytest.raises(ValueError, match="no probabilities"):
        calibration_by_chance([], [])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_errors_are_shares_and_the_same_seed_gives_the_same_chance(rows):
    sure, right = [p for p, _ in rows], [float(r) for _, r in rows]
    assert 0.0 <= calibration_error(sure, right) <= 1.0
    chance = calibration_by_chance(sure, right, draws=20)
    assert chance == calibration_by_chance(sure, right, draws=20)
    assert 0.0 <= chance.expected <= 1.0
    assert 1 / 21 <= chance.p_value <= 1.0
