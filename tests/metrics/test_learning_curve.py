from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from steelyard.metrics.learning_curve import fit_power_law, gain_between, resampled_laws, score_at
from steelyard.schema.curves import PowerLaw

SIZES = (100, 250, 500, 1000)


def test_an_exact_law_is_found_again() -> None:
    truth = PowerLaw(scale=2.0, exponent=0.4, floor=0.05)

    law = fit_power_law(SIZES, [truth.error(size) for size in SIZES])

    assert law.error(4000) == pytest.approx(truth.error(4000), abs=0.003)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 0.9), min_size=4, max_size=4))
def test_no_general_optimiser_finds_a_better_law(errors: list[float]) -> None:
    x, y = np.array(SIZES) / SIZES[0], np.array(errors)
    law = fit_power_law(SIZES, errors)
    ours = sum((law.error(size) - error) ** 2 for size, error in zip(SIZES, errors, strict=True))

    theirs = min(
        2
        * least_squares(
            lambda p: p[0] * x ** -p[1] + p[2] - y,
            (0.5, start, 0.5 * y.min()),
            bounds=((0, 0.02, 0), (np.inf, 1.5, y.min())),
        ).cost
        for start in (0.1, 0.5, 1.0)
    )

    assert ours <= theirs + 1e-4
    assert law.scale >= 0
    assert 0 <= law.floor <= y.min()


def test_too_few_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="three sizes"):
        fit_power_law((10, 10, 20), (0.5, 0.5, 0.4))


def simulated(truth: PowerLaw, items: int, seed: int, noise: float = 0.02) -> list[np.ndarray]:
    """Errors of the same items at each size, drawn so that an item that is hard stays hard."""
    rng = np.random.default_rng(seed)
    hard = rng.random(items)
    return [
        np.array([(hard < truth.error(size) + rng.normal(0, noise)) for _ in range(draws)], dtype=np.float64)
        for size, draws in zip(SIZES, (5, 4, 3, 1), strict=True)
    ]


def test_the_interval_of_a_score_holds_the_truth_nearly_always() -> None:
    truth = PowerLaw(scale=3.0, exponent=0.45, floor=0.06)
    held = 0
    for seed in range(40):
        found = resampled_laws(SIZES, simulated(truth, 600, seed), resamples=150, seed=seed)
        score = score_at(found.law, found.laws, 2000)
        held += score.low <= 1 - truth.error(2000) <= score.high

    assert held >= 34  # 95 % of 40 are 38; fewer than 34 has a probability of 1 %


def test_where_learning_has_stopped_the_gain_may_be_nothing() -> None:
    flat = PowerLaw(scale=0.0, exponent=0.5, floor=0.2)
    steep = PowerLaw(scale=5.0, exponent=0.5, floor=0.02)

    stopped = resampled_laws(SIZES, simulated(flat, 400, 1))
    going_on = resampled_laws(SIZES, simulated(steep, 400, 1, noise=0.005))

    assert not stopped.still_learning
    assert going_on.still_learning
    gain = gain_between(stopped.law, stopped.laws, 1000, 2000, still_learning=False)
    assert gain.low == 0.0
    more = gain_between(going_on.law, going_on.laws, 1000, 2000)
    assert 0 < more.low <= more.mean <= more.high


def test_the_same_draws_give_the_same_laws() -> None:
    errors = simulated(PowerLaw(scale=2.0, exponent=0.4, floor=0.05), 200, 3)
    assert resampled_laws(SIZES, errors, resamples=20, seed=5) == resampled_laws(SIZES, errors, resamples=20, seed=5)
