"""The gates' arithmetic: what passes, what does not, what cannot be told, and how often each truth comes out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from steelyard.metrics.noninferiority import Paired, noninferior
from steelyard.metrics.planted_promotions import STATED_ROWS, planted_promotions

TRIALS = 1_000


def paired(better: int, worse: int, same: int, margin: float = 0.01) -> Paired:
    values = [1.0] * better + [-1.0] * worse + [0.0] * same
    return Paired(differences=values, clusters=list(range(len(values))), margin=margin)


def one(metric: Paired, alpha: float = 0.05):
    return noninferior({"accuracy": metric}, alpha=alpha)["accuracy"]


def test_a_single_metric_is_the_paired_t_test_against_the_margin() -> None:
    metric = paired(60, 40, 900, margin=0.01)
    values = np.array(metric.differences)
    expected = stats.ttest_1samp(values, -0.01, alternative="greater")
    found = one(metric)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.low == pytest.approx(expected.confidence_interval(0.95).low, rel=1e-9)
    assert found.outcome == "passed"


def test_rows_without_a_difference_are_no_proof_until_there_are_enough() -> None:
    assert one(paired(0, 0, 200)).outcome == "open"  # up to 3 / 200 = 1.5 % of all rows may still differ
    assert one(paired(0, 0, 400)).outcome == "passed"  # 3 / 400 = 0.75 %


def test_what_looks_worse_than_the_margin_is_worse_and_asks_for_no_rows() -> None:
    found = one(paired(10, 30, 960))  # -2.0 points
    assert (found.outcome, found.mean, found.more_rows) == ("worse", -0.02, None)


def test_the_rows_to_label_would_settle_it() -> None:
    found = one(paired(30, 30, 440))
    assert found.outcome == "open"
    # sd^2 = 60/500; (1.645 + 0.842) x sqrt(0.12) / 0.01 = 86.1; squared 7,419 rows in all
    assert found.more_rows == pytest.approx(7_419 - 500, abs=20)
    factor = (500 + (found.more_rows or 0)) // 500 + 1
    again = one(paired(30 * factor, 30 * factor, 440 * factor))
    assert again.outcome == "passed"


def test_more_rows_than_anybody_labels_are_not_asked_for() -> None:
    assert one(paired(100, 104, 300, margin=0.0085)).more_rows is None


def test_rows_of_one_document_count_as_one() -> None:
    values = [1.0] * 60 + [-1.0] * 40 + [0.0] * 900
    spread = Paired(differences=values, clusters=list(range(1000)), margin=0.01)
    lumped = Paired(differences=values, clusters=[at // 20 for at in range(1000)], margin=0.01)
    assert one(spread).low > one(lumped).low
    alone = Paired(differences=values, clusters=[0] * 1000, margin=0.01)
    assert one(alone).outcome == "open"
    assert one(alone).low == -math.inf


def test_every_further_metric_raises_the_bar_as_holm_says() -> None:
    strong, weak = paired(90, 20, 890), paired(46, 37, 917)  # the weak one has p about 0.019
    alone = noninferior({"weak": weak}, alpha=0.05)["weak"]
    assert 0.0125 < alone.p_value < 0.025
    assert alone.outcome == "passed"
    with_strong = noninferior({"weak": weak, "strong": strong}, alpha=0.05)
    assert {name: found.outcome for name, found in with_strong.items()} == {"weak": "passed", "strong": "passed"}
    four = noninferior({str(at): weak for at in range(4)}, alpha=0.05)  # 0.019 > 0.05 / 4: none passes
    assert {found.outcome for found in four.values()} == {"open"}


def test_a_candidate_two_points_worse_passes_at_most_one_time_in_twenty() -> None:
    found = planted_promotions(gain=-0.02, rows=STATED_ROWS, trials=TRIALS, seed=1)
    assert found.passed <= 0.05
    assert 0.10 <= found.discordance <= 0.20  # versions truly differ row by row


def test_a_candidate_two_points_better_passes_at_least_four_times_in_five_at_the_stated_rows() -> None:
    found = planted_promotions(gain=0.02, rows=STATED_ROWS, trials=TRIALS, seed=1)
    assert found.passed >= 0.80
    assert found.low >= 0.79


@pytest.mark.parametrize("rows", [300, 1_200])
def test_a_candidate_at_the_margin_of_a_single_metric_passes_as_often_as_alpha_says(rows: int) -> None:
    found = planted_promotions(gain=-0.01, rows=rows, trials=4_000, seed=5, production=(0.88,))
    assert found.low <= 0.05


def test_a_small_holdout_says_that_it_cannot_tell_instead_of_guessing() -> None:
    found = planted_promotions(gain=0.0, rows=300, trials=200, seed=3)
    assert found.passed < 0.1
    assert found.open > 0.3
