import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.metrics.planted import planted_trials
from steelyard.metrics.scores import Unscored, scored
from steelyard.metrics.statistics import (
    clustered_error,
    compare_all,
    holm,
    mean_interval,
    paired_p_value,
    required_items,
    smallest_detectable,
    wilson,
)


def test_mean_is_over_scored_items_and_counts_the_others():
    interval = mean_interval([1.0, 0.0, Unscored("no answer"), 1.0, 1.0])
    assert (interval.mean, interval.n, interval.unscored) == (0.75, 4, 1)
    assert 0 <= interval.low < 0.75 < interval.high <= 1


def test_no_scores_give_nan_not_zero():
    interval = mean_interval([Unscored("a"), Unscored("b")])
    assert math.isnan(interval.mean)
    assert (interval.n, interval.unscored) == (0, 2)


def test_interval_agrees_with_the_normal_one_where_that_holds():
    values = np.random.default_rng(0).random(2000)
    interval = mean_interval(values.tolist())
    half = 1.96 * values.std(ddof=1) / math.sqrt(2000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.06)


def test_all_right_is_not_certainty():
    interval = mean_interval([1.0] * 20)
    assert (interval.mean, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)  # Wilson at 20 of 20: n / (n + z^2)


def test_clustered_items_widen_the_interval():
    rng = np.random.default_rng(1)
    per_document = np.repeat(rng.random(40), 10)  # ten questions a document, all the same score
    alone = mean_interval(per_document.tolist())
    clustered = mean_interval(per_document.tolist(), np.repeat(np.arange(40), 10).tolist())
    assert (clustered.high - clustered.low) > 2.5 * (alone.high - alone.low)  # sqrt(10) = 3.2 in theory


def test_items_of_one_document_alone_stand_for_themselves():
    scores = [True] * 30 + [False] * 10
    assert mean_interval(scores, ["one"] * 40) == mean_interval(scores)
    assert mean_interval([True] * 40, ["one"] * 40) == mean_interval([True] * 40)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    truth, hits = 0.7, 0
    for trial in range(200):
        documents = np.repeat(np.arange(30), 4)
        level = np.clip(rng.normal(truth, 0.1, 30), 0, 1)[documents]
        interval = mean_interval((rng.random(120) < level).astype(float).tolist(), documents.tolist(), seed=trial)
        hits += interval.low <= truth <= interval.high
    assert hits >= 184  # 95 % of 200 is 190, less two standard deviations


def test_paired_p_value_equals_the_exhaustive_test_on_few_items():
    # Five differences of +1: of the 2^5 sign patterns, 2 reach |sum| = 5, so p = 2 / 32.
    assert paired_p_value([1.0] * 5, range(5), draws=40_000) == pytest.approx(2 / 32, abs=0.004)
    assert paired_p_value([0.0] * 5, range(5)) == 1.0
    assert paired_p_value([], []) == 1.0


def test_paired_p_value_agrees_with_scipy():
    from scipy.stats import permutation_test

    differences = np.random.default_rng(3).normal(0.15, 1.0, 80)
    theirs = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=0).pvalue
    assert paired_p_value(differences, range(80), draws=20_000) == pytest.approx(theirs, abs=0.012)


def test_holm_multiplies_the_smallest_by_the_count_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx(
        [0.03, 0.06, 0.06]
    )  # 0.01 x 3, 0.03 x 2, then 0.04 x 1 raised to 0.06
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_never_shrinks_a_p_value(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    ranked = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert ranked == sorted(ranked)


def test_clustered_error_equals_the_usual_one_for_single_items():
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    assert clustered_error(values, np.ones(5)) == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    assert clustered_error(np.array([1.0]), np.array([1.0])) == math.inf


def test_required_items_and_smallest_detectable_are_inverse():
    needed = required_items(0.05, 0.4, alpha=0.05)
    assert needed == math.ceil(((1.959964 + 0.841621) * 0.4 / 0.05) ** 2)  # 503
    spread = np.tile([0.4, -0.4], needed // 2 + 1)
    assert smallest_detectable(spread, range(len(spread)), alpha=0.05) == pytest.approx(0.05, rel=0.01)
    with pytest.raises(ValueError, match="difference of 0"):
        required_items(0, 0.4)


def test_identical_candidates_still_have_a_smallest_detectable_difference():
    # No difference in 100 items leaves room for 3 in 100 (rule of three): sqrt(0.03 / 100) x (2.2414 + 0.8416).
    assert smallest_detectable([0.0] * 100, range(100), alpha=0.025) == pytest.approx(0.05340, abs=1e-5)
    assert smallest_detectable([], []) == math.inf


def test_compare_all_names_winner_and_twins():
    rng = np.random.default_rng(4)
    hard = rng.random(400)
    good = (hard < 0.9).astype(float)
    twin = good.copy()
    flips = rng.choice(400, 20, replace=False)
    twin[flips] = rng.permutation(good[flips])
    poor = (hard < 0.7).astype(float)
    found = {(c.first, c.second): c for c in compare_all({"good": good, "twin": twin, "poor": poor})}
    assert list(found) == [("good", "twin"), ("good", "poor"), ("twin", "poor")]
    assert found["good", "twin"].verdict == "no_difference"
    assert found["good", "poor"].verdict == "better"
    assert found["good", "poor"].difference.mean == pytest.approx(float(good.mean() - poor.mean()))
    (reverse,) = compare_all({"poor": poor, "good": good})
    assert reverse.verdict == "worse"


def test_compare_all_leaves_an_item_out_where_either_has_no_score():
    (only,) = compare_all({"a": [1.0, 1.0, Unscored("x")], "b": [0.0, Unscored("y"), 1.0]})
    assert (only.difference.n, only.difference.unscored, only.difference.mean) == (1, 2, 1.0)


def test_compare_all_is_reproducible_and_checks_lengths():
    scores = {"a": [1.0, 0.0, 1.0] * 20, "b": [0.0, 0.0, 1.0] * 20}
    assert compare_all(scores, seed=5) == compare_all(scores, seed=5)
    assert compare_all({"a": [1.0]}) == []
    with pytest.raises(ValueError, match="one score for each item"):
        compare_all({"a": [1.0], "b": [1.0, 0.0]})
    with pytest.raises(ValueError, match="one score for each item"):
        compare_all({"a": [1.0], "b": [1.0]}, [1, 2])


def test_wilson_matches_a_published_value():
    low, high = wilson(0.8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)  # 8 of 10 at 95 %, Brown, Cai and DasGupta 2001


def test_scored_drops_what_has_no_score():
    assert scored({"a": 0.0, "b": Unscored("why")}) == {"a": 0.0}


@pytest.mark.slow
def test_planted_twins_stay_even_and_a_planted_winner_is_found():
    planted = planted_trials(trials=200, items=500)
    assert planted.twins_even >= 0.95
    assert planted.winner_found >= 0.90
