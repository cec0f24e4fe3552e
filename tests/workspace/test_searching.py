"""`weigh --budget-s` also looks for a better retrieval configuration, on rows that may choose, and changes nothing by itself."""

from __future__ import annotations

from pathlib import Path

from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from steelyard.workspace.searching import search_configurations

ASKED = {"train", "validation"}


def parts_of(folder: Path) -> Parts:
    workspace = Workspace(folder)
    return Parts(folder, workspace.settings, workspace.state)


def test_the_search_asks_no_holdout_question_and_leaves_the_index_alone(weighed: Path, monkeypatch) -> None:
    parts = parts_of(weighed)
    before = parts.toolbox.corpus_fingerprint
    monkeypatch.setattr("steelyard.workspace.searching.FEWEST_QUESTIONS", 5)
    found = search_configurations(parts, "answer", 60.0, lambda *_: None)
    split = parts.examples.split("answer")
    able = [item for item in (*split.train, *split.validation) if item.answerable and item.source]
    assert found is not None
    assert found.questions == len(able)
    assert found.ndcg >= found.current_ndcg
    assert parts.toolbox.corpus_fingerprint == before


def test_without_time_only_the_cut_in_use_is_tried_and_the_others_are_named(weighed: Path, monkeypatch) -> None:
    monkeypatch.setattr("steelyard.workspace.searching.FEWEST_QUESTIONS", 5)
    found = search_configurations(parts_of(weighed), "answer", 0.0, lambda *_: None)
    assert found is not None
    assert found.best.cut == found.current.cut
    assert len(found.skipped) >= 4


def test_too_few_questions_are_not_searched_on(weighed: Path, monkeypatch) -> None:
    monkeypatch.setattr("steelyard.workspace.searching.FEWEST_QUESTIONS", 10_000)
    assert search_configurations(parts_of(weighed), "answer", 60.0, lambda *_: None) is None
