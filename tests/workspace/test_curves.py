"""Learning curves: on validation rows only, kept trial by trial, priced by the settings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from steelyard.schema.curves import LearningCurve
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item
from steelyard.workspace import Workspace
from steelyard.workspace.curves import SHARES, Curves, nested_draw
from steelyard.workspace.parts import Parts
from steelyard.workspace.training import Training
from workspace.tiny import replace_in, steelyard, weigh

TRIALS = sum(draws for _, draws in SHARES)


def curves(folder: Path) -> Curves:
    workspace = Workspace(folder)
    return Curves(Parts(folder, workspace.settings, workspace.state))


def test_draws_are_nested_and_spread_over_labels() -> None:
    rows = [Item(id=str(at), task="classify", text="t", label="a" if at % 4 else "b", row=at) for at in range(80)]

    small, large = ({row.id for row in nested_draw(rows, share, 3)} for share in (0.25, 0.5))

    assert small < large
    assert sum(row.label == "b" for row in nested_draw(rows, 0.25, 3)) == 5  # a quarter of 20
    assert {row.id for row in nested_draw(rows, 0.25, 4)} != small
    assert len(nested_draw(rows, 1.0, 3)) == 80


def test_nothing_is_learned_from_or_scored_on_but_train_and_validation(
    tool_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = curves(tool_library)._parts.examples.split("intent")
    learned: set[str] = set()
    scored: set[str] = set()
    trial = Training.trial

    def watched(self, component, candidate, train, held, rows):  # type: ignore[no-untyped-def]
        learned.update(item.id for item in (*train, *held))
        scored.update(item.id for item in rows)
        return trial(self, component, candidate, train, held, rows)

    monkeypatch.setattr(Training, "trial", watched)
    curve = curves(tool_library).curve("intent/knn")

    assert learned == {item.id for item in split.train}
    assert scored == {item.id for item in split.validation}
    assert [(point.share, point.draws) for point in curve.points] == list(SHARES)
    assert curve.points[-1].rows == len(split.train)


def test_a_stopped_curve_goes_on_and_a_finished_one_is_not_measured_again(
    tool_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = curves(tool_library).curve("intent/knn")
    kept = sorted((tool_library / ".steelyard" / "curves" / "intent" / "knn").glob("*.json"))
    assert len(kept) == TRIALS
    for path in kept[:2]:
        path.unlink()
    shutil.copy(kept[2], kept[2].with_suffix(".new"))  # what a crash leaves beside a file
    calls: list[str] = []
    trial = Training.trial
    monkeypatch.setattr(Training, "trial", lambda *args: (calls.append(args[2]), trial(*args))[1])

    again = curves(tool_library).curve("intent/knn")

    assert len(calls) == 2
    assert again == first
    assert LearningCurve.from_json(json.loads(json.dumps(first.to_json()))) == first
    assert [(one.kind, one.version) for one in Workspace(tool_library).ledger("intent/knn")] == [("curve", None)] * 2


def test_forecasts_are_priced_by_the_settings(tool_library: Path) -> None:
    replace_in(tool_library / "steelyard.toml", "[models]", "[economics]\nlabel_usd = 2\nhorizon_months = 1\n[models]")

    (forecast,) = curves(tool_library).curve("intent/knn", [50]).forecasts

    queries = Workspace(tool_library).settings.traffic.queries_per_month
    assert forecast.cost_usd == 100  # 50 rows at 2 USD
    assert forecast.value_usd.mean == pytest.approx(forecast.gain.mean * queries * 0.5)  # half a USD for a wrong answer
    assert forecast.verdict in ("worth it", "not worth it", "cannot tell")
    dear = "label_usd = 2000000\nhorizon_months = 1"
    replace_in(tool_library / "steelyard.toml", "label_usd = 2\nhorizon_months = 1", dear)
    assert curves(tool_library).curve("intent/knn", [50]).forecasts[0].verdict == "not worth it"


def test_too_few_rows_are_told(tool_library: Path) -> None:
    messages = tool_library / "messages.csv"
    lines = messages.read_text(encoding="utf-8").splitlines()
    messages.write_text("\n".join([lines[0], *lines[1::4]]) + "\n", encoding="utf-8")

    with pytest.raises(UserError, match="too few for a learning curve"):
        curves(tool_library).curve("intent/knn")


@pytest.mark.slow
def test_the_command_shows_the_curve_and_the_report_has_it(weighed: Path) -> None:
    done = steelyard("-w", str(weighed), "data", "curve", "intent/linear", "--labels", "100", COLUMNS="80")
    found = json.loads(steelyard("-w", str(weighed), "data", "curve", "intent/linear", "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert "100 more labels" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert (weighed / "curve-intent-linear.svg").read_text(encoding="utf-8").startswith("<svg")
    assert found["files"] == {"chart": "curve-intent-linear.svg"}
    assert len(found["points"]) == len(SHARES)
    report = weigh(weighed)
    shown = {component.name: component.learning for component in report.components}
    assert shown["intent"] is not None
    assert shown["answer"] is None
    Workspace(weighed).weigh()
    assert "More labels" in (weighed / "report.html").read_text(encoding="utf-8")
