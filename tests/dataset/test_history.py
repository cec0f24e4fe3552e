"""Versions of datasets: what was there stays there, and the difference says what changed."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from distinct_words import distinct_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.dataset.content import content_key, content_row, content_text, item_of
from steelyard.dataset.diff import diff_items
from steelyard.dataset.history import DatasetHistory
from steelyard.dataset.split import dataset_hash
from steelyard.schema.errors import NotFoundError, StoreError
from steelyard.schema.items import Item


def rows(count: int = 12) -> list[Item]:
    return [
        Item(id=f"i{at}", task="classify", text=text, label=f"l{at % 3}", row=at + 2)
        for at, text in enumerate(distinct_texts(count))
    ]


def commit(history: DatasetHistory, items: list[Item], component: str = "intent"):
    shares = {"train": 0.5, "validation": 0.2, "holdout": 0.3}
    return history.commit(component, items, items, shares=shares, seed=7, files={"a.csv": "0" * 64}, who="ann")


def test_every_version_can_be_shown_as_it_was(tmp_path: Path) -> None:
    history, first = DatasetHistory(tmp_path / "d.sqlite"), rows()
    second = [replace(first[0], label="l9"), *first[2:], replace(first[1], id="new", text="entirely new words", row=99)]

    one, _ = commit(history, first)
    two, _ = commit(history, second)

    assert history.rows(one) == tuple(first)
    assert history.rows(two) == tuple(second)
    assert [(v.number, v.parent, v.rows) for v in history.versions()] == [(1, None, 12), (2, 1, 12)]
    assert one.dataset == dataset_hash(first)


def test_the_same_rows_in_another_order_make_no_version_and_going_back_makes_one(tmp_path: Path) -> None:
    history, items = DatasetHistory(tmp_path / "d.sqlite"), rows()

    assert commit(history, items)[1]
    assert not commit(history, list(reversed(items)))[1]
    assert commit(history, items[1:])[1]
    back, new = commit(history, items)

    assert (new, back.number, back.parent) == (True, 3, 2)
    assert history.find(back.dataset[:8]) == back  # of equal ones the newest


def test_components_count_for_themselves_and_wrong_names_are_answered(tmp_path: Path) -> None:
    history = DatasetHistory(tmp_path / "d.sqlite")
    assert history.versions() == []
    commit(history, rows(6))
    commit(history, rows(9), "other")

    assert [one.name for one in history.versions()] == ["intent@1", "other@1"]
    with pytest.raises(NotFoundError, match="intent@1"):
        history.find("intnt@1")
    with pytest.raises(NotFoundError, match="no dataset version"):
        history.find("00")


def test_a_row_survives_with_every_field() -> None:
    item = Item(
        id="x",
        task="answer",
        text="Wann? 日本 🎈",
        answers=("a", "b"),
        source="docs/a.md",
        groups=frozenset({"b", "a"}),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        slots=MappingProxyType({"name": "Ann"}),
        output="Hi {name}",
        group="g",
        split="train",
        row=7,
    )

    assert item_of(content_text(item), name="x", row=7) == item
    assert content_row(item)["question"] == item.text
    assert content_key(item) != content_key(replace(item, split=None))


def test_contents_are_stored_once(tmp_path: Path) -> None:
    history, items = DatasetHistory(tmp_path / "d.sqlite"), rows()
    commit(history, items)
    commit(history, [*items[1:], replace(items[0], label="l9")])

    with sqlite3.connect(tmp_path / "d.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM contents").fetchone() == (13,)
        assert database.execute("SELECT COUNT(*) FROM members").fetchone() == (24,)
    database.close()


def test_two_that_commit_at_once_both_succeed(tmp_path: Path) -> None:
    items = rows()
    histories = [DatasetHistory(tmp_path / "d.sqlite") for _ in range(4)]
    threads = [threading.Thread(target=commit, args=(history, items[at:])) for at, history in enumerate(histories)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(one.number for one in histories[0].versions()) == [1, 2, 3, 4]
    assert sorted(one.rows for one in histories[0].versions()) == [9, 10, 11, 12]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        DatasetHistory(tmp_path / "d.sqlite").versions()


def test_a_difference_tells_added_removed_and_changed_by_field() -> None:
    before = rows()
    after = [
        replace(before[0], label="l9"),  # by id
        replace(before[1], id="renamed", label="l8", text=before[1].text.upper()),  # by text
        *before[3:],
        Item(id="new", task="classify", text="entirely new words", label="l0", row=50),
    ]

    found = diff_items(before, after, ("a", "b"))

    assert [item.id for item in found.added] == ["new"]
    assert [item.id for item in found.removed] == ["i2"]
    assert {one.after.id: one.fields for one in found.changed} == {
        "i0": {"label": ("l0", "l9")},
        "renamed": {"text": (before[1].text, before[1].text.upper()), "label": ("l1", "l8")},
    }
    assert found.unchanged == 9
    assert found.to_json()["counts"] == {"added": 1, "removed": 1, "changed": 2, "relabelled": 2, "unchanged": 9}


def test_dated_answers_of_one_question_are_kept_apart() -> None:
    june, july = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    old = Item(id="r1", task="answer", text="how much?", answers=("5",), valid_to=june)
    new = Item(id="r2", task="answer", text="how much?", answers=("6",), valid_from=june, valid_to=july)

    found = diff_items([old, new], [replace(new, id="r3", answers=("7",)), old], ("a", "b"))

    (change,) = found.changed
    assert change.fields == {"answers": (["6"], ["7"])}
    assert found.unchanged == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=12),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=12),
)
def test_a_difference_accounts_for_every_row_once(left: list, right: list) -> None:
    def made(pairs: list) -> list[Item]:
        return [
            Item(id=f"r{text}{label}", task="classify", text=f"t{text}", label=f"l{label}") for text, label in pairs
        ]

    before, after = made(left), made(right)
    found = diff_items(before, after, ("a", "b"))

    kept = found.unchanged + len(found.changed)
    assert len(found.removed) + kept == len(before)
    assert len(found.added) + kept == len(after)
    assert (sorted(left) == sorted(right)) == (not found.added and not found.removed and not found.changed)
