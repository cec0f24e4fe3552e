import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.decision.facts import FIELDS, facts_from_json, parse_facts, read_facts
from steelyard.schema.decision import Facts, FactSheet, TeamSkills
from steelyard.schema.errors import FactsError


def facts(text: str) -> Facts:
    return parse_facts(text).components[0]


def refused(text: str) -> FactsError:
    with pytest.raises(FactsError) as caught:
        parse_facts(text)
    error = caught.value
    assert error.exit_code == 2
    assert error.where
    assert error.remedy
    assert error.code
    return error


def test_missing_facts_stay_unknown():
    known = facts('{"queries_per_month": 120000}')
    assert known.queries_per_month == 120_000
    assert known.needs_citations is None
    assert known.corpus_tokens is None
    assert known.team_skills == TeamSkills()


def test_null_is_unknown_not_zero():
    assert facts('{"queries_per_month": null, "measured": null}') == Facts()


def test_a_component_takes_from_the_top_what_it_leaves_out():
    sheet = parse_facts(
        '{"queries_per_month": 500, "needs_audit": true, "team_skills": {"mlops": true},'
        ' "components": [{"name": "a", "behaviour": "style"}, {"name": "b", "queries_per_month": 7, "needs_audit": null}]}'
    )
    a, b = sheet.components
    assert (a.name, a.behaviour, a.queries_per_month, a.needs_audit, a.team_skills.mlops) == (
        "a",
        "style",
        500,
        True,
        True,
    )
    assert (b.queries_per_month, b.needs_audit) == (7, None)  # an explicit null is unknown, not inherited


def test_no_components_or_an_empty_list_means_one_named_main():
    assert [one.name for one in parse_facts('{"components": []}').components] == ["main"]
    assert [one.name for one in parse_facts("{}").components] == ["main"]


def test_an_unknown_key_names_the_nearest():
    assert "needs_citations" in refused('{"needs_citation": true}').remedy
    assert "rag" in refused('{"measured": {"metric": "f1", "ragg": 0.9}}').remedy
    assert "mlops" in refused('{"team_skills": {"mlop": true}}').remedy


@pytest.mark.parametrize(
    "text",
    [
        '{"queries_per_month": -1}',
        '{"queries_per_month": "many"}',
        '{"queries_per_month": true}',
        '{"queries_per_month": [1]}',
        '{"queries_per_month": NaN}',
        '{"queries_per_month": Infinity}',
        '{"queries_per_month": 1e999999}',
        '{"queries_per_month": 1e300}',
        '{"queries_per_month": 1, "queries_per_month": 2}',
        '{"needs_citations": 1}',
        '{"needs_citations": "yes"}',
        '{"behaviour": "styel"}',
        '{"behaviour": 3}',
        '{"latency_budget_ms": 0}',
        '{"examples_count": 1.5}',
        '{"team_skills": [true]}',
        '{"team_skills": {"mlops": 1}}',
        '{"measured": 0.9}',
        '{"measured": {"metric": "f1", "target": "high"}}',
        '{"measured": {"metric": "", "rag": 0.9}}',
        '{"measured": {"metric": "f1", "rag": -0.1}}',
        '{"components": {"name": "a"}}',
        '{"components": ["a"]}',
        '{"components": [{"behaviour": "style"}]}',
        '{"components": [{"name": ""}]}',
        '{"components": [{"name": "a"}, {"name": "a"}]}',
        '{"components": [{"name": "a", "components": []}]}',
        '{"components": [{"name": "a\\u0000"}]}',
        "[]",
        "3",
        "null",
        "",
        "   ",
        "{",
        "{'queries_per_month': 3}",
        "not json",
        "[" * 100_000,
    ],
)
def test_every_malformed_file_gets_one_clear_error(text):
    refused(text)


def test_the_place_names_the_component_and_the_key():
    error = refused('{"components": [{"name": "a"}, {"name": "b", "examples_count": -3}]}')
    assert "components[1]" in error.where
    assert "examples_count" in error.where


@pytest.mark.parametrize("data", [b"\xff\xfe{}", b"{\x80}", b"{} " + b" " * 10_000_000, b""])
def test_files_that_are_not_facts_are_refused(tmp_path, data):
    path = tmp_path / "facts.json"
    path.write_bytes(data)
    with pytest.raises(FactsError) as caught:
        read_facts(path)
    assert str(path) in caught.value.where


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FactsError):
            read_facts(path)


def test_a_byte_order_mark_is_read_over(tmp_path):
    path = tmp_path / "facts.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"needs_audit": true}')
    assert read_facts(path).components[0].needs_audit is True


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("accuracy", False),
        ("macro F1", False),
        ("p95 latency ms", True),
        ("error rate", True),
        ("on-tone share", False),
    ],
)
def test_the_metric_says_whether_less_is_better(metric, lower):
    pilot = facts(json.dumps({"measured": {"metric": metric, "target": 1, "rag": 1}})).measured
    assert pilot is not None
    assert pilot.lower_is_better is lower


def test_the_file_may_say_itself_that_less_is_better():
    pilot = facts('{"measured": {"metric": "regret", "lower_is_better": true, "rag": 3, "items": 200}}').measured
    assert pilot is not None
    assert pilot.lower_is_better
    assert pilot.items == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from([*FIELDS, "components", "name", "mlops", "metric"]) | st.text(max_size=10)


def read_or_refused(text: str) -> bool:
    """Whether the text is read, or refused with a place, a remedy and a message any terminal can show."""
    try:
        return isinstance(parse_facts(text), FactSheet)
    except FactsError as error:
        str(error).encode("utf-8")
        return bool(error.where and error.remedy and error.code)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, JSON_VALUES, max_size=6))
def test_any_object_is_read_or_refused_with_place_and_remedy(tree):
    assert read_or_refused(json.dumps(tree))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    assert read_or_refused(text)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "queries_per_month": st.floats(0, 1e9),
            "knowledge_update_per_year": st.integers(0, 1000),
            "needs_citations": st.booleans(),
            "behaviour": st.sampled_from(["facts", "style", "format", "classification", "mixed"]),
            "examples_count": st.integers(0, 10**6),
        },
    )
)
def test_what_is_given_comes_back_as_given(tree):
    one = facts_from_json(tree).components[0]
    assert {key: getattr(one, key) for key in tree} == tree
