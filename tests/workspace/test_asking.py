"""`ask` and `route`: who may see what, which generation answers, and which version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steelyard.schema.errors import NotFoundError, UserError
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from workspace.tiny import replace_in, rows, weigh

STAFF = "docs-staff/"
LOOKING_UP = ("rag-bm25", "rag-hybrid")


@pytest.mark.parametrize("candidate", LOOKING_UP)
def test_an_asker_without_the_group_is_never_shown_a_hidden_document(weighed: Path, candidate: str) -> None:
    workspace = Workspace(weighed)
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    from steelyard.schema.outputs import Request
    from steelyard.schema.scope import Scope

    answerer = parts.training.load(parts.registry.get("answer", candidate))
    for row in rows(weighed / "questions.jsonl"):
        output = answerer.predict(Request(text=row["question"]), Scope(user="eve"))
        seen = {hit.passage.document for hit in output.hits} | {one.document for one in output.citations}
        assert not {name for name in seen if name.startswith(STAFF)}


def test_the_same_question_is_answered_for_staff_and_not_from_the_staff_page_for_others(weighed: Path) -> None:
    question = "Who has the spare key to the machine room?"

    for_staff = Workspace(weighed).ask(question, groups=["staff"], candidate="rag-bm25")
    for_others = Workspace(weighed).ask(question, candidate="rag-bm25")

    assert "Mr Odum" in for_staff.answer
    assert {one.document for one in for_staff.citations} == {"docs-staff/keys.txt"}
    assert "Odum" not in for_others.answer
    assert not [name for step in for_others.component_trace for name in step["passages"] if name.startswith(STAFF)]


def test_scoped_candidates_leak_nothing_on_the_holdout(weighed: Path) -> None:
    report = weigh(weighed)
    answer = next(one for one in report.components if one.name == "answer")

    assert {one.name: one.leaks for one in answer.candidates if one.name in LOOKING_UP} == dict.fromkeys(LOOKING_UP, 0)


def test_a_quote_stands_where_its_citation_says(weighed: Path) -> None:
    asked = Workspace(weighed).ask("How many tools may I have out at the same time?", candidate="rag-bm25")

    assert asked.citations
    for citation in asked.citations:
        parts = Parts(weighed, Workspace(weighed).settings, Workspace(weighed).state)
        text = parts.toolbox.library.version(citation.document, citation.version).text
        assert text[citation.start : citation.end] == citation.quote


def test_a_generation_and_a_date_answer_from_what_was_in_force(weighed: Path) -> None:
    question = "What does a lost key to a locker cost?"
    workspace = Workspace(weighed)
    first = workspace.ask(question, candidate="rag-bm25")
    replace_in(
        weighed / "docs" / "fees.txt", "A lost key to a locker costs 15 EUR.", "A lost key to a locker costs 21 EUR."
    )
    workspace.ingest()

    now = workspace.ask(question, candidate="rag-bm25")
    then = workspace.ask(question, candidate="rag-bm25", generation=first.generation)
    today = workspace.ask(question, candidate="rag-bm25", as_of=datetime.now(UTC))

    assert "15 EUR" in first.answer
    assert ("21 EUR" in now.answer, now.generation) == (True, first.generation + 1)
    assert ("15 EUR" in then.answer, then.generation) == (True, first.generation)
    assert (today.answer, today.generation) == (now.answer, now.generation)


def test_a_time_before_the_first_generation_says_when_the_corpus_begins(weighed: Path) -> None:
    with pytest.raises(NotFoundError, match="It begins on") as caught:
        Workspace(weighed).ask("How long is the loan period?", as_of=datetime.now(UTC) - timedelta(days=2))

    assert caught.value.code == "corpus.before_first"


@pytest.mark.parametrize("number", [0, 99])
def test_an_unknown_generation_is_an_error_that_names_the_known(weighed: Path, number: int) -> None:
    with pytest.raises(NotFoundError) as caught:
        Workspace(weighed).ask("Anything?", generation=number)

    assert caught.value.code == "corpus.unknown_generation"
    assert "1" in caught.value.remedy


def test_a_date_and_a_generation_together_are_refused(weighed: Path) -> None:
    with pytest.raises(UserError, match="both"):
        Workspace(weighed).ask("Anything?", generation=1, as_of=datetime.now(UTC))


def test_asking_takes_the_recommended_version_unless_one_is_named(weighed: Path) -> None:
    workspace = Workspace(weighed)
    recommended = workspace.status()["components"]["answer"]["recommended"]

    asked = workspace.ask("How long is the loan period?")
    named = workspace.ask("How long is the loan period?", candidate="closed-book")

    assert f"{asked.candidate}@{asked.version}" == recommended
    assert (named.candidate, named.citations) == ("closed-book", ())


def test_a_message_is_routed_or_declined(weighed: Path) -> None:
    workspace = Workspace(weighed)

    routed = workspace.route("What does it cost to be late by a day?", candidate="knn")

    assert (routed.label, routed.out_of_scope, routed.candidate) == ("money", False, "knn")
    assert 0.0 <= routed.probability <= 1.0


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda one: one.ask("?", candidate="rag-bm52"), "workspace.unknown_candidate", "rag-bm25"),
        (lambda one: one.ask("?", candidate="knn"), "workspace.unknown_candidate", "rag-bm25"),
        (lambda one: one.ask("?", component="answr"), "workspace.unknown_component", "answer"),
        (lambda one: one.ask("?", component="intent"), "workspace.which_component", "answer"),
        (lambda one: one.route("?", component="answer"), "workspace.which_component", "intent"),
        (lambda one: one.train("intnt"), "workspace.unknown_component", "intent"),
        (lambda one: one.train("intent/liner"), "workspace.unknown_candidate", "linear"),
        (lambda one: one.weigh(["replly"]), "workspace.unknown_component", "reply"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_known_one(weighed, call, code: str, said: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        call(Workspace(weighed))

    assert caught.value.code == code
    assert said in caught.value.remedy


def test_asking_before_anything_was_trained_says_what_to_run(tool_library: Path) -> None:
    with pytest.raises(UserError, match="steelyard train") as caught:
        Workspace(tool_library).ask("How long is the loan period?")

    assert caught.value.code == "workspace.not_trained"


def test_a_candidate_that_was_not_trained_says_how_to_train_it(tool_library: Path) -> None:
    workspace = Workspace(tool_library)
    workspace.train("intent/majority")

    with pytest.raises(NotFoundError, match="steelyard train intent/knn"):
        workspace.route("Is the sander free?", candidate="knn")
