"""Feedback after review: a labelled row of the component's own file, for training only, with a data version of its own."""

from __future__ import annotations

import csv
import json
import sqlite3

import pytest

from steelyard.registry.feedback import FeedbackLog
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.feedback import Feedback
from steelyard.workspace import Workspace
from steelyard.workspace.examples import Examples
from steelyard.workspace.reviewing import _append
from workspace.tiny import steelyard

ASKED = "My ladder is wobbling, may I swap it at the counter today?"


def said(folder, **changes) -> int:
    values = {
        "number": 0,
        "at": "2026-11-01T10:00:00+00:00",
        "request": "ab" * 16,
        "component": None,
        "versions": ("intent/linear@1", "answer/rag-bm25@1"),
        "verdict": "wrong",
        "caller": "k1",
        "question": ASKED,
    }
    return FeedbackLog(Workspace(folder).state.feedback).add(Feedback(**{**values, **changes})).number


def label_of(folder) -> str:
    examples = Examples(folder, Workspace(folder).settings)
    return examples.split("intent").train[0].label


def test_an_accepted_label_is_a_row_for_training_and_a_new_data_version(tool_library) -> None:
    label = label_of(tool_library)
    number = said(tool_library, label=label)
    done = steelyard("-w", str(tool_library), "feedback", "accept", str(number), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["feedback"]["state"], told["dataset"]["component"]) == ("accepted", "intent")
    split = Examples(tool_library, Workspace(tool_library).settings).split("intent")
    assert ASKED in [item.text for item in split.train]
    assert ASKED not in [item.text for item in (*split.holdout, *split.validation)]
    assert told["dataset"]["note"] == f"feedback {number} accepted"


def test_a_review_that_was_cut_off_adds_its_row_once(tool_library) -> None:
    number = said(tool_library, label=label_of(tool_library))
    workspace = Workspace(tool_library)
    workspace.accept_feedback(number)
    rows = len(Examples(tool_library, workspace.settings).dated("intent"))
    with sqlite3.connect(workspace.state.feedback) as connection:
        connection.execute("UPDATE feedback SET state = 'new'")
    connection.close()
    workspace.accept_feedback(number)
    assert len(Examples(tool_library, workspace.settings).dated("intent")) == rows


def test_rows_that_were_there_stay_as_they_are(tool_library) -> None:
    settings = Workspace(tool_library).settings
    before = Examples(tool_library, settings).dated("intent")
    Workspace(tool_library).accept_feedback(said(tool_library, label=label_of(tool_library)))
    after = Examples(tool_library, settings).dated("intent")
    assert [(one.text, one.label, one.id) for one in after[:-1]] == [(one.text, one.label, one.id) for one in before]
    assert after[-1].split == "train"


def test_an_accepted_answer_becomes_a_question_with_that_answer(tool_library) -> None:
    number = said(tool_library, component="answer", answer="Two weeks.")
    _, made = Workspace(tool_library).accept_feedback(number)
    assert made.component == "answer"
    row = Examples(tool_library, Workspace(tool_library).settings).dated("answer")[-1]
    assert (row.text, row.answers, row.answerable, row.split) == (ASKED, ("Two weeks.",), True, "train")


def test_an_answer_that_should_not_have_been_given_becomes_an_unanswerable_question(tool_library) -> None:
    Workspace(tool_library).accept_feedback(said(tool_library, component="answer", verdict="unsafe"))
    assert not Examples(tool_library, Workspace(tool_library).settings).dated("answer")[-1].answerable


def test_what_was_asked_must_be_known_or_given(tool_library) -> None:
    workspace = Workspace(tool_library)
    number = said(tool_library, question=None, label=label_of(tool_library))
    with pytest.raises(UserError, match="--text"):
        workspace.accept_feedback(number)
    assert workspace.feedback("new")[0].number == number  # nothing was changed
    workspace.accept_feedback(number, text=ASKED)
    assert workspace.feedback("new") == []


def test_what_was_reviewed_is_not_reviewed_again(tool_library) -> None:
    workspace = Workspace(tool_library)
    number = said(tool_library, label=label_of(tool_library))
    assert workspace.reject_feedback(number).state == "rejected"
    with pytest.raises(UserError, match="rejected already"):
        workspace.accept_feedback(number)
    with pytest.raises(NotFoundError):
        workspace.reject_feedback(99)


def test_a_csv_file_gets_the_columns_it_lacks_and_keeps_its_delimiter(tmp_path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('text;label\n"one; two";a\n"line\nbreak";b\n')
    _append(file, {"text": "three", "label": "a", "split": "train", "feedback": "feedback 4"})
    with file.open(newline="") as rows:
        read = list(csv.reader(rows, delimiter=";"))
    assert read == [
        ["text", "label", "split", "feedback"],
        ["one; two", "a", "", ""],
        ["line\nbreak", "b", "", ""],
        ["three", "a", "train", "feedback 4"],
    ]


def test_the_list_shows_what_waits(tool_library) -> None:
    assert "nobody has said anything" in steelyard("-w", str(tool_library), "feedback", "list").stdout
    number = said(tool_library, comment="The ladder is new.")
    shown = steelyard("-w", str(tool_library), "feedback", "list", "--state", "new").stdout
    assert f"{number}  2026-11-01 10:00  wrong  the whole answer  new" in shown
    assert "comment: The ladder is new." in shown
