"""Rows that say which part they belong to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from distinct_words import distinct_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.dataset.checks import check_split
from steelyard.dataset.rows import Kind, scan_items
from steelyard.dataset.split import NAMES, dataset_hash, split_items
from steelyard.schema.items import Item, Split

FIRST: dict[Kind, dict[str, str]] = {
    "classify": {"text": "lost my card", "label": "card"},
    "answer": {"question": "when?", "answers": "now"},
    "write": {"input": "say hello", "output": "Hello"},
    "system": {"message": "hello"},
}


def rows(count: int, *, labels: int = 2) -> list[Item]:
    return [
        Item(id=str(at), task="classify", text=text, label=f"l{at % labels}", row=at + 2)
        for at, text in enumerate(distinct_texts(count))
    ]


def part_of(split: Split) -> dict[str, str]:
    return {item.id: name for name in NAMES for item in getattr(split, name)}


@pytest.mark.parametrize("kind", FIRST)
def test_every_kind_of_row_reads_its_part(kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    said = ["train", "Validation", " holdout ", "", None]
    lines = [FIRST[kind] | {"id": str(at), "split": one} for at, one in enumerate(said)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    found = scan_items(path, kind)

    assert [item.split for item in found.items] == ["train", "validation", "holdout", None, None]
    assert found.findings == ()


@pytest.mark.parametrize(("word", "hint"), [("test", "holdout"), ("dev", "validation"), ("trian", "train")])
def test_a_part_that_does_not_exist_is_named_by_its_row(word: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label,split\none,a,train\ntwo,b,{word}\n", encoding="utf-8")

    (finding,) = scan_items(path, "classify").findings

    assert (finding.code, finding.severity, finding.row, finding.field) == (
        "dataset.unknown_split",
        "error",
        3,
        "split",
    )
    assert finding.remedy.startswith(f"Did you mean '{hint}'?")


def test_a_file_that_names_every_part_is_taken_as_it_is() -> None:
    items = [replace(item, split=NAMES[at % 3]) for at, item in enumerate(rows(60))]

    assert part_of(split_items(items)) == {item.id: item.split for item in items}


def test_a_named_holdout_is_the_whole_holdout_and_the_rest_is_drawn() -> None:
    items = [replace(item, split="holdout") if at < 20 else item for at, item in enumerate(rows(120))]

    split = split_items(items, fractions=(0.6, 0.2, 0.2))

    assert {item.id for item in split.holdout} == {str(at) for at in range(20)}
    assert (len(split.train), len(split.validation)) == (75, 25)  # 0.6 : 0.2 of the other 100


def test_rows_named_for_train_count_towards_its_share() -> None:
    items = [replace(item, split="train") if at < 30 else item for at, item in enumerate(rows(100))]

    split = split_items(items, fractions=(0.6, 0.2, 0.2))

    assert {str(at) for at in range(30)} <= {item.id for item in split.train}
    assert (len(split.train), len(split.validation), len(split.holdout)) == (60, 20, 20)


def test_a_drawn_row_follows_the_named_one_that_it_nearly_repeats() -> None:
    items = rows(60)
    items[0] = replace(items[0], split="validation")
    items[1] = replace(items[1], split="train", group="g")
    items += [replace(items[0], id="twin", text=items[0].text + "s", split=None)]
    items += [replace(items[2], id="mate", text="something else altogether", group="g")]

    parts = part_of(split_items(items))

    assert (parts["twin"], parts["mate"]) == ("validation", "train")


def test_moving_a_row_to_another_part_makes_another_dataset_and_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label,split\none,a,train\ntwo,b,\n", encoding="utf-8")
    before = scan_items(path, "classify").items
    path.write_text("text,label,split\none,a,holdout\ntwo,b,\n", encoding="utf-8")
    after = scan_items(path, "classify").items

    assert [item.id for item in before] == [item.id for item in after]
    assert dataset_hash(before) != dataset_hash(after)
    assert dataset_hash(before[1:]) == dataset_hash([replace(before[1], split=None)])


def test_leaks_between_named_parts_are_found() -> None:
    items = [replace(item, split=NAMES[at % 3]) for at, item in enumerate(rows(60))]
    items += [
        replace(items[0], id="leak", row=90, split="holdout"),
        replace(items[3], id="overlap", row=91, split="validation", text=items[3].text + "s"),
        replace(items[6], id="mate", row=92, split="train", group="g", text="one thing"),
        replace(items[6], id="held", row=93, split="holdout", group="g", text="quite another matter"),
    ]

    found = {one.code: one for one in check_split(split_items(items)) if one.severity != "note"}

    assert {code: (one.severity, one.row) for code, one in found.items()} == {
        "dataset.leak": ("error", 90),
        "dataset.split_overlap": ("warning", 91),
        "dataset.group_split": ("warning", 93),
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([None, None, *NAMES]), min_size=1, max_size=60), st.integers(0, 3))
def test_every_named_row_is_where_it_says_and_no_row_is_lost(parts: list, seed: int) -> None:
    items = [replace(item, split=part) for item, part in zip(rows(len(parts), labels=3), parts, strict=True)]

    found = part_of(split_items(items, seed=seed))

    assert sorted(found) == sorted(item.id for item in items)
    assert all(found[item.id] == item.split for item in items if item.split)
    for name in ("validation", "holdout"):
        if name in parts:
            assert all(found[item.id] != name for item in items if item.split is None)
