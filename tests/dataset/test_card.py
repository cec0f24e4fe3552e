from __future__ import annotations

from dataclasses import replace

import pytest
from distinct_words import distinct_texts

from steelyard.dataset.card import data_card
from steelyard.dataset.languages import UNKNOWN, guess_language
from steelyard.dataset.split import split_items
from steelyard.schema.datasets import DatasetVersion
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item

VERSION = DatasetVersion(
    component="intent",
    number=2,
    dataset="ab" * 32,
    current="ab" * 32,
    parent=1,
    created="2026-01-02T03:04:05+00:00",
    who="ann",
    note="mended | labels",
    files={"m.csv": "cd" * 32},
    rows=30,
    named={"train": 0, "validation": 0, "holdout": 3},
    shares={"train": 0.5, "validation": 0.2, "holdout": 0.3},
    seed=7,
)


def rows() -> list[Item]:
    items = [
        Item(id=str(at), task="classify", text=text, label="a|b" if at < 20 else "c", row=at + 2)
        for at, text in enumerate(distinct_texts(30))
    ]
    return [replace(item, split="holdout") if at < 3 else item for at, item in enumerate(items)]


def finding(code: str, severity: str = "warning") -> Finding:
    return Finding(code=code, severity=severity, message="m", remedy="r")  # type: ignore[arg-type]


def test_a_card_says_where_from_how_much_and_what_is_wrong_and_is_the_same_each_time() -> None:
    items = rows()
    findings = [
        finding("dataset.duplicate"),
        finding("dataset.personal_data", "note"),
        finding("dataset.likely_label_error"),
    ]
    cards = [
        data_card(VERSION, items, split_items(items), findings, origin="tickets of 2025", licence="internal")
        for _ in range(2)
    ]

    card = cards[0]
    assert cards[1] == card
    for part in (
        "# Data card: intent@2",
        "2, after version 1",
        "2026-01-02T03:04:05+00:00 by ann",
        "tickets of 2025",
        "internal",
    ):
        assert part in card
    assert "mended \\| labels" in card
    assert "| a\\|b | 20 |" in card
    assert "3 rows name their part in the file" in card
    repeats, issues = card.split("## Repeats and personal data")[1].split("## Known issues")
    assert "`dataset.duplicate` | warning | 1" in repeats
    assert "`dataset.personal_data` | note | 1" in repeats
    assert "`dataset.likely_label_error` | warning | 1" in issues
    assert all(item.text not in card for item in items)


def test_what_nobody_stated_is_said_to_be_missing() -> None:
    items = rows()
    card = data_card(VERSION, items, split_items(items), [])
    assert card.count("not stated") == 2
    assert card.count("None found by `steelyard check`.") == 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my card and how do I get a new one?", "English"),
        ("Wo ist meine Karte und wie bekomme ich eine neue?", "German"),
        ("Où est ma carte et comment je fais pour une nouvelle ?", "French"),
        ("¿Dónde está mi tarjeta y cómo la puedo cambiar?", "Spanish"),
        ("カードはどこですか", "Japanese"),
        ("我的卡在哪里", "Chinese"),
        ("Где моя карта?", "Cyrillic script"),
        ("내 카드가 어디에 있나요", "Korean"),
        ("E12", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_languages_are_guessed_from_scripts_and_frequent_words(text: str, language: str) -> None:
    assert guess_language(text) == language
