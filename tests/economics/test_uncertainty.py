from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from steelyard.economics.cost_model import costs
from steelyard.economics.sampling import draw_inputs, quantile, total_draws, uncertain_inputs
from steelyard.economics.scenario import scenario_from_json
from steelyard.economics.uncertainty import evppi, simulate, total_order
from steelyard.evaluation.bench_money import SCENARIO
from steelyard.schema.economics import Input, Option, Range, Scenario
from steelyard.schema.errors import FactsError


def lump(name: str, usd: object) -> Option:
    return Option(name=name, approach="rag", setup_usd=usd)


def wide() -> Scenario:
    return scenario_from_json(SCENARIO)


def test_the_same_seed_gives_the_same_answer_and_another_a_close_one():
    assert simulate(wide(), seed=1) == simulate(wide(), seed=1)
    assert simulate(wide(), seed=1).p_cheapest["rag"] == pytest.approx(
        simulate(wide(), seed=2).p_cheapest["rag"], abs=0.03
    )


def test_uniform_against_a_fixed_price_has_known_chances_and_worth():
    scenario = Scenario(options=(lump("sure", 40), lump("open", Range(low=0, high=100))))

    found = simulate(scenario, draws=200_000, seed=3)

    assert found.p_cheapest["open"] == pytest.approx(0.4, abs=0.005)
    assert found.leaders == ("sure", "open")
    assert float(found.mean_usd["open"]) == pytest.approx(50, abs=0.3)
    assert float(found.evpi_usd) == pytest.approx(8, abs=0.1)  # integral of (40 - x) / 100 over 0..40
    assert float(found.regret_usd["open"]) == pytest.approx(18, abs=0.2)  # 8 + (50 - 40)
    only = found.inputs[0]
    assert only.total_order == pytest.approx(1, abs=0.02)
    assert float(only.evppi_usd) == pytest.approx(8, abs=0.3)  # the one unknown: knowing it is knowing all
    assert (float(only.low_usd), float(only.high_usd)) == (-35, 55)  # 5 - 40 and 95 - 40


def test_an_input_that_moves_both_options_alike_is_worth_nothing():
    shared = Input(name="rent", value=Range(low=0, high=1_000_000))
    scenario = Scenario(
        options=(
            Option(name="a", approach="rag", setup_usd=shared, update_usd=Range(low=0, high=100)),
            Option(name="b", approach="rag", setup_usd=shared, update_usd=50),
        )
    )

    effects = {effect.input: effect for effect in simulate(scenario).inputs}

    assert effects["rent"].total_order == pytest.approx(0, abs=1e-9)
    assert effects["rent"].evppi_usd < 2
    assert effects["a.update_usd"].total_order == pytest.approx(1, abs=0.05)


def test_information_is_worth_nothing_where_the_choice_is_clear():
    scenario = Scenario(options=(lump("low", Range(low=1, high=2)), lump("high", Range(low=5, high=9))))

    found = simulate(scenario)

    assert found.p_cheapest == {"low": 1.0, "high": 0.0}
    assert found.evpi_usd == 0
    assert all(effect.evppi_usd == 0 for effect in found.inputs)


def test_total_order_agrees_with_an_independent_implementation():
    scenario = wide()
    ranges = uncertain_inputs(scenario)

    class Distribution:
        def __init__(self, span: Range) -> None:
            self.span = span

        def ppf(self, share):
            return quantile(self.span, share)

    def gap(values):
        flat = values.reshape(len(ranges), -1)
        totals = total_draws(scenario, dict(zip(ranges, flat, strict=True)))
        return (totals[1] - totals[0]).reshape(1, *values.shape[1:])

    other = stats.sobol_indices(
        func=gap, n=4096, dists=[Distribution(span) for span in ranges.values()], rng=np.random.default_rng(0)
    )
    ours = {effect.input: effect.total_order for effect in simulate(scenario, draws=20_000).inputs}

    for name, theirs in zip(ranges, np.ravel(other.total_order), strict=True):
        assert ours[name] == pytest.approx(theirs, abs=0.04), name


def test_total_order_of_a_sum_is_each_share_of_the_variance():
    rng = np.random.default_rng(0)
    first, second, fresh = rng.normal(size=(3, 200_000))

    assert total_order(first * 3 + second, first * 3 + fresh) == pytest.approx(0.1, abs=0.002)  # 1 / (9 + 1)
    assert total_order(np.ones(10), np.ones(10)) == 0


def test_evppi_of_a_linear_gap_matches_its_formula():
    # Gap x + noise, both standard normal: knowing x is worth E max(0, -x) = 1 / sqrt(2 pi) = 0.399; all is worth 0.564.
    rng = np.random.default_rng(0)
    known, noise = rng.normal(size=(2, 100_000))
    totals = np.stack([np.zeros(100_000), known + noise])

    assert evppi(known, totals) == pytest.approx(0.399, abs=0.02)
    assert evppi(rng.normal(size=100_000), totals) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("span", "theirs"),
    [
        (Range(low=60, mode=160, high=500), stats.triang(100 / 440, loc=60, scale=440)),
        (Range(low=5, mode=5, high=9), stats.triang(0, loc=5, scale=4)),
        (Range(low=5, mode=9, high=9), stats.triang(1, loc=5, scale=4)),
        (Range(low=800, high=8000), stats.loguniform(800, 8000)),
        (Range(low=0, high=8), stats.uniform(0, 8)),
    ],
)
def test_quantiles_agree_with_an_independent_implementation(span, theirs):
    shares = np.linspace(0, 1, 41)

    np.testing.assert_allclose(quantile(span, shares), theirs.ppf(shares), rtol=1e-9, atol=1e-9)


def test_draws_stay_inside_their_range():
    span = Range(low=60, mode=160, high=500)
    drawn = draw_inputs({"x": span}, 10_000, np.random.default_rng(0))["x"]

    assert drawn.min() >= 60
    assert drawn.max() <= 500


def test_vector_totals_equal_the_exact_ones():
    scenario = wide().replace(queries_per_month=1_234_567, growth_per_month=0.0123, hour_usd=101)

    totals = total_draws(scenario, {"hour_usd": np.array([101.0, 202.0])})

    assert totals.shape == (2, 2)
    for row, cost in enumerate(costs(scenario)):
        assert totals[row, 0] == pytest.approx(float(cost.total_usd), rel=1e-12)


def test_without_ranges_the_answer_is_certain():
    found = simulate(scenario_from_json({}))

    assert found.p_cheapest == {"rag": 0.0, "fine_tune": 1.0}
    assert found.mean_usd["rag"] == Decimal("275404.12")
    assert found.evpi_usd == 0
    assert found.inputs == ()


def test_equal_options_share_the_chance():
    assert simulate(Scenario(options=(lump("a", 5), lump("b", 5)))).p_cheapest == {"a": 0.5, "b": 0.5}
    twins = (
        lump("a", Input(name="x", value=Range(low=1, high=2))),
        lump("b", Input(name="x", value=Range(low=1, high=2))),
    )
    assert simulate(Scenario(options=twins)).p_cheapest == {"a": 0.5, "b": 0.5}


def test_a_range_without_width_is_a_number():
    scenario = Scenario(options=(lump("a", Range(low=5, high=5)), lump("b", 6)))

    assert simulate(scenario).inputs == ()


def test_a_lone_option_has_a_spread_and_no_rival():
    found = simulate(Scenario(options=(lump("a", Range(low=1, high=100)),)))

    assert found.leaders == ("a",)
    assert found.p_cheapest == {"a": 1.0}
    assert found.inputs[0].total_order == pytest.approx(1, abs=0.05)


def test_nothing_to_price_and_too_few_draws_are_refused():
    with pytest.raises(FactsError, match="no option"):
        simulate(Scenario())
    with pytest.raises(FactsError, match="draws"):
        simulate(wide(), draws=5)


def test_every_number_may_be_a_range_the_horizon_too():
    found = simulate(scenario_from_json({"horizon_months": {"low": 6, "mode": 24, "high": 48}}))

    assert [effect.input for effect in found.inputs] == ["horizon_months"]
    assert found.p_cheapest["rag"] > 0
