from __future__ import annotations

import json

import pytest

from steelyard.decision.report import render_json
from steelyard.schema.errors import FactsError, NotFoundError
from steelyard.schema.weighing_file import weigh_report_from_json
from steelyard.workspace import Workspace


def test_the_decision_moved_to_where_it_stands_is_the_decision(weighed) -> None:
    movable = Workspace(weighed).decision()
    moved = movable.at({})
    for before, after in zip(movable.stored.components, moved.components, strict=True):
        assert after.decision.to_json() == before.decision.to_json()
        assert after.curve == before.curve
        assert [one.name for one in after.candidates if one.quality] == [
            one.name for one in before.candidates if one.quality
        ]
        for one, other in zip(before.candidates, after.candidates, strict=True):
            if one.quality is not None:
                assert {**one.to_json(), "samples": 0} == {**other.to_json(), "samples": 0}


def test_a_moved_number_moves_the_money_and_nothing_that_was_measured(weighed) -> None:
    movable = Workspace(weighed).decision()
    queries = movable.stored.inputs["queries_per_month"]
    moved = movable.at({"queries_per_month": 10 * queries})
    for before, after in zip(movable.stored.components, moved.components, strict=True):
        known = {one.name: one for one in before.candidates if one.quality is not None}
        for one in after.candidates:
            if one.name in known:
                assert one.usd_total > known[one.name].usd_total
                assert one.quality == known[one.name].quality
        assert after.curve is None or after.curve.at == 10 * queries
    assert moved.inputs["queries_per_month"] == 10 * queries
    assert movable.stored.inputs["queries_per_month"] == queries


@pytest.mark.parametrize(("name", "value"), [("queries_per_month", -1), ("horizon_months", 1e9), ("colour", 3)])
def test_what_cannot_be_moved_is_told(weighed, name, value) -> None:
    with pytest.raises(FactsError) as told:
        Workspace(weighed).decision().at({name: value})
    assert told.value.where == name
    assert told.value.remedy


def test_a_decision_file_reads_back_as_it_was_written(weighed) -> None:
    report = Workspace(weighed).weigh()
    raw = json.loads((weighed / "decision.json").read_text())
    assert json.loads(render_json(weigh_report_from_json(raw))) == raw
    assert weigh_report_from_json(raw).components[0].decision.component == report.components[0].name


def test_without_a_decision_the_way_to_one_is_told(tmp_path) -> None:
    (tmp_path / "steelyard.toml").write_text("", encoding="utf-8")
    with pytest.raises(NotFoundError, match="nothing was weighed"):
        Workspace(tmp_path).decision()
    (tmp_path / "decision.json").write_text('{"created": 1}', encoding="utf-8")
    with pytest.raises(NotFoundError, match="cannot be read"):
        Workspace(tmp_path).decision()
