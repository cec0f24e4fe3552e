"""The room *Models*: versions, what released them, what more labels would bring, and who answers now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.decision.learning_chart import learning_sentence
from steelyard.metrics.learning_curve import score_at
from steelyard.schema.curves import LearningCurve
from steelyard.schema.errors import NotFoundError
from steelyard.schema.weighing import CandidateResult, WeighReport
from steelyard.server.pages.scales import short
from steelyard.server.pages.trend_chart import Measured, TrendChart, trend_charts
from steelyard.workspace.moving import read_decision

if TYPE_CHECKING:
    from steelyard.schema.releases import Release
    from steelyard.schema.runs import VersionRecord
    from steelyard.workspace import Workspace

SHOWN_RELEASES = 12
LAW_STEPS = 30


def context(workspace: Workspace) -> dict[str, Any]:
    """What the template shows."""
    report = _report(workspace)
    versions = workspace.versions()
    releases = workspace.releases()
    in_force = releases[0] if releases else None
    aliases: dict[str, list[str]] = {}
    for alias, version in workspace.aliases().items():
        aliases.setdefault(version, []).append(alias.partition("@")[2])
    return {
        "components": {
            name: [_row(one, aliases, report, in_force) for one in reversed(versions) if one.component == name]
            for name in workspace.settings.components
        },
        "tasks": {name: one.task for name, one in workspace.settings.components.items()},
        "releases": releases[:SHOWN_RELEASES],
        "in_force": in_force,
        "states": workspace.status()["components"],
        "curves": {} if report is None else _curves(report),
        "recommended": {one.partition("/")[0]: one for one, names in aliases.items() if "recommended" in names},
    }


def targets_of(form: Mapping[str, str], workspace: Workspace) -> list[str]:
    """The versions that a form chose, as `COMPONENT/CANDIDATE@VERSION`; none: the recommended ones."""
    found = [form.get(f"v-{name}", "") for name in workspace.settings.components]
    return [one for one in found if one]


def earlier_release(workspace: Workspace, number: str) -> tuple[Release, Release]:
    """The release that a form names, and the one in force.

    Raises:
        NotFoundError: there is no such release.
    """
    releases = workspace.releases()
    wanted = next((one for one in releases if str(one.number) == number), None)
    if wanted is None:
        raise NotFoundError("there is no such release.", remedy="Choose one of the list.", code="page.no_release")
    return wanted, releases[0]


def gates_said(gates: Sequence[Mapping[str, Any]]) -> str:
    """How many gates passed: `7 of 7 gates passed`."""
    passed = sum(bool(gate["passed"]) for gate in gates)
    return f"{passed} of {len(gates)} gates passed" if gates else "no gate was needed"


def _row(
    version: VersionRecord, aliases: Mapping[str, list[str]], report: WeighReport | None, in_force: Release | None
) -> dict[str, Any]:
    measured = _measured(version, report)
    answers = in_force is not None and in_force.versions.get(version.component) == (version.candidate, version.version)
    return {
        "version": version,
        "aliases": [one for one in aliases.get(version.name, ()) if one != "production"],
        "answers": answers,
        "measured": measured,
    }


def _measured(version: VersionRecord, report: WeighReport | None) -> CandidateResult | None:
    """What the last decision measured of exactly this version."""
    for component in report.components if report else ():
        if component.name == version.component:
            for one in component.candidates:
                if one.name == version.candidate and one.version == version.version and one.quality is not None:
                    return one
    return None


def _report(workspace: Workspace) -> WeighReport | None:
    try:
        return read_decision(workspace.folder / "decision.json")
    except NotFoundError:
        return None


def _curves(report: WeighReport) -> dict[str, dict[str, Any]]:
    return {
        one.name: {"sentence": learning_sentence(one.learning), "charts": learning_charts(one.learning)}
        for one in report.components
        if one.learning is not None
    }


def learning_charts(curve: LearningCurve) -> dict[str, TrendChart]:
    """Quality by labels: what was measured, the law through it, and what it foretells beyond the labels that there are."""
    points = [
        Measured(x=one.rows, label=short(one.rows), mean=one.score.mean, low=one.score.low, high=one.score.high)
        for one in curve.points
    ]
    last = curve.rows + max((forecast.labels for forecast in curve.forecasts), default=0)
    law = []
    for rows in np.geomspace(points[0].x, max(last, points[-1].x), LAW_STEPS).tolist():
        score = score_at(curve.law, curve.laws, rows)
        law.append(Measured(x=rows, label="", mean=score.mean, low=score.low, high=score.high))
    return trend_charts(points, "labelled rows", law=law, log=True)
