from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.dataset.checks import check_items
from steelyard.dataset.personal import check_personal, masked, personal_hints
from steelyard.schema.items import Item


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail ann.lee+x@mail.example.org now", "mail [e-mail address] now"),
        ("call +49 (0)30 1234 5678 please", "call [phone number] please"),
        ("call 0044 20 7946 0958", "call [phone number]"),
        ("call (415) 555-0132 or 415-555-0132", "call [phone number] or [phone number]"),
        ("my card 4111 1111 1111 1111 fails", "my card [card number] fails"),
        ("to DE89 3704 0044 0532 0130 00, thanks", "to [IBAN], thanks"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("Dear Ms. Okafor, hello", "Dear [name], hello"),
        ("Hello Priya,\nyour order", "Hello [name],\nyour order"),
        ("My name is Ines Berg and I wait", "My name is [name] and I wait"),
        ("Sehr geehrte Frau Schmidt, danke", "Sehr geehrte Frau [name], danke"),
    ],
)
def test_what_looks_personal_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111 1111 1111 1112 of 2026-03-31",  # the check digit is wrong
        "DE89 3704 0044 0532 0130 01",  # as are these
        "ticket 20260331123456, version 1.2.3.4, 12 x 24",
        "Hello {name}, dear team, hi all!",
        "Dear Customer, Hi there. Hello Support,",
        "Error 0x80070057 at 10:30, price 1,299.00 USD",
        "0000 0000 0000 0000",
    ],
)
def test_other_numbers_and_general_greetings_are_left_alone(text: str) -> None:
    assert personal_hints(text) == []


@given(st.text(max_size=200))
def test_hints_are_in_order_apart_and_inside_the_text(text: str) -> None:
    hints = personal_hints(text)
    edges = [edge for hint in hints for edge in (hint.start, hint.end)]
    assert edges == sorted(edges)
    assert all(0 <= hint.start < hint.end <= len(text) for hint in hints)


def test_findings_name_the_row_and_never_show_what_was_found() -> None:
    items = [
        Item(id="1", task="classify", text="I am ann@example.org, where is my card?", label="card", row=2),
        Item(id="2", task="classify", text="I am ann@example.org, where is my card?", label="loan", row=3),
    ]

    found = check_items(items)

    assert [one.row for one in found if one.code == "dataset.personal_data"] == [2, 3]
    assert all(one.severity == "note" for one in found if one.code == "dataset.personal_data")
    assert "dataset.conflicting_labels" in {one.code for one in found}
    assert "ann@example.org" not in " ".join(one.message for one in found)


def test_the_teams_own_number_in_many_answers_is_no_hint() -> None:
    def row(at: int, answer: str) -> Item:
        return Item(id=str(at), task="answer", text=f"question {at}", answers=(answer,), row=at)

    own = [row(at, "Call +44 20 7946 0958 or ask Mr Odum") for at in (1, 2)]

    assert check_personal(own) == []
    assert [one.row for one in check_personal([*own, row(3, "Call +44 20 7946 0111")])] == [3]
