from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from steelyard.dataset.checks import check_items
from steelyard.dataset.contradictions import contradictory_answers, misfitting_slots
from steelyard.schema.items import Item

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
FIRST = Item(id="1", task="answer", text="What does Solo cost?", answers=("12 USD",), row=2)


@pytest.mark.parametrize(
    ("change", "contradicts"),
    [
        ({"answers": ("14 USD",)}, True),
        ({"answers": (), "answerable": False}, True),
        ({"answers": ("14 USD",), "text": "what does SOLO cost"}, True),
        ({"answers": ("12 USD a month", "twelve")}, False),
        ({"answers": ("14 USD",), "groups": frozenset({"staff"})}, False),
        ({"answers": ("14 USD",), "text": "What does Duo cost?"}, False),
    ],
)
def test_one_question_has_one_answer_for_one_asker(change: dict, contradicts: bool) -> None:
    found = contradictory_answers([FIRST, replace(FIRST, id="2", row=3, **change)])

    assert [(one.row, "row 2" in one.message) for one in found] == ([(3, True)] if contradicts else [])


def test_an_answer_may_change_with_time_and_not_overlap() -> None:
    until = replace(FIRST, valid_to=JULY)

    assert contradictory_answers([until, replace(FIRST, row=3, answers=("14 USD",), valid_from=JULY)]) == []
    assert len(contradictory_answers([until, replace(FIRST, row=3, answers=("14 USD",), valid_from=JUNE)])) == 1


def test_a_contradiction_is_not_called_a_duplicate_as_well() -> None:
    codes = [one.code for one in check_items([FIRST, replace(FIRST, id="2", row=3, answers=("14 USD",))])]

    assert codes == ["dataset.contradictory_answers"]


def test_slots_that_fit_nowhere_are_found_once() -> None:
    rows = [
        Item(
            id="1", task="write", text="a", output="Hello {name}, {team}", slots={"name": "Ines", "city": "Bonn"}, row=2
        ),
        Item(id="2", task="write", text="b", output="Hello Priya, bye {team}", slots={"name": "Priya"}, row=3),
        Item(id="3", task="write", text="c", output="Hello {name}", slots={"name": "Li", "city": "Ulm"}, row=4),
    ]

    found = {(one.code, one.row) for one in misfitting_slots(rows)}

    assert found == {
        ("dataset.slot_never_used", 2),  # city
        ("dataset.slot_without_value", 2),  # team
        ("dataset.slot_written_out", 3),  # Priya
    }
