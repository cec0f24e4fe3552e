"""A kept result is found again only while the code that it follows from is the same."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from steelyard.workspace import fingerprint
from steelyard.workspace.fingerprint import PARTS_OF_A_MEASUREMENT, PARTS_OF_A_REPLAY, PARTS_OF_A_RESULT


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of what the hashes read, free to be edited."""
    for room in (*PARTS_OF_A_RESULT, "evaluation"):
        shutil.copytree(fingerprint.PACKAGE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path)
    fingerprint.code_fingerprint.cache_clear()
    yield tmp_path
    fingerprint.code_fingerprint.cache_clear()


def hashes():
    fingerprint.code_fingerprint.cache_clear()
    return [fingerprint.code_fingerprint(*more) for more in ((), PARTS_OF_A_MEASUREMENT, PARTS_OF_A_REPLAY)]


def changed_by(package: Path, name: str) -> list[bool]:
    before = hashes()
    (package / name).write_text((package / name).read_text() + "\n# edited\n")
    return [one != other for one, other in zip(before, hashes(), strict=True)]


@pytest.mark.parametrize("name", PARTS_OF_A_REPLAY)
def test_an_edit_of_the_replay_is_noticed_by_kept_replays_and_by_nothing_else(package, name):
    assert changed_by(package, name) == [False, False, True]


def test_an_edit_of_what_scores_is_noticed_by_kept_decisions_and_by_nothing_else(package):
    assert changed_by(package, "evaluation/scoring.py") == [False, True, False]


def test_an_edit_of_a_candidate_is_noticed_by_everything(package):
    assert changed_by(package, "candidates/answer_rag.py") == [True, True, True]


def test_every_module_that_makes_a_replay_s_answers_is_among_its_parts():
    """What the replay and its documents import of this room, and what that imports in turn."""
    found: set[str] = set()
    left = ["evaluation/ageing.py", "evaluation/past_documents.py"]
    while left:
        name = left.pop()
        found.add(name)
        tree = ast.parse((fingerprint.PACKAGE / name).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        files = {f"evaluation/{one.split('.')[-1]}.py" for one in imported if one.startswith("steelyard.evaluation.")}
        left += files - found
    assert found == set(PARTS_OF_A_REPLAY)
