from __future__ import annotations

import json

import pytest

from steelyard.config import load_settings
from steelyard.schema.errors import FactsError, UserError
from steelyard.workspace.creating import write_settings
from steelyard.workspace.examples import Examples

NOTHING = {"docs": [], "examples": None, "questions": None, "replies": None, "allow": "everyone"}


def test_settings_from_a_facts_file_carry_its_traffic_requirements_and_components(tmp_path):
    facts = {
        "queries_per_month": 400_000,
        "behaviour": "mixed",
        "components": [
            {"name": "router", "behaviour": "classification", "knowledge_update_per_year": 1, "latency_budget_ms": 500},
            {"name": "lookup", "behaviour": "facts", "knowledge_update_per_year": 52, "needs_citations": True},
            {"name": "tone", "behaviour": "style"},
        ],
    }
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(facts))
    write_settings(tmp_path / "w", **NOTHING, facts=path)
    settings = load_settings(tmp_path / "w")
    assert {name: one.task for name, one in settings.components.items()} == {
        "router": "classify",
        "lookup": "answer",
        "tone": "write",
    }
    assert settings.traffic.queries_per_month == 400_000
    assert settings.traffic.updates_per_year == 52  # the router's yearly change is not a change of knowledge
    assert (settings.requirements.citations, settings.requirements.scoping) == (True, False)
    assert settings.requirements.p95_ms == 500


def test_given_file_takes_the_place_of_the_facts_component_of_its_task(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\nhi,a\n")
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"behaviour": "classification"}))
    write_settings(tmp_path / "w", **{**NOTHING, "examples": tmp_path / "t.csv"}, facts=path)
    (component,) = load_settings(tmp_path / "w").components.values()
    assert component.examples == "../t.csv"


def test_wrong_facts_leave_no_settings_behind(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text('{"queries": 1}')
    with pytest.raises(FactsError):
        write_settings(tmp_path / "w", **NOTHING, facts=path)
    assert not (tmp_path / "w").exists()


def test_existing_settings_are_never_overwritten(tmp_path):
    (tmp_path / "steelyard.toml").write_text("[workspace]\n")
    with pytest.raises(UserError, match="already"):
        write_settings(tmp_path, **NOTHING)
    assert (tmp_path / "steelyard.toml").read_text() == "[workspace]\n"


def test_quotes_in_names_survive(tmp_path):
    docs = tmp_path / 'a "quoted" folder'
    docs.mkdir()
    write_settings(tmp_path / "w", **{**NOTHING, "docs": [docs]})
    assert load_settings(tmp_path / "w").sources[0].path == '../a "quoted" folder'


def test_sources_of_questions_beside_their_documents_are_found_from_a_workspace_elsewhere(tmp_path):
    theirs = tmp_path / "theirs"
    (theirs / "docs").mkdir(parents=True)
    (theirs / "docs" / "fees.md").write_text("# Fees\n\nA key costs 15 EUR.\n")
    rows = [
        {"question": "What is a key?", "answers": ["15 EUR"], "source": "docs/fees.md"},
        {"question": "What is a lock?", "answers": ["9 EUR"], "source": "docs/gone.md"},
    ]
    (theirs / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    write_settings(tmp_path / "w", **{**NOTHING, "docs": [theirs / "docs"], "questions": theirs / "questions.jsonl"})
    examples = Examples(tmp_path / "w", load_settings(tmp_path / "w"))
    # A document that is nowhere keeps the name it was given.
    assert [item.source for item in examples.dated("answer")] == ["../theirs/docs/fees.md", "docs/gone.md"]
