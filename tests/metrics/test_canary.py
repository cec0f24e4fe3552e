"""Canaries: the evidence is what its source says, twins are left alone, planted faults are stopped."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.config import CanarySettings
from steelyard.metrics.canary import CANARY, METRICS, PRODUCTION, CanaryTest, Limits, Outcome, counts
from steelyard.metrics.planted_canaries import FAULTS, Fault, planted_canaries
from steelyard.metrics.sequential import WorseTest, log_e

BY_NAME = {fault.name: fault for fault in FAULTS}


def expectation(true_a: float, true_b: float, bet_a: float, bet_b: float, margin: float, n_a: int, n_b: int) -> float:
    """The mean of the e-value over everything that a block can show, each outcome with its true chance."""
    total = 0.0
    for hits_a, hits_b in itertools.product(range(n_a + 1), range(n_b + 1)):
        chance = math.comb(n_a, hits_a) * true_a**hits_a * (1 - true_a) ** (n_a - hits_a)
        chance *= math.comb(n_b, hits_b) * true_b**hits_b * (1 - true_b) ** (n_b - hits_b)
        told = log_e(*(np.float64(one) for one in (hits_a, n_a, hits_b, n_b, bet_a, bet_b)), margin)
        total += chance * math.exp(float(told))
    return total


rates = st.floats(0.02, 0.98)


@settings(max_examples=60, deadline=None)
@given(
    rates,
    st.floats(0, 1),
    rates,
    st.floats(0.01, 0.5),
    st.sampled_from([0.0, 0.05]),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_evidence_has_a_mean_of_at_most_one_whenever_the_canary_is_not_worse(
    true_a, part, bet_a, gap, margin, n_a, n_b
) -> None:
    true_b = part * min(1.0, true_a + margin)  # anything up to the margin
    bet_b = min(bet_a + margin + gap, 0.999)
    if bet_b > bet_a + margin:
        assert expectation(true_a, true_b, bet_a, bet_b, margin, n_a, n_b) <= 1 + 1e-6


def test_one_block_is_the_likelihood_ratio_to_the_pooled_rate() -> None:
    told = float(log_e(*(np.float64(one) for one in (1, 10, 4, 10, 0.1, 0.3)), 0.0))
    pooled = 0.2  # (10 x 0.1 + 10 x 0.3) / 20
    by_hand = math.log(0.1 / pooled) + 9 * math.log(0.9 / 0.8) + 4 * math.log(0.3 / pooled) + 6 * math.log(0.7 / 0.8)
    assert told == pytest.approx(by_hand)


def test_a_canary_worse_by_just_the_margin_is_stopped_in_at_most_one_course_of_twenty() -> None:
    rng = np.random.default_rng(3)
    test, reached = WorseTest(margin=0.02), np.zeros(400, dtype=bool)
    for _ in range(300):
        test = test.seen(
            rng.binomial(90, 0.1, 400), np.full(400, 90.0), rng.binomial(10, 0.12, 400), np.full(400, 10.0)
        )
        reached |= test.evidence >= 20
    assert reached.mean() <= 0.05


def test_a_canary_like_production_is_shown_to_be_not_worse_and_one_that_is_worse_never_is() -> None:
    rng = np.random.default_rng(4)
    like, worse = WorseTest(margin=0.05), WorseTest(margin=0.05)
    for _ in range(300):
        block = rng.binomial(80, 0.1, 200), np.full(200, 80.0)
        like = like.seen(*block, rng.binomial(20, 0.1, 200), np.full(200, 20.0))
        worse = worse.seen(*block, rng.binomial(20, 0.2, 200), np.full(200, 20.0))
    assert (like.evidence_not_worse >= 20).mean() >= 0.95
    assert (worse.evidence_not_worse >= 20).sum() == 0


@pytest.mark.parametrize("name", ["twins", "20 % slower"])
def test_twins_are_stopped_in_at_most_one_course_of_twenty(name) -> None:
    assert planted_canaries(BY_NAME[name], trials=150, requests=20_000, seed=1).stopped <= 0.05


@pytest.mark.parametrize(
    ("name", "delay"),
    [("twice as slow", 150), ("5 points more errors", 400), ("15 points more declined", 500), ("50 % slower", 500)],
)
def test_planted_faults_are_stopped_within_some_hundred_requests_of_the_canary(name, delay) -> None:
    found = planted_canaries(BY_NAME[name], trials=60, requests=15_000, seed=2)
    assert found.stopped == 1.0
    assert found.delay_requests <= delay


def test_a_canary_that_people_dislike_is_stopped_when_enough_of_them_say_so() -> None:
    disliked = Fault(name="disliked", bad=0.4)
    assert planted_canaries(disliked, share=0.5, trials=60, requests=20_000, seed=2).stopped >= 0.9


def test_a_block_counts_each_metric_among_the_requests_it_applies_to() -> None:
    outcomes = [
        Outcome(side=PRODUCTION, failed=False, declined=True, latency_ms=50),
        Outcome(side=PRODUCTION, failed=False, declined=False, latency_ms=150),
        Outcome(side=CANARY, failed=True, declined=False, latency_ms=900),
        Outcome(side=CANARY, failed=False, declined=False, latency_ms=115),
    ]
    limits = Limits(half_ms=100, tail_ms=140)
    found = counts(outcomes, [(CANARY, True), (PRODUCTION, False)], limits, CanarySettings())
    assert found == {
        "errors": (0, 2, 1, 2),
        "declined": (1, 2, 0, 1),  # a failed request was not declined
        "slow_half": (1, 2, 0, 1),  # 115 ms is within 1.2 x 100 ms
        "slow_tail": (1, 2, 0, 1),
        "disliked": (0, 1, 1, 1),
    }


def test_a_canary_of_a_few_milliseconds_is_not_slow_whatever_the_factor() -> None:
    limits = Limits(half_ms=0.2, tail_ms=0.5)
    fast = Outcome(side=CANARY, failed=False, declined=False, latency_ms=9.0)
    late = Outcome(side=CANARY, failed=False, declined=False, latency_ms=11.0)
    found = counts([fast, late], [], limits, CanarySettings())
    assert (found["slow_half"], found["slow_tail"]) == ((0, 0, 1, 2), (0, 0, 1, 2))


def test_a_test_that_was_written_down_goes_on_as_if_it_never_was() -> None:
    begun = CanaryTest.begin(CanarySettings())
    block = dict.fromkeys(METRICS, (30.0, 100.0, 20.0, 30.0))
    for _ in range(3):
        begun = begun.seen(block)
    kept = CanaryTest.from_json(begun.to_json())
    assert kept.seen(block).to_json() == begun.seen(block).to_json()
    assert kept.worse() == list(METRICS)


def test_limits_are_the_median_and_the_95th_percentile() -> None:
    assert Limits.of(range(101)) == Limits(half_ms=50, tail_ms=95)
