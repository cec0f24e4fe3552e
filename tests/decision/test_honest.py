"""What must be said when it is true: the baseline is as good, do not tune the encoder. And not when it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.candidates import CANDIDATES
from steelyard.decision import sentences
from steelyard.decision.measured import recommend_measured
from steelyard.evaluation.bakeoff import Listed, decide_component
from steelyard.schema.items import Item, Split
from steelyard.schema.runs import ItemResult, RunRecord
from workspace.tiny import weigh

ROWS = 400


def run(name: str, wrong: range, build_s: float = 2.0, declined: int = 0) -> RunRecord:
    """Right on every row but `wrong`; of the last 40 rows, which are out of scope, the first `declined` are declined."""
    items = []
    for at in range(ROWS):
        outside = at >= ROWS - 40
        handed = outside and at < ROWS - 40 + declined
        right = float(handed) if outside else float(at not in wrong)
        scores = {"accuracy": right, "wrong": float(not right and not handed), "declined": float(handed)}
        if outside:
            scores["out_of_scope_recall"] = float(handed)
        if handed:
            scores["out_of_scope_precision"] = 1.0
        if not outside:
            scores["coverage"] = 1.0
        items.append(
            ItemResult(
                item=f"m{at}",
                text="t",
                output="o",
                expected="e",
                scores=scores,
                seconds=0.003,
                tokens_in=0,
                tokens_out=0,
                cluster=f"m{at}",
                abstained=handed,
            )
        )
    return RunRecord(
        key=name, component="intent", task="classify", candidate=name, approach="fine_tune", version=1, metric="accuracy",
        items=tuple(items), build_s=build_s, refresh_s=1.0, peak_mb=100.0, leaks=0, created="now",
    )  # fmt: skip


LISTED = {
    "tfidf": Listed(name="tfidf", approach="fine_tune", role="baseline", baseline=True, simplicity=0),
    "linear": Listed(name="linear", approach="fine_tune", role="head", simplicity=1),
    "full": Listed(name="full", approach="fine_tune", role="whole", simplicity=2, tunes_encoder=True),
}


def decided(tmp_path: Path, **runs: RunRecord):
    from steelyard.config import parse_settings

    settings = parse_settings({"components": {"intent": {"task": "classify", "examples": "x.csv"}}})
    rows = tuple(Item(id=f"m{at}", task="classify", text="t", label="a") for at in range(ROWS))
    split = Split(dataset="d", train=rows, validation=rows[:50], holdout=rows)
    return decide_component("intent", "classify", split, list(runs.values()), LISTED, settings, updates_per_year=1.0)


def criteria(result) -> list[str]:
    return [one.criterion for one in result.decision.reasons]


def test_a_tuned_candidate_that_ties_with_the_baseline_makes_it_as_good_and_recommended(tmp_path: Path) -> None:
    result = decided(tmp_path, tfidf=run("tfidf", range(40)), linear=run("linear", range(2, 41), build_s=30.0))
    said = sentences.plain_verdicts(result)
    assert result.decision.candidate == "tfidf"
    assert len(said) == 1
    assert said[0].startswith("The baseline is as good: linear differs from tfidf by 0.2 points")
    assert "400 rows" in said[0]


def test_a_shown_gain_over_the_baseline_says_nothing_of_the_kind(tmp_path: Path) -> None:
    result = decided(tmp_path, tfidf=run("tfidf", range(80)), linear=run("linear", range(30)))
    assert result.decision.candidate == "linear"
    assert "baseline_as_good" not in criteria(result)


def test_a_tuned_encoder_that_gains_nothing_is_advised_against(tmp_path: Path) -> None:
    result = decided(
        tmp_path,
        tfidf=run("tfidf", range(120)),
        linear=run("linear", range(40)),
        full=run("full", range(2, 40), build_s=400.0),
    )
    said = sentences.plain_verdicts(result)
    assert result.decision.candidate == "linear"
    assert said == [
        "Do not tune the encoder: full is not shown to be better than linear, from which it differs by 0.5 points (0.0 to 1.5) "
        "on the same 400 rows; it takes 200 times as long to fit."
    ]
    reason = next(one for one in result.decision.reasons if one.criterion == "do_not_tune")
    assert (reason.argues_for, reason.kind) == ("against full", "measured")


def test_a_tuned_encoder_that_is_worse_is_advised_against(tmp_path: Path) -> None:
    result = decided(tmp_path, linear=run("linear", range(20)), full=run("full", range(80)))
    assert "do_not_tune" in criteria(result)


def test_a_tuned_encoder_that_wins_is_not(tmp_path: Path) -> None:
    result = decided(
        tmp_path,
        tfidf=run("tfidf", range(120)),
        linear=run("linear", range(80)),
        full=run("full", range(20), build_s=400.0),
    )
    assert result.decision.candidate == "full"
    assert "do_not_tune" not in criteria(result)
    (said,) = sentences.plain_verdicts(result)
    assert said.startswith("Tuning the encoder pays in quality: full is better than linear by 15.0 points")


def test_without_a_tuned_encoder_nothing_is_said_of_it(tmp_path: Path) -> None:
    result = decided(tmp_path, tfidf=run("tfidf", range(120)), linear=run("linear", range(40)))
    assert not {"do_not_tune", "tuning_pays"} & set(criteria(result))


def test_an_interval_that_leaves_out_zero_is_never_called_as_good() -> None:
    from test_measured import candidate, component, pair

    base = candidate("tfidf", "fine_tune", 0.50, simplicity=0)
    rival = candidate("linear", "fine_tune", 0.90, simplicity=1)
    few = component([base, rival], [pair(rival, base, p=0.3, half=0.2)], baseline="tfidf", n_holdout=12)
    reasons = {one.criterion: one.because for one in recommend_measured(few).reasons}
    assert "baseline_as_good" not in reasons
    assert reasons["no_difference"] == (
        "linear looks better than the baseline tfidf by 40.0 points (20.0 to 60.0), but 12 rows do not show it."
    )


def test_refusals_stand_beside_accuracy_in_table_report_and_json(tmp_path: Path) -> None:
    from io import StringIO

    from rich.console import Console

    from steelyard.cli.tables import _show_component

    result = decided(tmp_path, tfidf=run("tfidf", range(80)), linear=run("linear", range(30), declined=30))
    linear = next(one for one in result.to_json()["candidates"] if one["name"] == "linear")
    assert {kind: round(one["mean"], 3) for kind, one in linear["refusals"].items()} == {
        "recall": 0.75,  # 30 of 40
        "precision": 1.0,
        "coverage": 1.0,
    }
    out = Console(file=StringIO(), width=80)
    _show_component(out, result, 24)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "refusals" in text
    assert "75/100" in text
    assert "…" not in text.partition("why")[0]  # eighty columns hold every figure


@pytest.mark.parametrize("task", ["classify", "answer", "write"])
def test_the_fourth_cell_is_in_the_table_for_every_task_and_needs_no_generator(task: str) -> None:
    cells = {part.approach for _, part in CANDIDATES if part.task == task and part.needs != "generator"}
    assert {"rag", "fine_tune", "hybrid"} <= cells


def test_the_fourth_cell_is_measured_whatever_the_budget_and_said_when_left_out(tool_library: Path) -> None:
    from steelyard.workspace import Workspace
    from steelyard.workspace.assembling import weigh_workspace
    from steelyard.workspace.parts import Parts

    settings = tool_library / "steelyard.toml"
    text = settings.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("candidates =")]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    workspace = Workspace(tool_library)
    parts = Parts(tool_library, workspace.settings, workspace.state)
    weighed = weigh_workspace(parts, ["intent", "reply"], budget_s=0.0001, seed=None, report=lambda *_: None)
    for component in weighed.components:
        measured = {one.name: one.approach for one in component.candidates if one.quality is not None}
        assert "hybrid" in measured.values()
        assert len(measured) == 2
    settings.write_text(text, encoding="utf-8")
    (left,) = weigh(tool_library, ["intent"]).components
    cascade = next(one for one in left.candidates if one.name == "cascade")
    assert "no hybrid was measured" in (cascade.not_measured or "")


@pytest.fixture
def tool_library(tmp_path: Path) -> Path:
    from workspace.tiny import lay_out, slimmed

    return slimmed(lay_out(tmp_path / "tool-library"))


def test_a_reason_that_is_the_main_one_is_not_said_twice(tmp_path: Path) -> None:
    result = decided(tmp_path, tfidf=run("tfidf", range(40)), linear=run("linear", range(2, 41)))
    main = sentences.main_reason(result)
    assert main is not None
    assert replace(main, weight=1.0).because == sentences.plain_verdicts(result)[0]
