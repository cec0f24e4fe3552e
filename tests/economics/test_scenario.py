"""Scenario files: what they may say, and one clear error for what they may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.economics.analysis import analyse
from steelyard.economics.cost_model import costs
from steelyard.economics.defaults import SECTIONS, TOP_KEYS
from steelyard.economics.input_file import LARGEST_FILE_BYTES, parse_object, read_object
from steelyard.economics.scenario import read_scenario, scenario_from_json
from steelyard.schema.costs import OptionCost
from steelyard.schema.economics import Range, Scenario, exact
from steelyard.schema.errors import FactsError


def by_name(scenario: Scenario) -> dict[str, OptionCost]:
    return {cost.name: cost for cost in costs(scenario)}


def refused(tree: object) -> FactsError:
    with pytest.raises(FactsError) as caught:
        scenario_from_json(tree, where="s.json")
    return caught.value


def attempt(read: Callable[[], Scenario]) -> tuple[FactsError | None, Scenario | None]:
    """The one error a reader may raise, or what it read; anything else fails the test."""
    try:
        return None, read()
    except FactsError as error:
        return error, None


def test_an_empty_object_takes_every_documented_default():
    documented = {
        "horizon_months": 24,
        "queries_per_month": 1000000,
        "growth_per_month": 0.0,
        "updates_per_year": 4,
        "hour_usd": 95,
        "label_usd": 3,
        "wrong_answer_usd": 0.0,
        "handoff_usd": 0.0,
        "tokens": {"system": 300, "question": 100, "context": 3000, "output": 300},
        "rag": {
            "setup_hours": 160,
            "operations_hours_per_month": 16,
            "update_hours": 0.5,
            "corpus_tokens": 5000000,
            "changed_share": 0.02,
            "store_usd_per_month": 100,
            "store_usd_per_million_queries": 4,
            "rerank_usd_per_query": 0.0,
            "embedding_usd_per_million": 0.02,
            "input_usd_per_million": 2.0,
            "output_usd_per_million": 8.0,
            "error_rate": 0.0,
            "handoff_rate": 0.0,
        },
        "fine_tune": {
            "setup_hours": 320,
            "labels": 2000,
            "operations_hours_per_month": 16,
            "update_hours": 60,
            "update_labels": 500,
            "training_examples": 2000,
            "tokens_per_example": 1000,
            "epochs": 3,
            "setup_runs": 4,
            "update_runs": 2,
            "training_usd_per_million": 25.0,
            "hosting_usd_per_month": 0.0,
            "queries_per_replica": 20000000,
            "input_usd_per_million": 3.0,
            "output_usd_per_million": 12.0,
            "error_rate": 0.0,
            "handoff_rate": 0.0,
        },
    }

    said, silent = by_name(scenario_from_json(documented)), by_name(scenario_from_json({}))

    assert [cost.total_usd for cost in said.values()] == [cost.total_usd for cost in silent.values()]
    assert list(silent) == ["rag", "fine_tune"]


def test_a_range_may_stand_for_any_number():
    scenario = scenario_from_json(
        {
            "hour_usd": {"low": 60, "mode": 95, "high": 150},
            "tokens": {"context": {"low": 800, "high": 8000}},
            "rag": {"setup_hours": {"low": 60, "mode": 160, "high": 500}},
        }
    )

    ranges = {name for name, number in scenario.inputs().items() if isinstance(number, Range)}

    assert ranges == {"hour_usd", "tokens.context", "rag.setup_hours"}


def test_a_corpus_in_the_prompt_is_read_from_the_cache_with_the_system_prompt():
    tree = {
        "horizon_months": 1,
        "queries_per_month": 1000000,
        "prompt": {"corpus_tokens": 50000, "cache_hit_rate": 0.5},
    }

    lines = by_name(scenario_from_json(tree))["prompt"].lines

    # 1 M queries x (300 system + 50,000 corpus) tokens x (half at 0.5, half written at the input price 2) a million
    assert lines["cached_input_tokens"] == Decimal("62875")
    assert lines["input_tokens"] == 200  # the 100 tokens of the question
    assert lines["embedding_tokens"] == 0


def test_a_hybrid_pays_for_index_and_training_each_at_its_own_cadence():
    lines = by_name(scenario_from_json({"horizon_months": 12, "updates_per_year": 52, "hybrid": {}}))["hybrid"].lines

    assert round(lines["update_labour"], 9) == 52 * Decimal("0.5") * 95 + 60 * 95
    assert lines["update_labels"].quantize(Decimal("0.01")) == 1500  # one retraining, 500 labels at 3


def test_another_option_starts_from_the_section_it_is_like():
    tree = {
        "rag": {"setup_hours": 100},
        "options": {"rag-small": {"like": "rag", "input_usd_per_million": 0.2, "tokens": {"context": 1000}}},
    }

    found = by_name(scenario_from_json(tree))

    assert list(found) == ["rag", "fine_tune", "rag-small"]
    assert found["rag-small"].lines["setup_labour"] == 9500
    assert found["rag-small"].lines["input_tokens"] == 24 * 1400 * Decimal("0.2")
    assert found["rag-small"].approach == "rag"


def test_prices_come_from_the_table_by_model_name():
    tree = {
        "rag": {"input_usd_per_million": {"model": "gpt-4.1"}, "output_usd_per_million": {"model": "gpt-4.1"}},
        "fine_tune": {
            "input_usd_per_million": {"model": "ft:gpt-4.1"},
            "output_usd_per_million": {"model": "ft:gpt-4.1"},
            "training_usd_per_million": {"model": "ft:gpt-4.1"},
        },
    }

    named, plain = by_name(scenario_from_json(tree)), by_name(scenario_from_json({}))

    assert {name: cost.total_usd for name, cost in named.items()} == {
        name: cost.total_usd for name, cost in plain.items()
    }


def test_one_model_for_a_section_brings_all_its_prices_and_tiers():
    scenario = scenario_from_json({"rag": {"model": "gpt-5.6-luna", "output_usd_per_million": 9}})

    option = scenario.option("rag")

    assert exact(option.input_usd_per_million) == Decimal("0.2")
    assert exact(option.cached_usd_per_million) == Decimal("0.02")
    assert option.output_usd_per_million == 9
    assert option.tiers[0].above_tokens == 200_000


def test_a_model_that_ends_inside_the_horizon_costs_a_migration_when_the_start_is_known():
    tree = {"start": "2026-12-01", "fine_tune": {"model": "ft:gpt-4.1"}}

    scenario = scenario_from_json(tree, today=date(2026, 11, 22))

    assert scenario.option("fine_tune").migration_months == (2,)  # 14 January is in the second month
    # 60 h x 95 and four training runs of 6 M tokens at 25
    assert by_name(scenario)["fine_tune"].lines["migrations"] == 60 * 95 + 4 * 150
    assert any("pays a migration in month 2" in note for note in scenario.notes)


def test_without_a_start_the_end_of_a_model_is_noted_and_costs_nothing():
    scenario = scenario_from_json({"fine_tune": {"model": "ft:gpt-4.1"}}, today=date(2026, 11, 22))

    assert by_name(scenario)["fine_tune"].lines["migrations"] == 0
    assert any('add "start"' in note for note in scenario.notes)


def test_a_training_price_nobody_knows_is_assumed_aloud():
    scenario = scenario_from_json({"fine_tune": {"model": "gpt-5.4"}}, today=date(2026, 11, 22))

    assert any("no training price is known for gpt-5.4" in note for note in scenario.notes)


def test_an_old_price_is_noted():
    scenario = scenario_from_json({"rag": {"model": "gpt-5.4"}}, today=date(2027, 6, 1))

    assert any("days ago" in note for note in scenario.notes)


@pytest.mark.parametrize(
    ("tree", "place", "text"),
    [
        ({"query_per_month": 5}, "s.json", "Did you mean 'queries_per_month'"),
        ({"rag": {"setup_hour": 5}}, "s.json rag", "Did you mean 'setup_hours'"),
        ({"rag": {"training_examples": 5}}, "s.json rag", "unknown key 'training_examples'"),
        ({"tokens": {"contxt": 5}}, "s.json tokens", "Did you mean 'context'"),
        ({"hour_usd": -1}, "s.json hour_usd", "negative"),
        ({"hour_usd": "95"}, "s.json hour_usd", "found the text '95'"),
        ({"hour_usd": True}, "s.json hour_usd", "found true"),
        ({"hour_usd": None}, "s.json hour_usd", "found null"),
        ({"hour_usd": [95]}, "s.json hour_usd", "found a list"),
        ({"hour_usd": Decimal("NaN")}, "s.json hour_usd", "not a finite number"),
        ({"rag": {"error_rate": Decimal("Infinity")}}, "s.json rag.error_rate", "not a finite number"),
        ({"rag": {"error_rate": 1.5}}, "s.json rag.error_rate", "write 0.05 for 5 percent"),
        ({"rag": {"error_rate": {"low": 0.5, "high": 1.5}}}, "s.json rag.error_rate", "more than 1"),
        ({"rag": {"setup_hours": None}}, "s.json rag.setup_hours", "found null"),
        ({"rag": []}, "s.json rag", "expected an object, found a list"),
        ({"rag": {"tokens": 5}}, "s.json rag.tokens", "expected an object"),
        ({"growth_per_month": 2}, "s.json growth_per_month", "write 0.05 for 5 percent"),
        ({"growth_per_month": 1e-13}, "s.json growth_per_month", "Write 0"),
        ({"horizon_months": 600, "growth_per_month": 1}, "s.json growth_per_month", "beyond 10^15 queries"),
        ({"horizon_months": 0}, "s.json horizon_months", "above 0"),
        ({"horizon_months": 601}, "s.json horizon_months", "longer than 600"),
        ({"queries_per_month": 10**13}, "s.json queries_per_month", "larger than 10^12"),
        ({"fine_tune": {"queries_per_replica": 0}}, "s.json fine_tune.queries_per_replica", "above 0"),
        ({"hour_usd": {"low": 5}}, "s.json hour_usd", "no high"),
        ({"hour_usd": {"low": 5, "high": 4}}, "s.json hour_usd", "rise from low to high"),
        ({"hour_usd": {"low": 1, "mode": 9, "high": 4}}, "s.json hour_usd", "rise from low to high"),
        ({"hour_usd": {"low": 1, "mod": 2, "high": 4}}, "s.json hour_usd", "Did you mean 'mode'"),
        ({"hour_usd": {"low": -1, "high": 4}}, "s.json hour_usd.low", "negative"),
        ({"hour_usd": {"low": {"low": 1, "high": 2}, "high": 4}}, "s.json hour_usd.low", "found an object"),
        ({"rag": {"migration_months": [1, -2]}}, "s.json rag.migration_months[2]", "negative"),
        ({"rag": {"input_usd_per_million": {"model": "gpt-4.2"}}}, "s.json rag.input_usd_per_million", "gpt-4.1"),
        ({"rag": {"input_usd_per_million": {"model": 5}}}, "s.json rag.input_usd_per_million", "name of a model"),
        ({"rag": {"setup_hours": {"model": "gpt-4.1"}}}, "s.json rag.setup_hours", "unknown key 'model'"),
        ({"rag": {"model": "nonesuch"}}, "s.json rag.model", "no price"),
        (
            {"fine_tune": {"training_usd_per_million": {"model": "gpt-4.1"}}},
            "s.json fine_tune.training_usd_per_million",
            "Did you mean 'ft:gpt-4.1'",
        ),
        ({"start": "soon"}, "s.json start", "a date such as"),
        ({"start": 5}, "s.json start", "a date such as"),
        ({"options": {"x": {}}}, "s.json options.x", 'Add "like"'),
        ({"options": {"x": {"like": []}}}, "s.json options.x", 'Add "like"'),
        ({"options": {"rag": {"like": "rag"}}}, "s.json options.rag", "cannot name an option"),
        ({"options": {"": {"like": "rag"}}}, "s.json options.", "cannot name an option"),
        ({"options": {"x": 5}}, "s.json options.x", "expected an object"),
    ],
)
def test_a_wrong_value_is_one_error_with_its_place_and_remedy(tree, place, text):
    error = refused(tree)

    assert error.where == place
    assert text in str(error)
    assert error.remedy
    assert error.exit_code == 2
    assert error.code.split(".")[0] in {"facts", "economics", "prices"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty"),
        (b"   \n", "the file is empty"),
        (b"{", "not JSON"),
        (b'{"a": 1,}', "line 1 column 9"),
        (b"[]", "does not hold an object"),
        (b"5", "does not hold an object"),
        (b"\xff\xfe{}", "byte 1 is not UTF-8"),
        (b'{"hour_usd": NaN}', "hour_usd: NaN is not a finite number"),
        (b'{"hour_usd": Infinity}', "not a finite number"),
        (b'{"rag": {"error_rate": -Infinity}}', "rag.error_rate"),
        (b'{"hour_usd": 1e999999999999999999999}', "not a finite number"),
        (b'{"hour_usd": 5, "hour_usd": 6}', "the key 'hour_usd' stands there twice"),
        (b'{"rag": {"a": {"b": 5, "b": 6}}}', "rag.a: the key 'b' stands there twice"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nested deeper"),
        (b'{"hour_usd": ' + b"9" * 9999 + b"}", "larger than 10^12"),
        (b'{"\\ud800": 5}', "unknown key"),
    ],
)
def test_a_broken_file_is_one_error_with_its_place_and_remedy(tmp_path, content, text):
    path = tmp_path / "scenario.json"
    path.write_bytes(content)

    with pytest.raises(FactsError) as caught:
        read_scenario(path)

    assert str(caught.value).startswith(str(path))
    assert text in str(caught.value)
    assert caught.value.remedy
    str(caught.value).encode("utf-8")  # a terminal can show it


def test_ten_megabytes_are_refused_without_reading_them(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_bytes(b'{"hour_usd": 5}' + b" " * 10_000_000)

    with pytest.raises(FactsError, match=r"10\.0 MB; a scenario holds at most 1 MB"):
        read_object(path)
    assert LARGEST_FILE_BYTES == 1_000_000


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(FactsError, match="no such file"):
        read_scenario(tmp_path / "none.json")
    with pytest.raises(FactsError, match="could not be read"):
        read_scenario(tmp_path)


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_bytes(b"\xef\xbb\xbf{}")

    assert read_object(path) == {}


NUMBERS = st.one_of(st.integers(-(10**15), 10**15), st.floats(), st.booleans(), st.none(), st.text(max_size=5))
LEAVES = st.one_of(
    NUMBERS,
    st.integers(0, 10**6),
    st.fixed_dictionaries({"low": NUMBERS, "high": NUMBERS}, optional={"mode": NUMBERS, "x": NUMBERS}),
    st.fixed_dictionaries({"model": st.one_of(st.text(max_size=9), st.just("gpt-4.1"))}),
    st.lists(st.integers(-3, 50), max_size=3),
)
FIELDS = sorted({key for section in SECTIONS.values() for key in section} | {"tokens", "model", "like"})
PARTS = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=5)), LEAVES, max_size=6)
TREES = st.dictionaries(
    st.one_of(st.sampled_from(TOP_KEYS), st.text(max_size=5)),
    st.one_of(LEAVES, PARTS, st.dictionaries(st.text(max_size=5), PARTS, max_size=2)),
    max_size=8,
)


@given(TREES)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_of_values_is_priced_or_refused_in_one_error(tree):
    text = json.dumps(tree)
    error, scenario = attempt(lambda: scenario_from_json(parse_object(text, where="s.json"), where="s.json"))

    if error is not None:
        assert error.where.startswith("s.json")
        assert error.remedy
        str(error).encode("utf-8")
        return
    for cost in costs(scenario):
        json.dumps(cost.to_json(), allow_nan=False)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_in_one_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "s.json"
    path.write_bytes(content)

    error, _ = attempt(lambda: read_scenario(path))

    assert error is None or (error.where and error.remedy)


VALID = st.fixed_dictionaries(
    {},
    optional={
        "horizon_months": st.one_of(st.integers(1, 600), st.floats(0.01, 600)),
        "queries_per_month": st.one_of(st.just(0), st.integers(0, 10**12), st.floats(1e-12, 1e12)),
        "growth_per_month": st.one_of(st.sampled_from([0, 1e-12, 1]), st.floats(1e-12, 0.2)),
        "updates_per_year": st.floats(0, 1e6),
        "wrong_answer_usd": st.floats(0, 1e6),
        "hour_usd": st.fixed_dictionaries({"low": st.floats(0, 5), "mode": st.floats(5, 9), "high": st.floats(9, 99)}),
        "rag": st.fixed_dictionaries({"error_rate": st.floats(0, 1), "input_usd_per_million": st.floats(0, 1e12)}),
        "fine_tune": st.fixed_dictionaries(
            {"hosting_usd_per_month": st.floats(0, 1e12), "queries_per_replica": st.floats(1e-6, 1e12)}
        ),
        "prompt": st.just({}),
    },
)


@given(VALID)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_valid_scenario_however_extreme_is_analysed_without_a_warning(tree):
    error, scenario = attempt(lambda: scenario_from_json(parse_object(json.dumps(tree), where="s")))
    if error is not None:
        # The only thing left to refuse: what fits by itself and not together.
        assert error.code in {"economics.endless_growth", "economics.bad_number"}
        return

    found = analyse(scenario, draws=100).to_json()

    json.dumps(found, allow_nan=False)
    assert sum(found["p_cheapest"].values()) == pytest.approx(1)
