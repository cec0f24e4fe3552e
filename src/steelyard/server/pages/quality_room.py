"""The room *Quality*: retrieval by generation, what is watched, slices, and what the alerts say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steelyard.decision.charts import quality_axis
from steelyard.schema.errors import NotFoundError
from steelyard.schema.quality import GenerationQuality
from steelyard.schema.statistics import Interval
from steelyard.schema.weighing import WeighReport
from steelyard.server.pages.trend_chart import Measured, trend_charts
from steelyard.workspace.moving import read_decision

if TYPE_CHECKING:
    from steelyard.workspace import Workspace

SHOWN_GENERATIONS = 24
LEAST_SLICE = 5
"""Sealed rows that a slice needs before its share says anything."""

SHOWN_SLICES = 10


def context(workspace: Workspace) -> dict[str, Any]:
    """What the template shows."""
    status = workspace.status()
    kept = [GenerationQuality(**row) for row in status["quality"]]
    report = _report(workspace)
    by_component: dict[str, list[GenerationQuality]] = defaultdict(list)
    for one in kept:
        by_component[one.component].append(one)
    return {
        "trends": {name: _trend(rows[-SHOWN_GENERATIONS:]) for name, rows in by_component.items()},
        "measured": _measured(report),
        "slices": _slices(workspace, report),
        "watched": workspace.watched(),
        "report": report,
    }


def _trend(rows: Sequence[GenerationQuality]) -> dict[str, Any]:
    recall = [
        Measured(
            x=one.generation,
            label=f"{one.generation}",
            mean=one.recall_at_5,
            low=one.recall_low,
            high=one.recall_high,
        )
        for one in rows
    ]
    last = rows[-1]
    return {"rows": list(reversed(rows)), "charts": trend_charts(recall, "generation"), "last": last}


def _measured(report: WeighReport | None) -> list[dict[str, Any]]:
    """Every figure of each recommended candidate, as it was measured on the sealed rows."""
    found = []
    for component in report.components if report else ():
        chosen = next((one for one in component.candidates if one.name == component.decision.candidate), None)
        if chosen is not None and chosen.metrics:
            metrics = {name: one for name, one in chosen.metrics.items() if one.n}
            axis = quality_axis([one for one in metrics.values() if 0 <= one.mean <= 1])
            found.append({"component": component, "chosen": chosen, "metrics": metrics, "axis": axis})
    return found


def _slices(workspace: Workspace, report: WeighReport | None) -> dict[str, list[tuple[str, Interval]]]:
    """Per classify component: the labels that its recommended candidate gets wrong most often, on the sealed rows."""
    import json

    from steelyard.schema.runs import RunRecord

    found: dict[str, list[tuple[str, Interval]]] = {}
    for component in report.components if report else ():
        chosen = next((one for one in component.candidates if one.name == component.decision.candidate), None)
        if component.task != "classify" or chosen is None or chosen.run_key is None:
            continue
        try:
            raw = (workspace.state.runs / f"{chosen.run_key}.json").read_text(encoding="utf-8")
            run = RunRecord.from_json(json.loads(raw))
        except (FileNotFoundError, ValueError):
            continue
        by_label: dict[str, list[float]] = defaultdict(list)
        for item in run.items:
            by_label[str(item.expected)].append(item.scores.get(run.metric, 0.0))
        rows = [(label, _wilson(scores)) for label, scores in by_label.items() if len(scores) >= LEAST_SLICE]
        found[component.name] = sorted(rows, key=lambda row: row[1].mean)[:SHOWN_SLICES]
    return found


def _wilson(scores: Sequence[float]) -> Interval:
    from steelyard.metrics.statistics import wilson

    share = sum(scores) / len(scores)
    low, high = wilson(share, len(scores))
    return Interval(mean=share, low=low, high=high, n=len(scores))


def _report(workspace: Workspace) -> WeighReport | None:
    try:
        return read_decision(workspace.folder / "decision.json")
    except NotFoundError:
        return None
