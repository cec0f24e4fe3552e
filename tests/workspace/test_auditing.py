"""The audit: likely label errors with their review file, and nothing done twice."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from steelyard.dataset.label_errors import SUSPECT
from steelyard.schema.findings import Finding
from steelyard.workspace import Workspace
from workspace.tiny import replace_in

REVIEW = "review/intent-labels.csv"


@pytest.fixture
def slipped(tmp_path: Path) -> Path:
    """A workspace of three labels, sixty rows each, where one row has a wrong label."""
    lines = ["text,label"]
    for at in range(60):
        lines.append(f"please extend my loan of item {at} by a week,loan")
        lines.append(f"the drill number {at} is broken and smokes,defect")
        lines.append(f"what are your opening hours on day {at},hours")
    lines[31] = lines[31].replace(",loan", ",hours")
    (tmp_path / "messages.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = '[components.intent]\ntask = "classify"\nexamples = "messages.csv"\n[models]\nencoder = "fake"\n'
    (tmp_path / "steelyard.toml").write_text(settings, encoding="utf-8")
    return tmp_path


def suspicious(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.code == SUSPECT]


def stages(workspace: Path) -> list[str]:
    told: list[str] = []
    Workspace(workspace).check(lambda stage, _done, _total: told.append(stage))
    return told


def test_a_likely_label_error_is_named_with_the_label_it_should_have(slipped: Path) -> None:
    before = (slipped / "messages.csv").read_bytes()

    (found,) = suspicious(Workspace(slipped).check())

    assert (found.severity, found.file, found.row, found.field) == ("warning", "messages.csv", 32, "label")
    assert "write 'loan'" in found.remedy
    assert (slipped / "messages.csv").read_bytes() == before
    with (slipped / REVIEW).open(encoding="utf-8", newline="") as text:
        (line,) = csv.DictReader(text)
    assert (line["row"], line["label"], line["suggested"], line["decision"]) == ("32", "hours", "loan", "")


def test_a_second_check_on_the_same_data_looks_for_nothing_again(slipped: Path) -> None:
    first, again = stages(slipped), stages(slipped)

    assert "audit labels of intent" in first
    assert "audit labels of intent" not in again
    assert Workspace(slipped).check() == Workspace(slipped).check()


@pytest.mark.parametrize("change", ["row", "setting", "review"])
def test_a_change_is_looked_at_again(change: str, slipped: Path) -> None:
    stages(slipped)
    if change == "row":
        replace_in(slipped / "messages.csv", "opening hours on day 7,", "opening hours on day seven,")
    elif change == "setting":
        replace_in(slipped / "steelyard.toml", "[models]", 'out_of_scope_label = "none"\n[models]')
    else:
        (slipped / REVIEW).unlink()

    assert "audit labels of intent" in stages(slipped)
    assert (slipped / REVIEW).is_file()


def test_a_row_that_the_team_keeps_is_not_named_again_and_stays_decided(slipped: Path) -> None:
    Workspace(slipped).check()
    text = (slipped / REVIEW).read_text(encoding="utf-8").rstrip("\n")
    (slipped / REVIEW).write_text(text + "keep\n", encoding="utf-8")

    assert suspicious(Workspace(slipped).check()) == []
    replace_in(slipped / "messages.csv", "opening hours on day 7,", "opening hours on day seven,")
    assert suspicious(Workspace(slipped).check()) == []
    assert (slipped / REVIEW).read_text(encoding="utf-8").endswith("keep\n")


def test_a_mended_label_takes_its_review_line_away(slipped: Path) -> None:
    Workspace(slipped).check()
    replace_in(slipped / "messages.csv", "item 10 by a week,hours", "item 10 by a week,loan")

    assert suspicious(Workspace(slipped).check()) == []
    assert not (slipped / REVIEW).exists()


def test_a_document_that_goes_is_told_although_no_example_changed(tool_library: Path) -> None:
    assert Workspace(tool_library).check() == []
    next((tool_library / "docs").glob("*.md")).rename(tool_library / "elsewhere.md")

    assert "dataset.unknown_source" in {one.code for one in Workspace(tool_library).check()}
