"""`check` and `status`: every planted problem at once, each with its place and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.dataset.rows import read_items
from steelyard.schema.errors import ConfigError
from steelyard.schema.findings import Finding
from steelyard.schema.items import Split
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from workspace.tiny import replace_in


def _by_code(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def test_a_sound_workspace_has_no_findings(tool_library: Path) -> None:
    assert Workspace(tool_library).check() == []


def test_every_planted_problem_is_found_at_once_with_row_and_remedy(tool_library: Path) -> None:
    messages, questions = tool_library / "messages.csv", tool_library / "questions.jsonl"
    replace_in(messages, "Renew my heat gun please,return", "Renew my heat gun please,")
    replace_in(messages, "Do aliens exist,out_of_scope", "Do aliens exist,out_of_scop")
    replace_in(questions, '"id": "q02"', '"id": "q01"')
    replace_in(questions, '"question": "How often can a loan be extended?", ', "")
    replace_in(
        tool_library / "replies.jsonl",
        '"output": "Hello {name}, no harm done. {answer} {agent}, tool library"}\n{"id": "r12"',
        '"output": "Hello {nam}, no harm done. {answer} {agent}, tool library"}\n{"id": "r12"',
    )
    replace_in(tool_library / "cases.jsonl", '"message": "Write me a song about the moon", ', "")
    replace_in(tool_library / "steelyard.toml", 'path = "docs-staff"', 'path = "docs-staf"')

    findings = Workspace(tool_library).check()
    found = _by_code(findings)

    assert {"dataset.duplicate_id", "dataset.unknown_slot", "dataset.label_typo", "corpus.no_source"} <= set(found)
    places = {(finding.file, finding.row) for finding in findings if finding.severity == "error"}
    assert ("messages.csv", 46) in places
    assert {("questions.jsonl", 2), ("questions.jsonl", 4)} <= places
    assert ("replies.jsonl", 11) in places
    assert ("cases.jsonl", 9) in places
    assert found["dataset.unknown_slot"].remedy == "Did you mean 'name'?"
    assert all(finding.remedy for finding in findings)
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities, key=("error", "warning", "note").index)


def test_approved_replies_of_another_form_than_the_settings_ask_for_are_named_row_by_row(tool_library: Path) -> None:
    replies = tool_library / "replies.jsonl"
    replies.write_text(replies.read_text("utf-8").replace("Hello {name}, we have", "Hi {name}, we have"), "utf-8")
    rows = read_items(replies, "write").items
    strangers = [row for row, item in enumerate(rows, start=1) if (item.output or "").startswith("Hi ")]
    # A place is no word: that replies are right shows that their places were filled.
    _with_format(tool_library, "'Hello [A-Za-z]+, .*'")

    found = [one for one in Workspace(tool_library).check() if one.code == "dataset.reply_format"]

    assert strangers
    assert [(one.file, one.row, one.field) for one in found] == [("replies.jsonl", row, "output") for row in strangers]
    assert found[0].severity == "warning"
    assert "[components.reply]" in found[0].remedy


def test_places_are_filled_before_a_reply_is_held_against_a_json_schema(tool_library: Path) -> None:
    rows = [json.loads(line) for line in (tool_library / "replies.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["output"] = json.dumps({"text": row["output"]})
    (tool_library / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    short = {"type": "object", "properties": {"text": {"type": "string", "not": {"pattern": "[{]name[}]"}}}}
    (tool_library / "reply.json").write_text(json.dumps(short), encoding="utf-8")
    _with_format(tool_library, '"reply.json"')

    assert "dataset.reply_format" not in _by_code(Workspace(tool_library).check())

    # Another schema is another question: what was found before is not told again.
    (tool_library / "reply.json").write_text('{"required": ["title"]}', encoding="utf-8")
    assert "dataset.reply_format" in _by_code(Workspace(tool_library).check())


@pytest.mark.parametrize("format_", ["'Hello ('", '"reply.json"'], ids=["expression", "schema"])
def test_a_format_that_cannot_be_read_is_a_finding_before_anything_is_weighed(tool_library: Path, format_: str) -> None:
    (tool_library / "reply.json").write_text('{"type": 7}', encoding="utf-8")
    _with_format(tool_library, format_)

    found = _by_code(Workspace(tool_library).check())["metrics.bad_format"]

    assert found.severity == "error"
    assert found.remedy


def _with_format(workspace: Path, format_: str) -> None:
    replace_in(
        workspace / "steelyard.toml", 'examples = "replies.jsonl"', f'examples = "replies.jsonl"\nformat = {format_}'
    )


def test_a_missing_file_is_one_finding_among_the_others(tool_library: Path) -> None:
    (tool_library / "messages.csv").unlink()
    (tool_library / "cases.jsonl").unlink()
    replace_in(tool_library / "replies.jsonl", '"id": "r40"', '"id": "r39"')

    findings = Workspace(tool_library).check()

    assert [(one.code, one.file) for one in findings] == [
        ("dataset.no_file", "cases.jsonl"),
        ("dataset.no_file", "messages.csv"),
        ("dataset.duplicate_id", "replies.jsonl"),
    ]


def test_rewrites_and_formats_that_cannot_be_used_are_found(tool_library: Path) -> None:
    (tool_library / "neutral.jsonl").write_text('{"id": "r01", "output": "Dear {name}"}\n{"id": "r02"}\nnot json\n')
    replace_in(
        tool_library / "steelyard.toml",
        'examples = "replies.jsonl"',
        'examples = "replies.jsonl"\nneutral = "neutral.jsonl"',
    )

    findings = Workspace(tool_library).check()

    assert [(one.code, one.file, one.row) for one in findings] == [
        ("dataset.bad_rewrite", "neutral.jsonl", 2),
        ("dataset.bad_rewrite", "neutral.jsonl", 3),
    ]


def test_a_source_that_is_no_document_is_named_once(tool_library: Path) -> None:
    (tool_library / "docs" / "fees.txt").rename(tool_library / "docs" / "prices.txt")

    findings = Workspace(tool_library).check()

    assert [(one.code, one.severity, one.file, one.field) for one in findings] == [
        ("dataset.unknown_source", "warning", "cases.jsonl", "source"),
        ("dataset.unknown_source", "warning", "questions.jsonl", "source"),
    ]
    assert "docs/fees.txt" in findings[0].message


def test_too_few_rows_to_hold_any_out_are_found_and_not_measured(tool_library: Path) -> None:
    (tool_library / "messages.csv").write_text("text,label\nCan I borrow a saw,borrow\n", encoding="utf-8")

    codes = {finding.code for finding in Workspace(tool_library).check()}

    assert "dataset.too_few" in codes or "dataset.one_label" in codes


def test_a_case_that_a_component_learns_from_is_a_leak(tool_library: Path) -> None:
    from steelyard.workspace.examples import Examples

    workspace = Workspace(tool_library)
    learned = Examples(tool_library, workspace.settings).split("intent").train[0]
    replace_in(tool_library / "cases.jsonl", "Write me a song about the moon", learned.text)

    leaks = [one for one in workspace.check() if one.code == "dataset.leak"]

    assert [(one.severity, one.file, one.row) for one in leaks] == [("error", "cases.jsonl", 9)]
    assert f"row {learned.row} of messages.csv" in leaks[0].message


def test_a_holdout_row_that_is_learned_from_is_counted_in_the_report(weighed: Path) -> None:
    from steelyard.workspace.assembling import weigh_workspace
    from steelyard.workspace.parts import Parts

    workspace = Workspace(weighed)
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    split = parts.examples.split("intent")
    # The split never separates equal texts, so a leak has to be planted behind its back.
    leaky = Split(
        dataset=split.dataset,
        train=(*split.train, split.holdout[0]),
        validation=split.validation,
        holdout=split.holdout,
    )
    parts.examples._splits["intent"] = leaky

    report = weigh_workspace(parts, ["intent"], budget_s=None, seed=None, report=lambda *_: None)

    assert report.components[0].leaks_into_training == 1
    assert report.to_json()["components"]["intent"]["leaks_into_training"] == 1


def test_settings_with_an_unknown_key_name_the_nearest(tool_library: Path) -> None:
    replace_in(tool_library / "steelyard.toml", "p95_ms = 800", "p95_m = 800")

    with pytest.raises(ConfigError, match="Did you mean 'p95_ms'") as caught:
        Workspace(tool_library)

    assert caught.value.code == "config.unknown_key"


def test_status_says_what_is_there_and_what_to_do_next(weighed: Path) -> None:
    before = Workspace(weighed).status()
    assert before["next"] == []
    assert before["corpus"]["documents"] == 8
    assert before["components"]["intent"]["data"] == "unchanged"

    replace_in(weighed / "messages.csv", "Do aliens exist,out_of_scope", "Do ghosts exist,out_of_scope")
    after = Workspace(weighed).status()

    assert after["components"]["intent"]["data"].startswith("changed")
    assert after["components"]["answer"]["data"] == "unchanged"
    assert after["next"] == ["steelyard weigh: labelled data changed since the last decision"]


def test_status_of_a_workspace_where_nothing_was_done(tool_library: Path) -> None:
    found = Workspace(tool_library).status()

    assert found["corpus"] is None
    assert found["next"] == ["steelyard ingest", "steelyard weigh"]
    assert {one["data"] for one in found["components"].values()} == {"not trained yet"}


def test_rows_of_the_tool_library_are_as_many_as_the_tests_assume() -> None:
    from workspace.tiny import FILES

    assert len(read_items(FILES / "messages.csv", "classify").items) == 116
    assert len(read_items(FILES / "questions.jsonl", "answer").items) == 42


def test_a_file_whose_rows_all_name_their_part_needs_one_for_each_side(tool_library: Path) -> None:
    messages = tool_library / "messages.csv"
    header, *lines = messages.read_text(encoding="utf-8").splitlines()
    text = "\n".join([f"{header},split", *(f"{line},train" for line in lines)])
    messages.write_text(text + "\n", encoding="utf-8")

    found = _by_code(Workspace(tool_library).check())

    assert found["dataset.no_holdout"].severity == "error"
    messages.write_text(text.replace(",train", ",holdout", 30).replace(",holdout", ",", 3) + "\n", encoding="utf-8")
    workspace = Workspace(tool_library)
    assert not [one for one in workspace.check() if one.severity == "error"]
    split = Parts(tool_library, workspace.settings, workspace.state).examples.split("intent")
    assert len(split.holdout) == 27
