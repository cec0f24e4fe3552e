"""From runs to a decided component: twins, planted winners, requirements, money that adds up."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hand_made import items, listed, run, settings, split

from steelyard.config import Requirements, TrafficSettings
from steelyard.economics.break_even import break_even
from steelyard.evaluation.bakeoff import Listed, Unmeasured, decide_component
from steelyard.evaluation.costing import Measured, check_prices, option_of, scenario_of
from steelyard.evaluation.pricing import price
from steelyard.evaluation.unmeasured import Counts, unmeasured_candidates
from steelyard.schema.errors import FactsError
from steelyard.schema.runs import RunRecord
from steelyard.schema.statistics import Interval
from steelyard.schema.weighing import ComponentResult


def _decided(*runs: RunRecord, task="classify", money=None, requirements=None, traffic=None, **more) -> ComponentResult:
    rows = items(len(runs[0].items), task)
    chosen = settings(requirements, traffic, **(money or {}))
    return decide_component("part", task, split(rows), runs, listed(runs), chosen, updates_per_year=4.0, **more)


def _of(component: ComponentResult, name: str):
    return next(one for one in component.candidates if one.name == name)


def _right(share: float, count: int, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(count) < share).astype(float).tolist()


def test_two_copies_of_one_candidate_are_no_different() -> None:
    scores = _right(0.8, 300, 1)
    found = _decided(run("first", scores), run("copy", scores))

    assert [one.verdict for one in found.comparisons] == ["no_difference"]
    assert found.comparisons[0].difference.mean == 0.0
    assert found.comparisons[0].p_value == 1.0
    assert _of(found, "first").quality == _of(found, "copy").quality


def test_twins_of_different_approaches_that_cost_the_same_are_either() -> None:
    scores = _right(0.8, 300, 1)
    # Without labour, updates and hosting, only the errors cost anything, and those are the same.
    found = _decided(
        run("a", scores, approach="rag"),
        run("b", scores, approach="fine_tune"),
        money={"hour_usd": 0.0, "label_usd": 0.0, "cpu_hour_usd": 0.0},
    )

    assert found.decision.recommendation == "either"


def test_a_winner_by_eight_points_is_better_and_recommended() -> None:
    rng = np.random.default_rng(3)
    level = rng.random(1500)
    twin, winner = (level < 0.80).astype(float).tolist(), (level < 0.88).astype(float).tolist()

    found = _decided(run("twin", twin), run("winner", winner), run("plain", [0.0] * 1500))

    by_pair = {(one.first, one.second): one.verdict for one in found.comparisons}
    assert by_pair["twin", "winner"] == "worse"
    assert found.decision.candidate == "winner"
    assert found.candidates[0].name == "winner"
    assert 0.04 < -found.comparisons[0].difference.mean < 0.12


def test_items_of_one_document_are_drawn_together() -> None:
    scores = [1.0] * 50 + [0.0] * 50
    alone = _decided(run("a", scores), run("b", scores[::-1]))
    together = _decided(
        run("a", scores, clusters=["x"] * 50 + ["y"] * 50), run("b", scores[::-1], clusters=["x"] * 50 + ["y"] * 50)
    )

    def width(found: ComponentResult) -> float:
        quality = _of(found, "a").quality
        return quality.high - quality.low

    assert width(together) > 2 * width(alone)


@pytest.mark.parametrize(
    ("requirements", "out", "word"),
    [
        (Requirements(citations=True), {"book"}, "cite"),
        (Requirements(scoping=True), {"book"}, "see"),
        (Requirements(p95_ms=50.0), {"slow"}, "50 ms"),
    ],
)
def test_a_candidate_that_misses_a_requirement_is_infeasible_whatever_it_costs(requirements, out, word) -> None:
    perfect, poor = [1.0] * 60, [1.0, 0.0] * 30
    found = _decided(
        run("book", perfect, task="answer", approach="fine_tune"),
        run("slow", perfect, task="answer", approach="rag", seconds=0.2),
        run("plain", poor, task="answer", approach="rag"),
        task="answer",
        requirements=requirements,
    )

    infeasible = {one.name: one.why_not for one in found.candidates if not one.feasible}
    assert set(infeasible) == out
    assert all(word in why for why in infeasible.values())
    assert found.decision.candidate not in out


def test_citations_are_not_asked_of_labels_and_replies() -> None:
    found = _decided(run("head", [1.0] * 30), requirements=Requirements(citations=True, scoping=True))

    assert found.candidates[0].feasible


def test_a_leak_rules_a_candidate_out_even_where_nothing_is_required() -> None:
    found = _decided(run("leaky", [1.0] * 60, leaks=1), run("sound", [1.0, 0.0] * 30))

    assert not _of(found, "leaky").feasible
    assert found.decision.candidate == "sound"


def test_when_nothing_is_feasible_the_evidence_is_not_enough_and_the_step_says_why() -> None:
    found = _decided(run("slow", [1.0] * 30, seconds=1.0), requirements=Requirements(p95_ms=10.0))

    assert found.decision.recommendation == "not_enough_evidence"
    assert found.decision.candidate is None
    assert found.decision.next_step


def test_lines_and_months_add_up_to_the_total_and_setup_is_a_part_of_it() -> None:
    found = _decided(run("a", _right(0.8, 200, 1)), run("b", _right(0.7, 200, 2), approach="rag"))

    for one in found.candidates:
        assert math.isclose(sum(one.usd_lines.values()), one.usd_total, abs_tol=1e-6)
        assert math.isclose(sum(one.usd_monthly), one.usd_total, abs_tol=1e-6)
        assert len(one.usd_monthly) == 24
        assert one.usd_setup == sum(usd for line, usd in one.usd_lines.items() if line.startswith("setup_"))
        assert one.usd_low <= one.usd_high


def test_wrong_answers_and_handoffs_cost_what_their_rates_say() -> None:
    # 60 right, 30 wrong, 10 declined of 100.
    right = [1.0] * 60 + [0.0] * 40
    declined = [0.0] * 90 + [1.0] * 10
    found = _decided(
        run("a", right, declined=declined), money={"wrong_answer_usd": 0.5, "handoff_usd": 2.0, "horizon_months": 10}
    )
    one = found.candidates[0]

    assert (one.error_rate, one.handoff_rate) == (0.3, 0.1)
    assert one.usd_lines["wrong_answers"] == pytest.approx(0.30 * 0.50 * 10_000 * 10)  # 15,000 USD
    assert one.usd_lines["handoffs"] == pytest.approx(0.10 * 2.00 * 10_000 * 10)  # 20,000 USD


def test_growth_is_counted_month_by_month() -> None:
    traffic = TrafficSettings(queries_per_month=1000, growth_per_month=0.1)
    found = _decided(run("a", [0.0] * 20), traffic=traffic, money={"horizon_months": 3, "wrong_answer_usd": 1.0})

    # 1000 + 1100 + 1210 queries, all answered wrong, 1 USD each
    assert found.candidates[0].usd_lines["wrong_answers"] == pytest.approx(3310.0)


def test_a_failed_prediction_is_a_wrong_answer_in_the_money() -> None:
    from dataclasses import replace

    whole = run("a", [1.0] * 4)
    broken = replace(whole.items[0], scores={"accuracy": 0.0}, error="the model fell over")
    found = _decided(replace(whole, items=(broken, *whole.items[1:])))

    assert found.candidates[0].error_rate == 0.25
    assert found.candidates[0].quality.mean == 0.75


def test_items_without_a_score_stay_out_of_the_mean_and_are_counted() -> None:
    from dataclasses import replace

    def without_first(one: RunRecord) -> RunRecord:
        return replace(one, items=(replace(one.items[0], scores={"wrong": 0.0, "declined": 0.0}), *one.items[1:]))

    found = _decided(without_first(run("a", [0.0, 1.0, 1.0, 1.0])), without_first(run("b", [0.0, 1.0, 1.0, 0.0])))

    quality = _of(found, "a").quality
    assert (quality.mean, quality.n, quality.unscored) == (1.0, 3, 1)


def test_the_break_even_of_the_curve_is_the_one_of_the_cost_model() -> None:
    found = _decided(
        run("retrieve", _right(0.80, 400, 1), approach="rag"), run("tuned", _right(0.90, 400, 2), approach="fine_tune")
    )
    curve = found.curve
    assert (curve.first, curve.second) == ("retrieve", "tuned")

    chosen = settings()
    measured = [
        Measured(
            name=one.name,
            approach=one.approach,
            task="classify",
            mean_seconds=0.001,
            build_s=2.0,
            train_rows=100,
            wrong=Interval(mean=one.error_rate, low=one.error_rate, high=one.error_rate, n=400),
            declined=Interval(mean=0.0, low=0.0, high=0.0, n=400),
        )
        for one in (_of(found, "retrieve"), _of(found, "tuned"))
    ]
    options = tuple(option_of(one, chosen.economics) for one in measured)
    expected = break_even(scenario_of(chosen, 4.0, options), "retrieve", "tuned").queries_per_month

    assert curve.break_even == pytest.approx(float(expected), rel=1e-9)
    assert found.decision.break_even_queries_per_month == round(expected)
    below, above = np.searchsorted(curve.queries_per_month, curve.break_even) - 1, None
    above = below + 1
    cheaper = [curve.totals["retrieve"][at] < curve.totals["tuned"][at] for at in (below, above)]
    assert cheaper == [True, False]


def test_curves_at_todays_volume_show_the_totals_of_the_table() -> None:
    found = _decided(
        run("retrieve", _right(0.8, 200, 1), approach="rag"), run("tuned", _right(0.9, 200, 2), approach="fine_tune")
    )
    curve = found.curve
    today = curve.queries_per_month.index(pytest.approx(curve.at))

    for name, totals in curve.totals.items():
        assert totals[today] == pytest.approx(_of(found, name).usd_total, rel=1e-6)


def test_one_approach_alone_has_no_curve_and_no_break_even() -> None:
    found = _decided(run("a", _right(0.8, 50, 1)), run("b", _right(0.7, 50, 2)))

    assert found.curve is None
    assert found.decision.break_even_queries_per_month is None


@pytest.mark.parametrize(
    "changed",
    [
        {"traffic": TrafficSettings(queries_per_month=0)},
        {"traffic": TrafficSettings(queries_per_month=1e9, growth_per_month=0.2)},
        {"money": {"wrong_answer_usd": 0.0, "handoff_usd": 0.0}},
        {"money": {"horizon_months": 1}},
    ],
)
def test_extreme_settings_still_give_a_decision_that_json_can_hold(changed) -> None:
    found = _decided(run("a", [1.0] * 20, approach="rag"), run("b", [0.0] * 20), **changed)

    json.dumps(found.to_json(), allow_nan=False)
    assert found.decision.recommendation


def test_one_item_is_little_evidence_and_no_error() -> None:
    found = _decided(run("a", [1.0], approach="rag"), run("b", [0.0]))

    json.dumps(found.to_json(), allow_nan=False)
    assert found.comparisons[0].verdict == "no_difference"


def test_candidates_that_need_a_generator_have_a_cost_and_no_quality() -> None:
    counts = Counts(question=12.0, answer=3.0, example=15.0, passage=150.0, corpus=30_000.0)
    left = unmeasured_candidates("answer", counts, 100, settings().economics)
    found = _decided(run("plain", [1.0] * 30, task="answer", approach="rag"), task="answer", unmeasured=left)

    for one in left:
        result = _of(found, one.listed.name).to_json()
        assert (result["measured"], result["quality"], result["latency_ms"]) == (False, None, None)
        assert result["usd"]["total"] > 0
        assert result["usd"]["p_cheapest"] is None
        assert "generator" in result["not_measured"]
    assert found.decision.candidate == "plain"
    assert [one.quality is None for one in found.candidates] == [False, *[True] * len(left)]


def test_a_prompt_is_priced_token_by_token() -> None:
    counts = Counts(question=100.0, answer=50.0, example=0.0, passage=200.0, corpus=0.0)
    wanted = next(
        one
        for one in unmeasured_candidates("answer", counts, 100, settings().economics)
        if one.listed.name == "rag-generator"
    )
    option = wanted.option
    asked = sum(float(tokens) for tokens in option.input_tokens)  # 300 system + 100 question + 6 x 200 passages

    assert asked == 1600
    per_query = asked * float(option.input_usd_per_million) + 50 * float(option.output_usd_per_million)
    found = _decided(
        run("plain", [1.0] * 30, task="answer", approach="rag"),
        task="answer",
        unmeasured=[wanted],
        traffic=TrafficSettings(queries_per_month=1_000_000),
        money={"horizon_months": 1, "hour_usd": 0.0},
    )
    # A million queries of so many tokens at so much a million tokens; nothing else costs anything here.
    assert _of(found, "rag-generator").usd_total == pytest.approx(per_query, rel=1e-6)


def test_what_ran_out_of_time_is_listed_without_a_cost() -> None:
    late = Unmeasured(listed=Listed(name="late", approach="rag", role="late"), why="the time budget was spent")
    found = _decided(run("a", [1.0] * 10), unmeasured=[late])

    assert _of(found, "late").not_measured == "the time budget was spent"
    assert _of(found, "late").usd_total is None


def test_hours_are_priced_by_approach_and_only_retrieval_scales_with_nothing() -> None:
    economics = settings(hour_usd=100.0, embedded_share=0.25).economics
    sure = Interval(mean=0.0, low=0.0, high=0.0, n=10)

    def measured(approach) -> Measured:
        return Measured(
            name=approach,
            approach=approach,
            task="classify",
            mean_seconds=0.001,
            build_s=0.0,
            train_rows=200,
            wrong=sure,
            declined=sure,
        )

    options = tuple(option_of(measured(approach), economics) for approach in ("rag", "fine_tune"))
    priced = price(settings(hour_usd=100.0), 4.0, options, ["rag", "fine_tune"], {o.name: o for o in options})
    rag, tuned = priced.costs["rag"], priced.costs["fine_tune"]

    # 160 h x 0.25 and 320 h x 0.25 at 100 USD an hour
    assert (rag.lines["setup_labour"], tuned.lines["setup_labour"]) == (Decimal(4000), Decimal(8000))
    # 4 updates a year for 2 years: 8 x 20 renewed labels (a tenth of 200) at 3 USD
    assert tuned.lines["update_labels"] == Decimal(480)


@pytest.mark.parametrize(
    "wrong", [{"traffic": TrafficSettings(growth_per_month=-0.5)}, {"money": {"horizon_months": 1000}}]
)
def test_settings_that_cannot_be_priced_are_refused_before_anything_is_built(wrong) -> None:
    with pytest.raises(FactsError) as caught:
        check_prices(settings(traffic=wrong.get("traffic"), **wrong.get("money", {})))

    assert caught.value.where in ("growth_per_month", "horizon_months")
