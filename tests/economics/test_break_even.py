from __future__ import annotations

from decimal import Decimal

import pytest

from steelyard.economics.break_even import accuracy_gap, break_even, break_even_in
from steelyard.economics.cost_model import closed_form_total, costs
from steelyard.economics.scenario import scenario_from_json
from steelyard.schema.economics import Option, Scenario
from steelyard.schema.errors import FactsError


def two(first: dict, second: dict, **shared) -> Scenario:
    options = (Option(name="rag", approach="rag", **first), Option(name="tuned", approach="fine_tune", **second))
    return Scenario(**{"horizon_months": 10, "queries_per_month": 1000, **shared}, options=options)


def test_break_even_is_extra_fixed_cost_over_saving_per_query():
    scenario = two({"setup_usd": 100, "usd_per_query": 0.03}, {"setup_usd": 900, "usd_per_query": 0.01})

    found = break_even(scenario, "rag", "tuned")

    assert found.queries_per_month == 4_000  # (900 - 100) usd / (10 months x (0.03 - 0.01) usd)
    assert found.usd_fixed == 800
    assert found.usd_per_query == Decimal("0.02")
    assert found.because == ""


def test_growth_lowers_the_volume_that_has_to_be_there_in_the_first_month():
    scenario = two({"usd_per_query": 1}, {"setup_usd": 331}, horizon_months=3, growth_per_month=0.1)

    assert break_even(scenario, "rag", "tuned").queries_per_month == 100  # 331 / (1 + 1.1 + 1.21)


def test_at_the_break_even_both_cost_the_same():
    scenario = scenario_from_json({"growth_per_month": 0.03})
    volume = break_even(scenario, "rag", "fine_tune").queries_per_month

    there = scenario.replace(queries_per_month=volume)

    assert abs(closed_form_total(there, "rag") - closed_form_total(there, "fine_tune")) < Decimal("1e-9")


def test_there_is_none_when_a_query_is_not_cheaper():
    scenario = two({"usd_per_query": 0.01}, {"setup_usd": 1, "usd_per_query": 0.01})

    found = break_even(scenario, "rag", "tuned")

    assert found.queries_per_month is None
    assert "no volume pays" in found.because


def test_it_is_zero_when_the_second_is_cheaper_from_the_start():
    scenario = two({"setup_usd": 100, "usd_per_query": 0.02}, {"usd_per_query": 0.01})

    found = break_even(scenario, "rag", "tuned")

    assert found.queries_per_month == 0
    assert "any volume" in found.because


def test_a_second_that_is_cheaper_only_below_a_volume_is_said_to_be():
    scenario = two({"setup_usd": 100, "usd_per_query": 0.01}, {"usd_per_query": 0.02})

    found = break_even(scenario, "rag", "tuned")

    assert found.queries_per_month is None
    assert "only below 1,000 queries" in found.because  # 100 usd / (10 months x 0.01 usd)


def test_replicas_are_counted_where_one_is_not_enough():
    # One replica for 1,000 queries costs 5 a month; a query saves 0.01, so a full replica earns 10 and costs 5.
    scenario = two(
        {"usd_per_query": 0.01},
        {"setup_usd": 170, "hosting_usd_per_month": 5, "queries_per_replica": 1000},
    )

    found = break_even(scenario, "rag", "tuned").queries_per_month

    # k replicas pay from (17 + 5 k) / 0.01 queries on and serve 1,000 k: 3,200 > 3,000 for three, 3,700 < 4,000 for four
    assert float(found) == pytest.approx(3_700, rel=1e-9)


def test_a_self_hosted_rival_loses_by_its_own_replicas():
    # Neither pays by the query; the first needs a machine of 100 a month for every 1,000 queries, the second one for 9,000.
    scenario = two(
        {"hosting_usd_per_month": 100, "queries_per_replica": 1000},
        {"setup_usd": 2500, "hosting_usd_per_month": 100, "queries_per_replica": 9000},
    )

    # 2,500 usd / 10 months = 250: the fourth machine, needed beyond 3,000 queries, costs more than that
    assert float(break_even(scenario, "rag", "tuned").queries_per_month) == pytest.approx(3_000, rel=1e-9)


def test_there_is_none_when_hosting_eats_every_saving():
    scenario = two(
        {"usd_per_query": 0.01}, {"setup_usd": 200, "hosting_usd_per_month": 11, "queries_per_replica": 1000}
    )

    found = break_even(scenario, "rag", "tuned")

    assert found.queries_per_month is None
    assert "hosting" in found.because


@pytest.mark.parametrize(
    ("input_name", "value"),
    [
        # 79,019.88 usd fixed at 4 updates; 24 M queries save 105,744; an update a year costs 2 x (7,250 + ... ) usd more
        ("queries_per_month", 747_275.34),
        ("updates_per_year", 5.79296),
        ("tokens.context", 2443.2476),
    ],
)
def test_any_input_has_its_break_even(input_name, value):
    scenario = scenario_from_json({})

    found = break_even_in(scenario, input_name, "rag", "fine_tune")

    assert float(found.value) == pytest.approx(value, rel=1e-5)
    there = {cost.name: cost.total_usd for cost in costs(scenario.replace(**{input_name: found.value}))}
    assert float(there["rag"]) == pytest.approx(float(there["fine_tune"]), abs=0.01)


def test_the_sides_of_a_crossing_are_named():
    found = break_even_in(scenario_from_json({}), "updates_per_year", "rag", "fine_tune")

    assert (found.cheaper_below, found.cheaper_above) == ("fine_tune", "rag")
    assert found.at == 4


def test_a_share_is_searched_within_its_bounds_and_from_zero():
    scenario = two({"usd_per_query": 0.02}, {}, wrong_answer_usd=0.5)

    found = break_even_in(scenario, "tuned.error_rate", "rag", "tuned")

    assert float(found.value) == pytest.approx(0.04)  # 0.02 usd / 0.5 usd


def test_an_input_that_cannot_change_the_order_has_no_crossing():
    scenario = two({"usd_per_query": 0.01}, {"setup_usd": 1e9})

    assert break_even_in(scenario, "hour_usd", "rag", "tuned") is None
    assert break_even_in(two({}, {}), "hour_usd", "rag", "tuned") is None  # they never differ


def test_an_unknown_input_names_the_nearest():
    with pytest.raises(FactsError, match="Did you mean 'updates_per_year'"):
        break_even_in(scenario_from_json({}), "update_per_year", "rag", "fine_tune")


def test_an_unknown_option_names_those_there_are():
    with pytest.raises(FactsError, match="Options: rag, fine_tune"):
        break_even(scenario_from_json({}), "rag", "tuned")


def test_the_accuracy_gap_is_the_saving_over_the_cost_of_a_wrong_answer():
    scenario = two(
        {"usd_per_query": 0.03, "error_rate": 0.2}, {"setup_usd": 100, "error_rate": 0.9}, wrong_answer_usd=0.1
    )

    # (0.03 x 10,000 queries - 100) usd / (10,000 queries x 0.1 usd); the errors themselves are left out
    assert accuracy_gap(scenario, "rag", "tuned") == Decimal("0.2")
    assert accuracy_gap(scenario, "tuned", "rag") == Decimal("-0.2")
    assert accuracy_gap(two({}, {}), "rag", "tuned") is None


def test_break_even_rises_with_updates_tuned_price_and_labour_gap_and_falls_with_context():
    def volume(tree: dict) -> Decimal:
        return break_even(scenario_from_json(tree), "rag", "fine_tune").queries_per_month

    base = volume({})
    assert volume({"updates_per_year": 5}) > base
    assert volume({"fine_tune": {"input_usd_per_million": 3.5}}) > base
    assert volume({"fine_tune": {"setup_hours": 330}}) > base
    assert volume({"tokens": {"context": 3100}}) < base


@pytest.mark.parametrize(
    ("prices", "points"),
    [
        ((2, 8, 3, 12, 0), 4.406),
        ((0.4, 1.6, 0.8, 3.2, 0), 0.5626),
        ((2, 10, 0.2, 0.2, 0), 9.666),
        ((2.5, 10, 0.3, 1.2, 0), 11.026),
    ],
)
def test_half_a_point_to_eleven_points_of_accuracy_eat_the_saving_per_query(prices, points):
    rag_in, rag_out, tuned_in, tuned_out, _ = prices
    scenario = scenario_from_json(
        {
            "rag": {"input_usd_per_million": rag_in, "output_usd_per_million": rag_out},
            "fine_tune": {"input_usd_per_million": tuned_in, "output_usd_per_million": tuned_out},
        }
    )

    saving = break_even(scenario, "rag", "fine_tune").usd_per_query

    assert float(saving / Decimal("0.10")) * 100 == pytest.approx(points, abs=0.01)
