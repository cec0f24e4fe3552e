from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.metrics.drift import label_drift, mean_shift, population_stability

COUNTS = st.lists(st.integers(0, 50), min_size=3, max_size=3).map(lambda values: np.array(values, dtype=np.float64))


def test_the_index_by_hand() -> None:
    # Shares of 50.5 / 101 and 80.5 / 101: (.797 - .5) ln(.797 / .5) + (.203 - .5) ln(.203 / .5) = .1385 + .2677
    assert population_stability(np.array([50.0, 50.0]), np.array([80.0, 20.0])) == pytest.approx(0.406, abs=0.001)


@given(COUNTS, COUNTS)
def test_the_index_is_symmetric_zero_for_the_same_and_never_below(first: np.ndarray, second: np.ndarray) -> None:
    assert population_stability(first, first) == pytest.approx(0.0)
    assert population_stability(first, second) == pytest.approx(population_stability(second, first))
    assert population_stability(first, second) >= 0


def test_other_labels_are_drift_and_the_same_ones_seldom() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for seed in range(60):
        labels = rng.choice(list("abcdefgh"), size=260).tolist()
        alarms += label_drift(labels[:200], labels[200:], seed=seed)[1] <= 0.05
    assert alarms <= 8  # 5 % of 60 are 3; more than 8 has a probability below 1 %

    index, p = label_drift(["a"] * 100 + ["b"] * 100, ["a"] * 10 + ["c"] * 30)
    assert index > 1
    assert p < 0.01


def test_moved_texts_are_drift_and_the_same_ones_seldom() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for seed in range(30):
        rows = rng.normal(size=(150, 8)).astype(np.float32)
        alarms += mean_shift(rows[:100], rows[100:], seed=seed)[1] <= 0.05
    assert alarms <= 5

    moved = rng.normal(size=(50, 8)).astype(np.float32) + 1
    distance, p = mean_shift(rng.normal(size=(100, 8)).astype(np.float32), moved)
    assert distance == pytest.approx(np.sqrt(8), rel=0.2)
    assert p < 0.01
