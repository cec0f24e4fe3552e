"""What a second weigh does: nothing where nothing changed, and only what depends on a change where something did."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.schema.weighing import WeighReport
from steelyard.workspace import Workspace
from workspace.tiny import FEW, lay_out, replace_in, weigh

EVERY = {f"{component}/{name}" for component, names in FEW.items() for name in names}
SYSTEMS = {"pure rag", "pure fine tune", "hybrid"}


def _done_again(report: WeighReport) -> set[str]:
    """What was not taken from an earlier run, systems left out."""
    taken = {line.split(":")[0] for line in report.skipped}
    return EVERY - taken


def _figures(report: WeighReport) -> dict[str, object]:
    """What must not depend on how long anything took: decisions, qualities, comparisons."""
    found: dict[str, object] = {}
    for component in report.components:
        found[component.name] = {
            "recommendation": component.decision.recommendation,
            "candidate": component.decision.candidate,
            "quality": {one.name: one.quality for one in component.candidates},
            "metrics": {one.name: dict(one.metrics) for one in component.candidates},
            "comparisons": component.comparisons,
            "errors": {one.name: (one.error_rate, one.handoff_rate, one.leaks) for one in component.candidates},
        }
    found["systems"] = {one.name: (one.quality, dict(one.parts), one.leaks) for one in report.systems}
    return found


def test_unchanged_input_fits_and_measures_nothing_and_says_so(weighed: Path) -> None:
    versions = Workspace(weighed).versions()
    runs = sorted((weighed / ".steelyard" / "runs").iterdir())

    report = weigh(weighed)

    assert _done_again(report) == set()
    assert {line.split(":")[0] for line in report.skipped} == EVERY | SYSTEMS
    assert all("fit and run of version 1" in line for line in report.skipped if "/" in line)
    assert Workspace(weighed).versions() == versions
    assert sorted((weighed / ".steelyard" / "runs").iterdir()) == runs
    for component in report.components:
        assert dict(component.holdout_uses) == dict.fromkeys(FEW[component.name], 1)


def test_two_weighs_of_the_same_runs_print_the_same_report(weighed: Path) -> None:
    first, second = weigh(weighed).to_json(), weigh(weighed).to_json()

    assert {**first, "created": ""} == {**second, "created": ""}


@pytest.mark.slow
def test_two_weighs_from_scratch_give_equal_decisions_and_qualities(weighed: Path) -> None:
    first = Workspace(weighed).weigh()
    shutil.rmtree(weighed / ".steelyard")

    again = Workspace(weighed).weigh()

    assert again.skipped == ()
    assert _figures(again) == _figures(first)


def test_a_seed_moves_the_draws_and_stands_in_the_report_but_nothing_is_fitted_again(weighed: Path) -> None:
    usual, other = weigh(weighed), weigh(weighed, seed=11)

    assert _done_again(other) == set()
    assert (usual.inputs["seed"], other.inputs["seed"]) == (7, 11)
    means = [[one.quality.mean for one in part.candidates if one.quality] for part in (*usual.components,)]
    assert means == [[one.quality.mean for one in part.candidates if one.quality] for part in (*other.components,)]
    assert _figures(weigh(weighed, seed=11)) == _figures(other)


def test_one_changed_label_does_again_only_its_component(weighed: Path) -> None:
    replace_in(
        weighed / "messages.csv",
        "Is there a waiting list for the plunge saw?,borrow",
        "Is there a waiting list for the plunge saw?,visit",
    )

    report = weigh(weighed)

    assert _done_again(report) == {f"intent/{name}" for name in FEW["intent"]}
    assert {record.version for record in Workspace(weighed).versions() if record.component == "intent"} == {1, 2}
    uses = {component.name: dict(component.holdout_uses) for component in report.components}
    # Another dataset has a holdout of its own, which was used once.
    assert uses["intent"] == dict.fromkeys(FEW["intent"], 1)


def test_one_changed_document_is_read_alone_and_only_what_looks_it_up_is_measured_again(weighed: Path) -> None:
    replace_in(weighed / "docs" / "fees.txt", "costs 15 EUR", "costs 16 EUR")

    ingested = Workspace(weighed).ingest()
    report = weigh(weighed)

    assert (ingested.updated, ingested.unchanged, ingested.parsed) == (1, 7, 1)
    assert _done_again(report) == {"answer/rag-bm25", "answer/rag-hybrid"}
    answer = next(one for one in report.components if one.name == "answer")
    # The same holdout was looked at again by the two that were measured again, and the report says so.
    assert dict(answer.holdout_uses) == {"closed-book": 1, "rag-bm25": 2, "rag-hybrid": 2}


def test_a_changed_case_is_put_through_the_systems_again_and_nothing_else(weighed: Path) -> None:
    replace_in(weighed / "cases.jsonl", '"slots": {"name": "Jo"', '"slots": {"name": "Joan"')

    report = weigh(weighed)

    assert _done_again(report) == set()
    assert not SYSTEMS & {line.split(":")[0] for line in report.skipped}


def test_a_changed_reply_format_is_scored_again_without_a_fit(weighed: Path) -> None:
    replace_in(
        weighed / "steelyard.toml", 'examples = "replies.jsonl"', "examples = \"replies.jsonl\"\nformat = 'Hello .*'"
    )

    report = weigh(weighed)

    assert _done_again(report) == {f"reply/{name}" for name in FEW["reply"]}
    assert {record.version for record in Workspace(weighed).versions()} == {1}


@pytest.mark.slow
def test_a_killed_weigh_goes_on_where_it_stopped(tool_library: Path) -> None:
    runs = tool_library / ".steelyard" / "runs"
    code = f"from steelyard.workspace import Workspace; Workspace({str(tool_library)!r}).weigh()"
    process = subprocess.Popen([sys.executable, "-c", code], env={"OMP_NUM_THREADS": "1", "PATH": ""})
    try:
        patience = time.monotonic() + 60
        while not list(runs.glob("*.json")) and time.monotonic() < patience:
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    kept = {path.name for path in runs.glob("*.json")}
    assert kept, "the first candidate was not measured within a minute"
    assert not (tool_library / "decision.json").exists()

    report = Workspace(tool_library).weigh()

    assert len([line for line in report.skipped if "run of version" in line]) >= len(kept)
    assert kept <= {path.name for path in runs.glob("*.json")}
    assert json.loads((tool_library / "decision.json").read_text(encoding="utf-8"))["components"].keys() == FEW.keys()
    # One look at the holdout each, but for the one that the crash may have caught between looking and keeping.
    uses = [count for component in report.components for count in component.holdout_uses.values()]
    assert sorted(uses)[:-1] == [1] * (len(EVERY) - 1)
    assert max(uses) <= 2


def test_a_spent_budget_still_gives_a_report_and_lists_what_was_left_out(tool_library: Path) -> None:
    report = Workspace(tool_library).weigh(budget_s=1e-9)

    for component in report.components:
        measured = [one.name for one in component.candidates if one.quality is not None]
        late = [one.name for one in component.candidates if one.not_measured and "budget" in one.not_measured]
        assert len(measured) == 1
        assert {*measured, *late} == set(FEW[component.name])
    assert (tool_library / "report.html").is_file()

    later = weigh(tool_library, ["intent"])

    assert [one.name for one in later.components] == ["intent"]
    assert {one.name for one in later.components[0].candidates if one.quality} == set(FEW["intent"])
    assert later.systems == ()
    assert later.systems_note is not None


@pytest.mark.slow
def test_the_whole_set_of_candidates_is_measured_from_the_default_index(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "tool-library")

    report = Workspace(folder).weigh()

    measured = {
        component.name: {one.name for one in component.candidates if one.quality} for component in report.components
    }
    assert measured["intent"] == {"majority", "tfidf", "knn", "linear", "cascade"}
    assert measured["answer"] == {"closed-book", "rag-bm25", "rag-dense", "rag-hybrid", "rag-rerank", "rag-tuned"}
    assert measured["reply"] == {"template", "exemplar", "tuned-selector", "tuned-exemplar"}
    assert [one.name for one in report.systems] == ["pure_rag", "pure_fine_tune", "hybrid"]
