"""Retraining is a decision: forecast against cost, drift of new rows, and reasons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from steelyard.schema.curves import LearningCurve, PowerLaw
from steelyard.schema.retraining import Retraining
from steelyard.workspace import Workspace
from steelyard.workspace.curves import Curves
from workspace.tiny import replace_in, steelyard, weighed_once

TRAINED = "intent/linear"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A copy of the weighed tool library: it has recommended versions."""
    return Path(shutil.copytree(weighed_once(), tmp_path / "trained"))


def decide(folder: Path, component: str = "intent") -> Retraining:
    (found,) = Workspace(folder).retraining(component)
    return found


def add(folder: Path, *lines: str) -> None:
    with (folder / "messages.csv").open("a", encoding="utf-8") as text:
        text.write("".join(f"{line}\n" for line in lines))


ODD = [
    f"the {what} of my {thing} went wrong,return"
    for what in ("warp", "weft", "heddle", "reed")
    for thing in "abcdefghij"
]


def known_curve(folder: Path, law: PowerLaw, *, still_learning: bool = True) -> None:
    """A learning curve as it would have been measured, for the version that answers."""
    found = decide(folder)
    workspace = Workspace(folder)
    curve = LearningCurve(
        component="intent",
        candidate=found.candidate,
        metric="accuracy",
        dataset="d",
        rows=80,
        points=(),
        law=law,
        laws=(law,) * 5,
        still_learning=still_learning,
        trials="t",
        forecasts=(),
    )
    path = Curves(workspace._parts())._path("intent", found.candidate)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(curve.to_json()), encoding="utf-8")


def test_nothing_changed_is_said(trained: Path) -> None:
    found = decide(trained)

    assert (found.verdict, found.new_labels) == ("nothing changed", 0)
    assert found.why == "nothing changed since it was trained."


def test_without_a_curve_the_next_step_is_named(trained: Path) -> None:
    add(trained, "may I keep the drill for longer please,extend")

    found = decide(trained)

    assert (found.verdict, found.new_labels) == ("cannot tell", 1)
    assert f"steelyard data curve intent/{found.candidate}" in found.why


@pytest.mark.parametrize(
    ("law", "still_learning", "verdict"),
    [
        (PowerLaw(scale=5.0, exponent=0.6, floor=0.0), True, "do it"),
        (PowerLaw(scale=5.0, exponent=0.6, floor=0.0), False, "cannot tell"),
        (PowerLaw(scale=0.0, exponent=0.6, floor=0.2), True, "do not"),
    ],
)
def test_the_forecast_decides_against_the_cost(
    trained: Path, law: PowerLaw, still_learning: bool, verdict: str
) -> None:
    known_curve(trained, law, still_learning=still_learning)
    add(trained, *(f"may I keep the {thing} for longer please,extend" for thing in ("saw", "drill", "ladder")))

    found = decide(trained)

    assert found.verdict == verdict
    assert found.new_labels == 3
    assert found.gain is not None
    assert found.cost_usd is not None
    assert found.cost_usd == pytest.approx(60 * 0.25 * 95, abs=1)  # hours of an update x embedded share x USD an hour
    assert "3 new labels" in found.why
    assert f": {verdict}" in found.why


def test_other_labels_count_as_new_and_rows_taken_out_are_told(trained: Path) -> None:
    replace_in(trained / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,extend")
    replace_in(trained / "messages.csv", "Do aliens exist,out_of_scope\n", "")

    found = decide(trained)

    assert (found.new_labels, found.removed) == (1, 1)


def test_rows_of_another_kind_are_drift_and_rows_of_the_same_kind_are_not(tool_library: Path) -> None:
    messages = tool_library / "messages.csv"
    header, *lines = messages.read_text(encoding="utf-8").splitlines()
    kept = [line for at, line in enumerate(lines) if at % 3]
    messages.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
    Workspace(tool_library).train(TRAINED)
    odd_folder = Path(shutil.copytree(tool_library, tool_library.parent / "odd"))
    add(tool_library, *lines[::3])
    add(odd_folder, *ODD)

    odd, alike = decide(odd_folder), decide(tool_library)

    assert odd.drift is not None
    assert odd.drift.drifted
    assert odd.drift.new_rows == len(ODD)
    assert "of another kind" in odd.why
    assert odd.on_new_rows is not None
    assert alike.drift is not None
    assert not alike.drift.drifted
    assert "of the same kind" in alike.why


def test_drift_is_looked_at_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(trained, *ODD)
    first = decide(trained)
    monkeypatch.setattr("steelyard.workspace.retraining.mean_shift", lambda *_: 1 / 0)

    assert decide(trained) == first


def test_status_and_the_command_say_whether_to_train_again(trained: Path) -> None:
    known_curve(trained, PowerLaw(scale=5.0, exponent=0.6, floor=0.0))
    add(trained, "may I keep the drill for longer please,extend")

    status = Workspace(trained).status()["components"]["intent"]
    text = steelyard("-w", str(trained), "train", "--why", COLUMNS="80")
    found = json.loads(steelyard("-w", str(trained), "train", "intent", "--why", "--json").stdout)["components"]

    assert status["retrain"]["verdict"] == found["intent"]["verdict"]
    assert "1 new labels" in status["retrain"]["why"]
    assert text.returncode == 0, text.stderr
    assert "nothing changed since it was trained." in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 80
    assert Workspace(trained).versions() == Workspace(weighed_once()).versions()
