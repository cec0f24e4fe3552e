from dataclasses import replace

import numpy as np
import pytest

from steelyard.decision.choice import choose, more_rows, usd_per_error
from steelyard.decision.measured import recommend_measured
from steelyard.schema.decision import CandidateEvidence, MeasuredComponent, Requirements
from steelyard.schema.statistics import Comparison, Interval

E = 1_440_000.0  # 0.5 usd a wrong answer x 120,000 queries x 24 months: what an error rate of 1 would cost


def candidate(name, approach, mean, cost=50_000.0, **changes):
    error = (1 - mean) * E
    base = {
        "name": name,
        "approach": approach,
        "quality": Interval(mean=mean, low=mean - 0.02, high=mean + 0.02, n=500),
        "can_cite": True,
        "can_scope": True,
        "p95_ms": 20.0,
        "fixed_usd": 0.8 * cost,
        "error_usd": error,
        "total_usd": cost + error,
    }
    return CandidateEvidence(**{**base, **changes})


def pair(first, second, p=0.5, smallest=0.03, half=0.03):
    difference = first.quality.mean - second.quality.mean
    verdict = "no_difference" if p >= 0.05 else "better" if difference > 0 else "worse"
    return Comparison(
        first=first.name,
        second=second.name,
        difference=Interval(mean=difference, low=difference - half, high=difference + half, n=500),
        p_value=p,
        alpha=0.05,
        verdict=verdict,
        smallest_detectable=smallest,
    )


def component(candidates, comparisons, **changes):
    base = {
        "component": "intent",
        "task": "classify",
        "metric": "accuracy",
        "requirements": Requirements(),
        "candidates": tuple(candidates),
        "comparisons": tuple(comparisons),
        "smallest_detectable_difference": 0.03,
        "n_holdout": 500,
        "baseline": None,
        "queries_per_month": 120_000.0,
        "wrong_answer_usd": 0.5,
    }
    return MeasuredComponent(**{**base, **changes})


def criteria(decision):
    return [reason.criterion for reason in decision.reasons]


def test_a_shown_and_affordable_difference_wins():
    knn, linear = candidate("knn", "rag", 0.90), candidate("linear", "fine_tune", 0.94, cost=60_000)
    decision = recommend_measured(component([knn, linear], [pair(linear, knn, p=0.001)]))
    assert (decision.recommendation, decision.candidate) == ("fine_tune", "linear")
    assert decision.confidence > 0.8
    assert "wrong_answer_cost" in criteria(decision)


def test_a_higher_mean_that_was_not_shown_does_not_win():
    knn, linear = candidate("knn", "rag", 0.930, cost=20_000), candidate("linear", "fine_tune", 0.931, cost=60_000)
    decision = recommend_measured(component([knn, linear], [pair(linear, knn, p=0.8)]))
    assert (decision.recommendation, decision.candidate) == ("rag", "knn")
    assert "no_difference" in criteria(decision)


def test_a_shown_difference_that_costs_more_than_it_saves_does_not_win():
    # 0.01 better saves 14,400 usd of wrong answers and costs 80,000 usd more.
    plain, full = (
        candidate("linear", "fine_tune", 0.93, cost=20_000),
        candidate("full", "fine_tune", 0.94, cost=100_000),
    )
    decision = recommend_measured(component([plain, full], [pair(full, plain, p=0.001)]))
    assert decision.candidate == "linear"
    because = next(reason.because for reason in decision.reasons if reason.criterion == "wrong_answer_cost")
    assert "14,400 USD" in because
    assert "80,000 USD" in because
    flip = next(flip for flip in decision.flips if flip.input == "wrong_answer_usd")
    assert flip.candidate == "full"
    # 80,000 / 0.01 / (120,000 x 24) = 2.78 usd a wrong answer, less what counts as the same cost
    assert 2.0 < float(flip.to_value) <= 2.9


def test_where_costs_are_the_same_a_shown_difference_beats_simplicity():
    # Errors cost 446,400 against 302,400 usd, handoffs the other way round: totals within 5 percent of each other.
    plain = candidate("tfidf", "fine_tune", 0.69, total_usd=1_056_000.0, simplicity=0)
    tuned = candidate("linear", "fine_tune", 0.79, total_usd=1_021_000.0, simplicity=1)
    decision = recommend_measured(component([plain, tuned], [pair(tuned, plain, p=0.0001)]))
    assert decision.candidate == "linear"


def test_without_a_price_of_wrong_answers_a_shown_difference_decides():
    plain = candidate("linear", "fine_tune", 0.93, cost=20_000, error_usd=0.0, total_usd=20_000.0)
    full = candidate("full", "fine_tune", 0.94, cost=100_000, error_usd=0.0, total_usd=100_000.0)
    both = component([plain, full], [pair(full, plain, p=0.001)], wrong_answer_usd=None)
    assert recommend_measured(both).candidate == "full"


def test_the_baseline_being_as_good_comes_out_as_a_reason():
    base = candidate("majority-knn", "rag", 0.93, cost=20_000)
    tuned = candidate("contrastive", "fine_tune", 0.935, cost=90_000)
    decision = recommend_measured(component([base, tuned], [pair(tuned, base, p=0.4)], baseline="majority-knn"))
    assert decision.candidate == "majority-knn"
    reason = next(reason for reason in decision.reasons if reason.criterion == "baseline_as_good")
    assert "The baseline is as good: contrastive differs from majority-knn by" in reason.because
    assert "0.5 points (-2.5 to 3.5)" in reason.because


def test_twins_of_two_approaches_come_out_as_either():
    a, b = candidate("knn", "rag", 0.93), candidate("linear", "fine_tune", 0.93)
    decision = recommend_measured(component([a, b], [pair(a, b, p=1.0)]))
    assert decision.recommendation == "either"
    assert decision.candidate == "knn"


def test_twins_of_different_simplicity_come_out_as_the_simplest():
    a, b = candidate("a", "rag", 0.93, simplicity=2), candidate("b", "fine_tune", 0.93, simplicity=1)
    decision = recommend_measured(component([a, b], [pair(a, b, p=1.0)]))
    assert (decision.recommendation, decision.candidate) == ("fine_tune", "b")
    assert "simplicity" in criteria(decision)


def test_twins_of_one_approach_come_out_as_that_approach():
    a, b = candidate("a", "rag", 0.93, simplicity=1), candidate("b", "rag", 0.931, simplicity=2)
    assert recommend_measured(component([a, b], [pair(b, a, p=0.9)])).candidate == "a"


def test_noise_in_the_errors_of_tied_candidates_is_not_paid_for():
    # By raw totals the second would be 7,200 usd cheaper; its lead in quality was not shown.
    a = candidate("a", "rag", 0.930, cost=30_000, simplicity=1)
    b = candidate("b", "fine_tune", 0.935, cost=30_000, simplicity=2)
    assert (
        choose(component([a, b], [pair(b, a, p=0.6)])).costs["a"]
        == choose(component([a, b], [pair(b, a, p=0.6)])).costs["b"]
    )
    assert recommend_measured(component([a, b], [pair(b, a, p=0.6)])).candidate == "a"


@pytest.mark.parametrize(
    ("requirements", "flaw", "criterion"),
    [
        (Requirements(citations=True), {"can_cite": False}, "provenance"),
        (Requirements(audit=True), {"can_audit": False}, "provenance"),
        (Requirements(scoping=True), {"can_scope": False}, "scoping"),
        (Requirements(erasure=True), {"can_erase": False}, "erasure"),
        (Requirements(residency=True), {"stays_here": False}, "residency"),
        (Requirements(), {"leaks": 1}, "scoping"),
        (Requirements(p95_ms=100), {"p95_ms": 100.5}, "latency"),
        (Requirements(target=0.995), {}, "target_missed"),
    ],
)
def test_infeasible_stays_infeasible_whatever_it_costs(requirements, flaw, criterion):
    best = candidate("best", "fine_tune", 0.99, cost=0.0, **flaw)
    other = candidate("other", "rag", 0.999 if requirements.target else 0.6, cost=500_000)
    decision = recommend_measured(component([best, other], [pair(best, other, p=0.001)], requirements=requirements))
    assert decision.candidate == "other"
    assert [(one.name, one.criterion) for one in decision.excluded] == [("best", criterion)]


def test_nothing_feasible_is_not_enough_evidence_with_a_step():
    only = candidate("only", "fine_tune", 0.9, can_cite=False)
    decision = recommend_measured(component([only], [], requirements=Requirements(citations=True)))
    assert decision.recommendation == "not_enough_evidence"
    assert decision.candidate is None
    assert decision.next_step is not None


def test_nothing_measured_is_not_enough_evidence():
    unmeasured = candidate("only", "rag", 0.9, quality=None, not_measured="needs a generator")
    decision = recommend_measured(component([unmeasured], []))
    assert decision.recommendation == "not_enough_evidence"
    assert "Measure" in (decision.next_step or "")


def test_too_few_rows_where_money_hinges_on_them_asks_for_labels():
    # 0.03 apart, 0.06 detectable; the better one costs 7,200 usd more, worth an error rate of 0.005 (7,200 / 1,440,000).
    base = candidate("knn", "rag", 0.90, cost=20_000)
    rival = candidate("linear", "fine_tune", 0.93, cost=27_200)
    open_ = component([base, rival], [pair(rival, base, p=0.2, smallest=0.06, half=0.045)], n_holdout=200)
    decision = recommend_measured(open_)
    assert decision.recommendation == "not_enough_evidence"
    # 200 x ((0.06 / (0.03 - 0.005))^2 - 1) = 952
    assert "Label 952 more rows" in (decision.next_step or "")


def test_twins_never_ask_for_labels():
    a, b = candidate("a", "rag", 0.93), candidate("b", "fine_tune", 0.93)
    decision = recommend_measured(component([a, b], [pair(a, b, p=1.0, smallest=0.2, half=0.15)], n_holdout=30))
    assert decision.recommendation == "either"


def test_more_rows_follow_the_square_of_the_difference():
    assert more_rows(200, 0.06, 0.03) == 600  # 200 x ((0.06 / 0.03)^2 - 1)
    assert more_rows(200, 0.06, 0.0) is None
    assert more_rows(200, 0.06, 1e-6) is None


def test_what_an_error_costs_is_read_off_the_candidates():
    assert usd_per_error([candidate("a", "rag", 0.9)]) == pytest.approx(E)


def test_p_cheapest_comes_from_the_draws():
    rng = np.random.default_rng(1)
    cheap, dear = rng.normal(100, 10, 400), rng.normal(150, 10, 400)
    a = candidate("a", "rag", 0.93, total_draws=tuple(cheap))
    b = candidate("b", "fine_tune", 0.93, cost=75_000, total_draws=tuple(dear))
    decision = recommend_measured(component([a, b], [pair(a, b, p=0.9)]))
    assert decision.p_cheapest["rag"] > 0.99
    assert decision.p_cheapest["rag"] + decision.p_cheapest["fine_tune"] == pytest.approx(1)
    assert decision.confidence > 0.95


def test_more_queries_flip_to_what_costs_less_a_query():
    rag = candidate("rag-dense", "rag", 0.93, cost=30_000, fixed_usd=6_000.0)
    tuned = candidate("linear", "fine_tune", 0.93, cost=50_000, fixed_usd=49_000.0)
    decision = recommend_measured(component([rag, tuned], [pair(rag, tuned, p=1.0)]))
    assert decision.candidate == "rag-dense"
    flip = next(flip for flip in decision.flips if flip.input == "queries_per_month")
    assert flip.becomes in ("fine_tune", "either")
    assert float(flip.to_value) > 120_000


def test_a_pair_that_was_not_compared_is_told_apart_by_intervals_only():
    a, b = candidate("a", "rag", 0.99, cost=50_000), candidate("b", "fine_tune", 0.90, cost=50_000)
    assert recommend_measured(component([a, b], [])).candidate == "a"


def test_costs_that_are_unknown_leave_the_simplest_of_the_tied():
    a = candidate("a", "rag", 0.93, total_usd=None, error_usd=0.0, simplicity=1)
    b = candidate("b", "fine_tune", 0.94, total_usd=None, error_usd=0.0, simplicity=2)
    decision = recommend_measured(component([a, b], [pair(b, a, p=0.5)], queries_per_month=None, wrong_answer_usd=None))
    assert decision.candidate == "a"
    assert decision.flips == ()


def test_json_carries_candidate_and_task():
    a = candidate("a", "rag", 0.93)
    tree = recommend_measured(component([a], [])).to_json()
    assert tree["task"] == "classify"
    assert tree["candidate"] == "a"
    assert tree["recommendation"] == "rag"


def test_order_of_candidates_and_of_pairs_does_not_matter():
    a, b, c = (
        candidate("a", "rag", 0.93, cost=30_000, simplicity=1),
        candidate("b", "fine_tune", 0.95, cost=40_000, simplicity=2),
        candidate("c", "hybrid", 0.951, cost=90_000, simplicity=3),
    )
    pairs = [pair(b, a, p=0.01), pair(c, a, p=0.01), pair(c, b, p=0.9)]
    turned = [
        replace(one, first=one.second, second=one.first, verdict={"better": "worse", "worse": "better"}.get(one.verdict, one.verdict),
                difference=Interval(mean=-one.difference.mean, low=-one.difference.high, high=-one.difference.low, n=500))
        for one in reversed(pairs)
    ]  # fmt: skip
    one, other = recommend_measured(component([a, b, c], pairs)), recommend_measured(component([c, b, a], turned))
    assert (one.recommendation, one.candidate, one.confidence) == (
        other.recommendation,
        other.candidate,
        other.confidence,
    )
    assert one.candidate == "b"
