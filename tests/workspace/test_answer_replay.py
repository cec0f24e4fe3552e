"""The audit at the command line: an answer shown again from what it rested on, every history checked, exported and cut."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.workspace import Workspace
from workspace.tiny import rows


@pytest.fixture
def asked(weighed: Path):
    """A workspace with two answers and a classification on record, and what was asked."""
    settings = weighed / "steelyard.toml"
    settings.write_text(settings.read_text() + "\n[releases]\nkeep_questions = true\n")
    workspace = Workspace(weighed)
    question = rows(weighed / "questions.jsonl")[0]["question"]
    first = workspace.ask(question, user="ada", groups=["staff"])
    workspace.ask("How long may a boat be kept on the moon?")
    label = workspace.route(question)
    return workspace, question, first, label


def run(workspace: Workspace, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["-w", str(workspace.folder), "audit", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_an_answer_asked_again_gives_the_same_passages_and_the_same_answer(asked) -> None:
    workspace, question, first, label = asked
    found = workspace.replay(first.trace_id)
    assert (found.same_passages, found.same_answer, found.sealed, found.missing) == (True, True, True, ())
    assert found.record.passages == tuple(first.component_trace[0]["passages"]) != ()
    assert (found.record.text, found.record.user, found.record.groups) == (question, "ada", ("staff",))
    assert workspace.replay(label.trace_id).same_answer is True
    assert "the same" in run(workspace, "show", first.trace_id[:8])


def test_an_older_answer_is_asked_of_the_generation_that_gave_it(asked) -> None:
    workspace, question, first, _ = asked
    for path in sorted((workspace.folder / "docs").rglob("*.md")):
        path.write_text(path.read_text().replace(".", ". Changed since.", 1))
    workspace.ingest()
    later = workspace.ask(question, user="ada", groups=["staff"])
    assert later.generation == first.generation + 1
    assert later.component_trace[0]["passages"] != first.component_trace[0]["passages"]
    for trace in (first.trace_id, later.trace_id):
        assert workspace.replay(trace).same_passages is True


def test_what_the_asker_may_no_longer_see_is_missing_and_said(asked) -> None:
    workspace, _, first, _ = asked
    document = first.citations[0].document
    workspace.access().say(document, "everyone", "deny", why="withdrawn")
    found = workspace.replay(first.trace_id)
    assert found.same_passages is False
    assert {because for passage, because in found.missing if passage.startswith(document)} == {
        "the asker may no longer see it"
    }
    assert "may no longer see it" in run(workspace, "show", first.trace_id, code=1)


def test_an_erased_document_does_not_come_back_in_a_replay(asked) -> None:
    workspace, _, first, _ = asked
    document = first.citations[0].document
    workspace.erase([document], why="asked for")
    found = workspace.replay(first.trace_id)
    reasons = {because for passage, because in found.missing if passage.startswith(document)}
    assert reasons == {"it was erased"} or "kept" in found.why_not


def test_a_question_that_was_not_kept_must_be_told_letter_by_letter(weighed: Path) -> None:
    workspace = Workspace(weighed)
    question = rows(weighed / "questions.jsonl")[0]["question"]
    asked = workspace.ask(question)
    blind = workspace.replay(asked.trace_id)
    assert (blind.same_passages, blind.record.text) == (None, None)
    assert "--question" in run(workspace, "show", asked.trace_id)
    assert workspace.replay(asked.trace_id, question).same_passages is True
    with pytest.raises(UserError) as caught:
        workspace.replay(asked.trace_id, question + " ")
    assert caught.value.code == "audit.other_question"
    with pytest.raises(NotFoundError):
        workspace.replay("0" * 32)
    assert question.encode() not in (weighed / ".steelyard" / "audit.sqlite").read_bytes()


def test_every_history_is_checked_and_a_kept_hash_is_found_in_it(asked) -> None:
    workspace, _, _, _ = asked
    workspace.keys().create("helpdesk")
    found = workspace.verify_audit()
    assert {name: one.whole for name, one in found.items()} == dict.fromkeys(
        ("answers", "registry", "keys", "access"), True
    )
    assert all(one.entries for one in found.values())
    heads = [f"--head={name}={one.head}" for name, one in found.items()]
    assert "broken" not in run(workspace, "verify", *heads)
    for name in found:
        assert "kept elsewhere" in run(workspace, "verify", f"--head={name}={'f' * 64}", code=1)
    with pytest.raises(UserError, match="no history"):
        workspace.verify_audit({"nothing": "0"})


@pytest.mark.parametrize(
    ("file", "statements", "name"),
    [
        ("audit", ["DROP TRIGGER answers_no_update", "UPDATE answers SET at = '2020' WHERE number = 2"], "answers"),
        ("registry", ["DROP TRIGGER history_no_delete", "DELETE FROM history WHERE number = 1"], "registry"),
        ("control", ["DROP TRIGGER change_stays", "UPDATE change SET why = 'no' WHERE rowid = (SELECT max(rowid) FROM change)"], "access"),
        ("control", ["DROP TRIGGER change_remains", "DELETE FROM change WHERE rowid = (SELECT max(rowid) FROM change)"], "access"),
        ("control", ["DROP TRIGGER change_remains", "DELETE FROM change WHERE rowid = (SELECT min(rowid) FROM change)"], "access"),
    ],
)  # fmt: skip
def test_what_somebody_does_to_a_history_is_found(asked, file: str, statements: list[str], name: str) -> None:
    workspace, _, first, _ = asked
    workspace.access().say(first.citations[0].document, "user:eve", "deny")
    workspace.access().say(first.citations[0].document, "user:mallory", "deny")
    connection = sqlite3.connect(workspace.folder / ".steelyard" / f"{file}.sqlite")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    found = workspace.verify_audit()
    assert [one for one, told in found.items() if not told.whole] == [name]
    assert any(not line.startswith("the guard") for line in found[name].broken)
    run(workspace, "verify", code=1)


def test_an_export_holds_every_history_and_proves_itself(asked, tmp_path: Path) -> None:
    workspace, _, first, _ = asked
    workspace.keys().create("helpdesk")
    run(workspace, "export", str(tmp_path / "all.jsonl"))
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert {one["chain"] for one in told} == {"answers", "registry", "keys", "access"}
    assert first.trace_id in {one["evidence"]["trace_id"] for one in told if one["chain"] == "answers"}
    assert "broken" not in run(workspace, "verify", "--file", str(tmp_path / "all.jsonl"))
    (tmp_path / "all.jsonl").write_text("\n".join(lines).replace('"groups": ["staff"]', '"groups": ["board"]'))
    assert "content is not what was sealed" in run(workspace, "verify", "--file", str(tmp_path / "all.jsonl"), code=1)


def test_a_cut_is_shown_before_it_is_done(asked, tmp_path: Path) -> None:
    workspace, _, first, _ = asked
    assert "nothing to do" in run(workspace, "cut", "--older-than", "1d")
    assert "2 records are older" in run(workspace, "cut", "--older-than", "0m")
    assert len(workspace.answers(9)) == 3
    run(workspace, "cut", "--older-than", "0m", "--archive", str(tmp_path / "old.jsonl"), "--yes", "--why", "policy")
    assert [one.what for one in workspace.answers(9)] == ["chain.cut", "answer.given"]
    assert workspace.verify_audit()["answers"].whole
    assert "whole" in run(workspace, "verify", "--file", str(tmp_path / "old.jsonl"))
    with pytest.raises(NotFoundError):
        workspace.replay(first.trace_id)
    assert "chain.cut" in run(workspace, "list")
