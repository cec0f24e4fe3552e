from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny import lay_out, replace_in, slimmed

from steelyard.cli.trend import bar, change
from steelyard.schema.errors import UserError
from steelyard.schema.quality import GenerationQuality
from steelyard.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(slimmed(lay_out(tmp_path / "library")))


def test_every_ingest_keeps_the_quality_of_its_generation_and_a_lost_page_lowers_it(workspace):
    workspace.ingest()
    first = workspace.status()["quality"]
    assert [one["generation"] for one in first] == [1]
    assert 0.5 < first[0]["ndcg_low"] <= first[0]["ndcg_at_10"] <= first[0]["ndcg_high"] <= 1.0
    gone = sorted((workspace.folder / "docs").glob("*.md"))[:2]
    for path in gone:
        path.unlink()
    workspace.ingest()
    kept = workspace.status()["quality"]
    assert [one["generation"] for one in kept] == [1, 2]
    assert kept[0] == first[0]
    assert kept[1]["ndcg_at_10"] < first[0]["ndcg_at_10"]
    assert kept[1]["recall_at_5"] < first[0]["recall_at_5"]


def test_what_was_measured_on_the_same_questions_is_not_measured_again(workspace):
    workspace.ingest()
    stages = []
    before = workspace.quality(report=lambda stage, done, total: stages.append(stage))
    assert "measure retrieval" not in stages
    questions = workspace.folder / "questions.jsonl"
    rows = questions.read_text(encoding="utf-8").splitlines()
    answerable = next(at for at, row in enumerate(rows) if json.loads(row).get("source"))
    questions.write_text("\n".join(rows[:answerable] + rows[answerable + 1 :]) + "\n", encoding="utf-8")
    [after] = workspace.quality(report=lambda stage, done, total: stages.append(stage))
    assert "measure retrieval" in stages
    assert after.questions == before[0].questions - 1


def test_lost_records_are_measured_again_for_earlier_generations_too(workspace):
    workspace.ingest()
    page = sorted((workspace.folder / "docs").glob("*.md"))[0]
    page.unlink()
    workspace.ingest()
    kept = [replace(one, measured="") for one in workspace.quality()]
    workspace.state.quality.write_text("not JSON", encoding="utf-8")
    assert [replace(one, measured="") for one in workspace.quality()] == kept
    assert len(kept) == 2


def test_without_questions_there_is_nothing_to_measure_and_ingest_goes_on(workspace):
    replace_in(workspace.folder / "steelyard.toml", 'questions = "questions.jsonl"', 'questions = "gone.jsonl"')
    broken = Workspace(workspace.folder)
    assert broken.ingest().added > 0
    assert broken.status()["quality"] == []
    with pytest.raises(UserError, match=r"gone\.jsonl"):
        broken.quality()


def record(generation: int, mean: float, gold: str = "g") -> GenerationQuality:
    return GenerationQuality(
        component="answer", generation=generation, as_of="2026-01-01T00:00:00+00:00", passages=9, gold=gold, questions=50,
        recall_at_5=mean, recall_low=mean, recall_high=mean, ndcg_at_10=mean, ndcg_low=mean - 0.05, ndcg_high=mean + 0.05,
        measured="",
    )  # fmt: skip


def test_a_fall_below_the_interval_is_said_and_a_smaller_one_is_not():
    assert "one generation" in change([record(1, 0.8)])
    assert "-0.100 since generation 1: below the interval" in change([record(1, 0.8), record(2, 0.7)])
    assert "-0.020 since generation 1: within or above" in change([record(1, 0.8), record(2, 0.78)])
    assert "questions that hold changed" in change([record(1, 0.8), record(2, 0.7, gold="other")])


def test_bars_are_as_long_as_the_share():
    assert [len(bar(share)) for share in (0.0, 0.5, 1.0, 2.0)] == [0, 12, 24, 24]
    assert bar(0.5 + 1 / 48) == "█" * 12 + "▌"
