"""The cost model against the reference's worked values, and the laws that hold for any scenario."""

from __future__ import annotations

import dataclasses
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.economics.break_even import break_even
from steelyard.economics.cost_model import LINES, closed_form_total, costs
from steelyard.economics.scenario import scenario_from_json
from steelyard.schema.costs import OptionCost
from steelyard.schema.economics import Input, Option, Range, Scenario, Tier, exact
from steelyard.schema.errors import FactsError
from steelyard.schema.money import cents

CASES = {
    # RAG in, out; fine-tuned in, out; training; hosting a month
    "A": (2, 8, 3, 12, 25, 0),
    "B": (0.4, 1.6, 0.8, 3.2, 5, 0),
    "C": (0.2, 0.2, 0.2, 0.2, 0.5, 0),
    "D": (2, 10, 0.2, 0.2, 0.5, 0),
    "E": (2, 10, 0, 0, 0.5, 1825),
    "F": (0.2, 1.2, 0.2, 0.2, 0.5, 0),
    "G": (0.1, 0.5, 0, 0, 0.5, 1825),
    "H": (2.5, 10, 0.3, 1.2, 3, 0),
}
VECTORS = {
    "A": (183_461, 324_415, 747_275, 1_874_904),
    "B": (1_392_808, 2_454_718, 5_640_451, 14_135_737),
    "C": (1_293_447, 2_277_839, 5_231_015, 13_106_150),
    "D": (81_091, 142_807, 327_953, 821_677),
    "E": (266_044, 326_879, 509_382, 996_056),
    "F": (865_154, 1_523_588, 3_498_891, 8_766_366),
    "G": (5_259_736, 6_462_441, 10_070_555, 19_692_192),
    "H": (71_316, 125_646, 288_636, 723_275),
}
UPDATES = (0, 1, 4, 12)


def case(name: str, **top: object) -> Scenario:
    rag_in, rag_out, tuned_in, tuned_out, training, hosting = CASES[name]
    tuned = {"input_usd_per_million": tuned_in, "output_usd_per_million": tuned_out}
    tuned |= {"training_usd_per_million": training, "hosting_usd_per_month": hosting}
    rag = {"input_usd_per_million": rag_in, "output_usd_per_million": rag_out}
    return scenario_from_json({"rag": rag, "fine_tune": tuned, **top})


def by_name(scenario: Scenario) -> dict[str, OptionCost]:
    return {cost.name: cost for cost in costs(scenario)}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("place", range(4))
def test_break_even_matches_every_reference_vector(name, place):
    found = break_even(case(name, updates_per_year=UPDATES[place]), "rag", "fine_tune").queries_per_month

    assert round(found) == VECTORS[name][place]


@pytest.mark.parametrize(
    ("name", "rag", "tuned"),
    [("A", "275404.12", "248680.00"), ("C", "72364.12", "133900.00"), ("G", "66364.12", "174340.00")],
)
def test_two_year_totals_match_the_reference(name, rag, tuned):
    found = by_name(case(name))

    assert cents(found["rag"].total_usd) == Decimal(rag)
    assert cents(found["fine_tune"].total_usd) == Decimal(tuned)


def test_every_line_of_a_retrieving_option_by_hand():
    scenario = Scenario(
        horizon_months=2,
        queries_per_month=1_000_000,
        updates_per_year=12,
        hour_usd=100,
        wrong_answer_usd=0.5,
        handoff_usd=2,
        options=(
            Option(
                name="rag",
                approach="rag",
                setup_hours=10,
                setup_usd=7,
                operations_hours_per_month=3,
                store_usd_per_month=90,
                store_usd_per_million_queries=4,
                update_hours=0.5,
                corpus_tokens=5_000_000,
                changed_share=0.1,
                embedding_usd_per_million=0.02,
                embedding_tokens=100,
                input_tokens=(300, 100, 600),
                input_usd_per_million=2,
                cached_tokens=1000,
                cached_usd_per_million=0.5,
                cache_write_usd_per_million=2.5,
                cache_hit_rate=0.75,
                output_tokens=200,
                output_usd_per_million=8,
                rerank_usd_per_query=0.001,
                usd_per_query=0.0001,
                compute_seconds_per_query=0.36,
                compute_usd_per_hour=0.5,
                error_rate=0.02,
                handoff_rate=0.01,
            ),
        ),
    )

    lines = {line: usd for line, usd in costs(scenario)[0].lines.items() if usd}

    assert lines == {
        "setup_labour": 1000,  # 10 h x 100
        "setup_compute": Decimal("7.1"),  # 7 + 5 M tokens x 0.02
        "update_labour": 100,  # 2 updates x 0.5 h x 100
        "update_compute": Decimal("0.02"),  # 2 updates x 0.5 M tokens x 0.02
        "operations_labour": 600,  # 2 months x 3 h x 100
        "storage": 188,  # 2 months x (90 + 1 M queries x 4 a million)
        "input_tokens": 4000,  # 2 M queries x 1,000 tokens x 2 a million
        "cached_input_tokens": 2000,  # 2 M x 1,000 tokens x (0.75 x 0.5 + 0.25 x 2.5) a million
        "output_tokens": 3200,  # 2 M x 200 x 8 a million
        "embedding_tokens": 4,  # 2 M x 100 x 0.02 a million
        "reranking": 2000,  # 2 M x 0.001
        "compute": 300,  # 2 M x (0.36 s x 0.5 / 3600 + 0.0001)
        "wrong_answers": 20_000,  # 2 M x 0.02 x 0.5
        "handoffs": 40_000,  # 2 M x 0.01 x 2
    }


def test_every_line_of_a_trained_option_by_hand():
    option = Option(
        name="tuned",
        approach="fine_tune",
        setup_hours=1,
        labels=100,
        setup_runs=4,
        training_examples=1000,
        tokens_per_example=500,
        epochs=2,
        training_usd_per_million=10,
        update_hours=2,
        update_labels=10,
        update_runs=1,
        update_usd=5,
        retrains_per_year=1,
        retrain_hours=3,
        retrain_labels=20,
        retrain_runs=2,
        retrain_usd=1,
        hosting_usd_per_month=1000,
        queries_per_replica=400_000,
        migration_months=(2, 12, 13),
        migration_hours=5,
        migration_labels=1,
        migration_runs=1,
        migration_usd=2,
    )
    scenario = Scenario(
        horizon_months=12, queries_per_month=1_000_000, updates_per_year=3, hour_usd=100, label_usd=2, options=(option,)
    )

    found = costs(scenario)[0]

    assert {line: round(usd, 20) for line, usd in found.lines.items() if usd} == {
        "setup_labour": 100,
        "setup_labels": 200,
        "setup_compute": 40,  # 4 runs x 1,000 examples x 500 tokens x 2 epochs x 10 a million = 4 x 10
        "update_labour": 900,  # 3 x 2 h x 100 + 1 x 3 h x 100
        "update_labels": 100,  # 3 x 10 x 2 + 1 x 20 x 2
        "update_compute": 66,  # 3 x (10 + 5) + 1 x (2 x 10 + 1)
        "hosting": 36_000,  # 12 months x 3 replicas x 1,000
        "migrations": 1028,  # twice 5 h x 100 + 1 x 2 + 10 + 2; the one in month 13 is beyond the horizon
    }
    assert cents(found.monthly[1] - found.monthly[2]) == Decimal("514.00")  # the migration falls in month 2


def test_growth_compounds_from_the_second_month_and_adds_replicas_when_they_are_needed():
    option = Option(
        name="tuned", approach="fine_tune", usd_per_query=1, hosting_usd_per_month=10, queries_per_replica=110
    )
    scenario = Scenario(horizon_months=3, queries_per_month=100, growth_per_month=0.1, options=(option,))

    found = costs(scenario)[0]

    # 100, 110, 121 queries; one, one, two replicas
    assert found.monthly == (110, 120, 141)
    assert found.total_usd == closed_form_total(scenario, "tuned") == 371


def test_a_broken_last_month_counts_by_its_share():
    option = Option(name="a", approach="rag", operations_hours_per_month=1, usd_per_query=1)
    scenario = Scenario(horizon_months=2.5, queries_per_month=10, hour_usd=100, options=(option,))

    assert costs(scenario)[0].monthly == (110, 110, 55)


@pytest.mark.parametrize(("context", "usd"), [(100_000, 100_100), (100_001, 5 * 100_101)])
def test_a_price_tier_holds_for_the_whole_prompt_once_it_is_exceeded(context, usd):
    tiers = (Tier(above_tokens=100_100, input_usd_per_million=5),)
    option = Option(
        name="a", approach="prompt", input_tokens=(100, context), input_usd_per_million=1, output_tokens=0, tiers=tiers
    )
    scenario = Scenario(horizon_months=1, queries_per_month=1_000_000, options=(option,))

    assert costs(scenario)[0].total_usd == usd


def test_the_highest_exceeded_tier_decides_whatever_their_order():
    tiers = (Tier(above_tokens=200, output_usd_per_million=9), Tier(above_tokens=100, output_usd_per_million=5))
    option = Option(name="a", approach="rag", input_tokens=300, output_tokens=1, tiers=tiers, output_usd_per_million=1)

    assert costs(Scenario(horizon_months=1, queries_per_month=1_000_000, options=(option,)))[0].total_usd == 9


def random_option(rng: random.Random, name: str) -> Option:
    def usd(high: float) -> float:
        return round(rng.uniform(0, high), 4)

    tier = Tier(above_tokens=rng.randint(100, 5000), input_usd_per_million=usd(9), output_usd_per_million=usd(9))
    return Option(
        name=name,
        approach=rng.choice(["rag", "fine_tune", "prompt", "hybrid"]),
        setup_hours=usd(900),
        labels=rng.randint(0, 9000),
        setup_runs=rng.randint(0, 5),
        setup_usd=usd(9000),
        operations_hours_per_month=usd(80),
        store_usd_per_month=usd(900),
        hosting_usd_per_month=rng.choice([0, usd(5000)]),
        queries_per_replica=rng.randint(1000, 3_000_000),
        updates_per_year=rng.choice([None, usd(60)]),
        update_hours=usd(50),
        update_labels=rng.randint(0, 900),
        update_runs=rng.randint(0, 3),
        retrains_per_year=rng.choice([0, usd(12)]),
        retrain_hours=usd(50),
        training_examples=rng.randint(0, 9000),
        tokens_per_example=rng.randint(0, 2000),
        epochs=rng.randint(1, 5),
        training_usd_per_million=usd(30),
        corpus_tokens=rng.randint(0, 10**8),
        changed_share=usd(1),
        input_tokens=(rng.randint(0, 900), rng.randint(0, 4000)),
        cached_tokens=rng.choice([0, rng.randint(0, 200_000)]),
        cached_usd_per_million=rng.choice([None, usd(2)]),
        cache_hit_rate=usd(1),
        output_tokens=rng.randint(0, 900),
        embedding_tokens=rng.randint(0, 100),
        input_usd_per_million=usd(9),
        output_usd_per_million=usd(30),
        embedding_usd_per_million=usd(0.2),
        tiers=rng.choice([(), (tier,)]),
        rerank_usd_per_query=usd(0.002),
        error_rate=usd(1),
        handoff_rate=usd(1),
        migration_months=rng.choice([(), (rng.randint(1, 70),), (rng.randint(1, 30), rng.randint(31, 70))]),
        migration_hours=usd(90),
    )


def random_scenario(seed: int) -> Scenario:
    rng = random.Random(seed)
    return Scenario(
        horizon_months=rng.randint(1, 60),
        queries_per_month=rng.randint(0, 20_000_000),
        growth_per_month=rng.choice([0, 0, round(rng.uniform(0, 0.2), 4)]),
        updates_per_year=round(rng.uniform(0, 400), 2),
        hour_usd=round(rng.uniform(0, 300), 2),
        label_usd=round(rng.uniform(0, 20), 2),
        wrong_answer_usd=round(rng.uniform(0, 5), 3),
        handoff_usd=round(rng.uniform(0, 9), 2),
        options=tuple(random_option(rng, name) for name in ("one", "two", "three")),
    )


def test_the_closed_form_equals_the_monthly_sum_to_the_cent_on_a_thousand_scenarios():
    for seed in range(1000):
        scenario = random_scenario(seed)
        # One of its three options each time; a third of the scenarios grow.
        scenario = dataclasses.replace(scenario, options=scenario.options[seed % 3 : seed % 3 + 1])
        cost = costs(scenario)[0]
        assert cents(sum(cost.monthly, Decimal(0))) == cents(closed_form_total(scenario, cost.name)), seed


@pytest.mark.parametrize("seed", range(20))
def test_lines_and_months_add_up_to_the_total_also_after_rounding(seed):
    for cost in costs(random_scenario(seed)):
        assert tuple(cost.lines) == LINES
        assert cents(sum(cost.monthly, Decimal(0))) == cents(cost.total_usd)
        shown = cost.to_json()
        assert cents(sum(map(exact, shown["lines"].values()), Decimal(0))) == exact(shown["total_usd"])
        assert cents(sum(map(exact, shown["monthly"]), Decimal(0))) == exact(shown["total_usd"])


FALLING = {"cache_hit_rate", "queries_per_replica"}


@pytest.mark.parametrize("seed", range(8))
def test_no_cost_falls_when_any_input_rises(seed):
    scenario = random_scenario(seed)
    before = by_name(scenario)
    for name, number in scenario.inputs().items():
        field = name.split(".")[1] if "." in name else name
        if field in FALLING or field == "migration_months":
            continue
        raised = exact(number) * Decimal("1.1")
        if field in {"changed_share", "error_rate", "handoff_rate"}:
            raised = min(raised, Decimal(1))
        after = by_name(scenario.replace(**{name: raised}))
        for option, cost in after.items():
            # A longer prompt that crosses into a cheaper tier is the one honest exception.
            if field in {"input_tokens", "cached_tokens"} and scenario.option(option).tiers:
                continue
            assert cents(cost.total_usd) >= cents(before[option].total_usd), (name, option)


def test_options_are_priced_apart_so_adding_one_changes_no_other():
    scenario = random_scenario(3)
    alone = dataclasses.replace(scenario, options=scenario.options[1:2])

    assert costs(alone)[0] == costs(scenario)[1]


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_without_growth_two_horizons_cost_as_much_as_both_together_less_one_setup(first, second):
    def total(months: int) -> Decimal:
        found = by_name(case("E", horizon_months=months))["fine_tune"]
        return found.total_usd - sum(found.lines[line] for line in LINES[:3])

    assert cents(total(first) + total(second)) == cents(total(first + second))


def test_a_number_that_options_share_by_name_changes_in_all_of_them():
    shared = Input(name="tokens.system", value=100)
    options = tuple(
        Option(name=name, approach="rag", input_tokens=(shared, 50), input_usd_per_million=1) for name in ("a", "b")
    )
    scenario = Scenario(horizon_months=1, queries_per_month=1_000_000, options=options)

    changed = scenario.replace(**{"tokens.system": 250})

    assert [cost.total_usd for cost in costs(scenario)] == [150, 150]
    assert [cost.total_usd for cost in costs(changed)] == [300, 300]


def test_one_name_with_two_values_is_refused():
    one, two = (
        Option(name=name, approach="rag", labels=Input(name="n", value=place)) for place, name in enumerate("ab")
    )

    with pytest.raises(FactsError, match="carries two values"):
        Scenario(options=(one, two))


def test_ranges_are_taken_at_their_mode_or_geometric_middle():
    assert exact(Range(low=60, mode=160, high=500)) == 160
    assert exact(Range(low=800, high=7200)) == 2400  # sqrt(800 x 7200)
    assert exact(Range(low=0, high=7)) == Decimal("3.5")


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), True, "5", [1], 10**13])
def test_an_option_refuses_what_is_not_an_amount(wrong):
    with pytest.raises(FactsError) as caught:
        Option(name="rag", approach="rag", labels=wrong)

    assert caught.value.where == "rag.labels"
    assert caught.value.remedy
    assert caught.value.exit_code == 2
