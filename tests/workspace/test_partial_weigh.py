"""Weighing one component leaves the record of the whole alone."""

from __future__ import annotations

from pathlib import Path

from steelyard.workspace import Workspace


def test_weighing_one_component_writes_its_own_files_and_keeps_the_whole_record(weighed: Path) -> None:
    before = (weighed / "decision.json").read_bytes()

    report = Workspace(weighed).weigh(["intent"])

    assert dict(report.files) == {
        "report": "report-intent.html",
        "record": "decision-intent.md",
        "json": "decision-intent.json",
    }
    assert all((weighed / name).is_file() for name in report.files.values())
    assert (weighed / "decision.json").read_bytes() == before
    assert set(Workspace(weighed).status()["components"]) == {"intent", "answer", "reply"}
