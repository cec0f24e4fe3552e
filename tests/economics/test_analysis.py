from __future__ import annotations

import json

import pytest

from steelyard.economics.analysis import analyse, volume_curve
from steelyard.economics.cost_model import LINES
from steelyard.economics.labels import LINE_GROUPS, round_values
from steelyard.economics.plots import analysis_chart, save_plot
from steelyard.economics.scenario import scenario_from_json
from steelyard.schema.economics import Option, Scenario
from steelyard.schema.errors import FactsError

UNCERTAIN = {
    "hour_usd": {"low": 60, "mode": 95, "high": 150},
    "rag": {"setup_hours": {"low": 60, "mode": 160, "high": 500}},
    "prompt": {},
}


def test_the_json_has_the_keys_of_the_contract_and_its_sums_agree():
    found = analyse(scenario_from_json({})).to_json()

    assert found["break_even_queries_per_month"] == 747_275
    assert found["totals_usd"] == {"rag": 275_404.12, "fine_tune": 248_680.0}
    assert found["p_cheapest"] == {"rag": 0.0, "fine_tune": 1.0}
    assert found["evpi_usd"] == 0
    assert found["sensitivity"] == []
    assert [month["month"] for month in found["monthly"]] == list(range(1, 25))
    for name, total in found["totals_usd"].items():
        assert round(sum(found["lines"][name].values()), 2) == total
        assert round(sum(month[name] for month in found["monthly"]), 2) == total
    json.dumps(found, allow_nan=False)


def test_the_json_of_an_uncertain_scenario_says_what_decides_it():
    found = analyse(scenario_from_json(UNCERTAIN)).to_json()

    assert set(found["totals_usd"]) == {"rag", "fine_tune", "prompt"}
    assert {entry["input"] for entry in found["sensitivity"]} == {"hour_usd", "rag.setup_hours"}
    assert all(0 <= entry["total_order"] <= 1.1 for entry in found["sensitivity"])
    assert sum(found["p_cheapest"].values()) == pytest.approx(1)


def test_no_break_even_is_null_with_its_reason():
    found = analyse(scenario_from_json({"rag": {"input_usd_per_million": 0, "output_usd_per_million": 0}})).to_json()

    assert found["break_even_queries_per_month"] is None
    assert found["break_even"]["because"]


def test_options_of_any_names_are_compared_pairwise_in_their_order():
    options = (Option(name="a", approach="rag", usd_per_query=2), Option(name="b", approach="rag", setup_usd=48))

    found = analyse(Scenario(options=options))

    assert found.pair == ("a", "b")
    assert found.break_even.queries_per_month == 1  # 48 usd / (24 months x 2 usd)


def test_a_lone_option_has_no_break_even():
    found = analyse(Scenario(options=(Option(name="a", approach="rag", usd_per_query=1),)))

    assert found.break_even is None
    assert found.to_json()["break_even_queries_per_month"] is None


def test_the_curve_passes_through_the_scenario_and_reaches_the_break_even():
    curve = volume_curve(scenario_from_json({}), marked=100_000_000)
    volumes = [point.queries_per_month for point in curve]

    assert max(volumes) >= 200_000_000
    assert all(point.low_usd == pytest.approx(point.usd) == pytest.approx(point.high_usd) for point in curve)


def test_the_band_holds_the_point_of_a_symmetric_range():
    scenario = scenario_from_json({"hour_usd": {"low": 50, "mode": 100, "high": 150}})

    assert all(point.low_usd < point.usd < point.high_usd for point in volume_curve(scenario))


def test_every_line_is_in_one_group_of_the_plot():
    grouped = [line for lines in LINE_GROUPS.values() for line in lines]

    assert sorted(grouped) == sorted(LINES)


def test_round_values_are_ones_twos_and_fives():
    assert round_values(30, 250) == [50, 100, 200]
    assert round_values(0.4, 3) == [0.5, 1, 2]
    assert round_values(1, 10**6) == [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]


@pytest.mark.parametrize(("ending", "start"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")])
def test_a_plot_is_written_in_each_format(tmp_path, ending, start):
    path = tmp_path / f"plot{ending}"

    save_plot(analyse(scenario_from_json(UNCERTAIN), draws=200), path)

    content = path.read_bytes()
    assert content.lstrip()[:15].lower().startswith(start[:15].lower())


def test_an_html_plot_loads_nothing_from_elsewhere(tmp_path):
    path = tmp_path / "plot.html"
    save_plot(analyse(scenario_from_json({})), path)

    assert 'src="http' not in path.read_text(encoding="utf-8")


def test_an_svg_plot_names_options_axes_and_break_even(tmp_path):
    path = tmp_path / "plot.svg"
    save_plot(analyse(scenario_from_json({})), path)
    text = path.read_text(encoding="utf-8")

    for said in (
        "RAG = fine-tuning at 747,275",
        "queries a month",
        "total over the horizon, USD",
        "$275,404",
        "labels",
    ):
        assert said in text


def test_a_plot_of_one_option_and_of_many_is_drawn():
    one = Scenario(options=(Option(name="a", approach="rag", usd_per_query=1),))
    many = Scenario(
        options=tuple(Option(name=f"o{n}", approach="rag", usd_per_query=n, setup_usd=9 - n) for n in range(1, 9))
    )

    assert analysis_chart(analyse(one)).to_dict()
    assert analysis_chart(analyse(many)).to_dict()


def test_a_plot_of_nothing_at_all_is_drawn(tmp_path):
    save_plot(analyse(Scenario(options=(Option(name="a", approach="rag"),))), tmp_path / "free.svg")


@pytest.mark.parametrize("name", ["plot.pdf", "plot"])
def test_another_format_is_refused_naming_those_there_are(tmp_path, name):
    with pytest.raises(FactsError, match=r"\.svg, \.png, \.html"):
        save_plot(analyse(scenario_from_json({})), tmp_path / name)


def test_a_plot_into_a_missing_folder_is_one_error(tmp_path):
    with pytest.raises(FactsError, match="could not be written"):
        save_plot(analyse(scenario_from_json({})), tmp_path / "none" / "plot.svg")
