"""A look into an earlier generation shows what was there, to those who may see it now."""

from __future__ import annotations

from pathlib import Path

from steelyard.workspace import Workspace
from workspace.tiny import replace_in

QUESTION = "Who has the spare key to the machine room?"


def test_a_grant_that_was_revoked_since_does_not_come_back_with_an_old_generation(weighed: Path) -> None:
    first = Workspace(weighed).ask(QUESTION, groups=["staff"], candidate="rag-bm25")
    assert "Mr Odum" in first.answer
    replace_in(weighed / "steelyard.toml", 'allow = ["staff"]', 'allow = ["board"]')
    Workspace(weighed).ingest()

    then = Workspace(weighed).ask(QUESTION, groups=["staff"], candidate="rag-bm25", generation=first.generation)
    board = Workspace(weighed).ask(QUESTION, groups=["board"], candidate="rag-bm25", generation=first.generation)

    assert "Odum" not in then.answer
    assert not [name for step in then.component_trace for name in step["passages"] if name.startswith("docs-staff/")]
    assert "Mr Odum" in board.answer


def test_a_withdrawn_page_is_still_there_in_its_generation_for_those_who_could_see_it(weighed: Path) -> None:
    first = Workspace(weighed).ask(QUESTION, groups=["staff"], candidate="rag-bm25")
    (weighed / "docs-staff" / "keys.txt").unlink()
    Workspace(weighed).ingest()

    then = Workspace(weighed).ask(QUESTION, groups=["staff"], candidate="rag-bm25", generation=first.generation)
    stranger = Workspace(weighed).ask(QUESTION, candidate="rag-bm25", generation=first.generation)

    assert "Mr Odum" in then.answer
    assert "Odum" not in stranger.answer
