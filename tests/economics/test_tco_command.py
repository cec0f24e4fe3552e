"""`steelyard tco` and `steelyard prices` as a user meets them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from steelyard.cli import prices, tco
from steelyard.schema.errors import FactsError, NotFoundError

app = typer.Typer()
tco.register(app)
prices.register(app)
runner = CliRunner()


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"hour_usd": {"low": 60, "mode": 95, "high": 150}, "prompt": {}}))
    return path


def test_tco_prints_one_json_object(scenario):
    result = runner.invoke(app, ["tco", "--scenario", str(scenario), "--json"])

    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["break_even_queries_per_month"] == 747_275
    assert {"totals_usd", "lines", "monthly", "p_cheapest", "evpi_usd", "sensitivity"} <= set(found)


def test_tco_is_the_same_for_the_same_seed(scenario):
    command = ["tco", "--scenario", str(scenario), "--json", "--draws", "500", "--seed"]

    first, again, other = (runner.invoke(app, [*command, seed]).stdout for seed in ("1", "1", "2"))

    assert first == again
    assert first != other


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_tco_shows_totals_curve_break_even_and_what_decides_it_at_any_width(scenario, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)

    result = runner.invoke(app, ["tco", "--scenario", str(scenario)])

    assert result.exit_code == 0
    for said in ("costs least", "break-even", "747,275", "RAG", "What decides it", "hour_usd"):
        assert said in result.stdout
    assert any(0x2800 < ord(sign) < 0x2900 for sign in result.stdout)


@pytest.mark.parametrize(
    "tree",
    [
        {"queries_per_month": 0},
        {"queries_per_month": 1e12, "horizon_months": 600},
        {"hour_usd": 0, "label_usd": 0, "queries_per_month": 0, "rag": {"store_usd_per_month": 0}},
        {"hour_usd": {"low": 0, "high": 1}, "options": {f"option {n}": {"like": "rag"} for n in range(12)}},
        {"horizon_months": 0.01, "rag": {"error_rate": {"low": 0, "high": 1}}},
    ],
)
def test_tco_shows_extreme_scenarios_too(tmp_path, tree):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(tree))

    result = runner.invoke(app, ["tco", "--scenario", str(path), "--plot", str(tmp_path / "p.svg"), "--draws", "200"])

    assert result.exception is None
    assert "costs least" in result.stdout


def test_tco_writes_the_plot_it_is_asked_for(scenario, tmp_path):
    plot = tmp_path / "plot.svg"

    result = runner.invoke(app, ["tco", "--scenario", str(scenario), "--plot", str(plot), "--json"])

    assert json.loads(result.stdout)["plot"] == str(plot)
    assert plot.read_text(encoding="utf-8").startswith("<svg")


def test_tco_takes_prices_from_an_override(scenario, tmp_path):
    scenario.write_text(json.dumps({"rag": {"input_usd_per_million": {"model": "gpt-4.1"}}}))
    override = tmp_path / "prices.toml"
    override.write_text('[defaults]\nread_on = 2026-11-20\n[models."gpt-4.1"]\ninput = 1.0\n')

    result = runner.invoke(app, ["tco", "--scenario", str(scenario), "--prices", str(override), "--json"])

    # 24 M queries x 3,400 tokens x 1 USD a million
    assert json.loads(result.stdout)["lines"]["rag"]["input_tokens"] == 81_600


def test_tco_refuses_a_bad_scenario_with_exit_code_two(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text('{"hour_usd": -5}')

    error = runner.invoke(app, ["tco", "--scenario", str(path)]).exception

    assert isinstance(error, FactsError)
    assert error.exit_code == 2


def test_prices_lists_the_table_and_single_models():
    everything = json.loads(runner.invoke(app, ["prices", "list", "--json"]).stdout)
    one = json.loads(runner.invoke(app, ["prices", "list", "gpt-4.1", "--json"]).stdout)

    assert len(everything["models"]) >= 30
    assert everything["rates"]
    assert [model["name"] for model in one["models"]] == ["gpt-4.1"]
    assert one["models"][0]["end_of_life"] == "2027-01-14"
    shown = runner.invoke(app, ["prices", "list"]).stdout
    assert "gpt-4.1" in shown
    assert "above 200,000 tokens" in shown


def test_prices_check_says_no_where_a_model_is_gone():
    gone = runner.invoke(app, ["prices", "check", "gpt-4.1-nano", "--json"])

    assert gone.exit_code == 1
    assert json.loads(gone.stdout)["findings"][0]["code"] == "prices.ended"


def test_prices_of_an_unknown_model_name_the_nearest():
    error = runner.invoke(app, ["prices", "list", "gpt-4.2"]).exception

    assert isinstance(error, NotFoundError)
    assert "gpt-4.1" in error.remedy


def test_the_commands_and_the_cost_model_load_nothing_heavy():
    code = (
        "import sys, steelyard.cli.tco, steelyard.cli.prices, steelyard.economics.cost_model, steelyard.economics.scenario;"
        "heavy = {'numpy', 'scipy', 'altair', 'rich', 'torch', 'pandas'} & set(sys.modules); print(sorted(heavy))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
