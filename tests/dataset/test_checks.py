from dataclasses import replace
from datetime import UTC, datetime

import pytest
from distinct_words import distinct_texts

from steelyard.dataset.checks import check_items, check_split
from steelyard.dataset.holdout import Holdout, Seal
from steelyard.dataset.split import split_items
from steelyard.schema.errors import DataError
from steelyard.schema.items import Item, Split


def rows(*labels: str) -> list[Item]:
    texts = distinct_texts(len(labels))
    return [
        Item(id=str(at), task="classify", text=texts[at], label=label, row=at + 2) for at, label in enumerate(labels)
    ]


def found(findings) -> dict[str, list[int | None]]:
    out: dict[str, list[int | None]] = {}
    for finding in findings:
        out.setdefault(finding.code, []).append(finding.row)
    return out


def test_sound_rows_have_no_findings():
    assert check_items(rows(*["a"] * 12, *["b"] * 12)) == []


def test_repeats_and_contradictions_are_named_by_row():
    items = rows(*["a"] * 12, *["b"] * 12)
    items += [
        replace(items[0], row=30),
        replace(items[1], row=31, label="b"),
        replace(items[2], row=32, text=items[2].text + "s"),
    ]
    by_code = found(check_items(items))
    assert by_code == {"dataset.duplicate": [30], "dataset.conflicting_labels": [31], "dataset.near_duplicate": [32]}


def test_same_question_at_another_time_or_for_another_asker_is_no_duplicate():
    old = Item(
        id="1", task="answer", text="How much is the plan?", answers=("5",), valid_to=datetime(2026, 1, 1, tzinfo=UTC)
    )
    new = replace(old, id="2", answers=("6",), valid_from=datetime(2026, 1, 1, tzinfo=UTC), valid_to=None)
    staff = replace(new, id="3", groups=frozenset({"staff"}))
    assert check_items([old, new, staff]) == []


def test_tiny_misspelt_and_unbalanced_labels_are_found():
    items = rows(*["refund"] * 60, *["billing"] * 12, "refnd", "rare", "rare")
    by_code = found(check_items(items))
    assert by_code["dataset.label_typo"] == [74]
    assert by_code["dataset.tiny_class"] == [75]
    assert "dataset.imbalance" in by_code
    assert "dataset.one_label" in found(check_items(rows("a", "a")))


def test_long_lists_are_cut_and_counted():
    items = rows(*["a"] * 40, *["b"] * 40)
    findings = check_items([*items, *(replace(item, row=item.row + 200) for item in items[:50])])
    duplicates = [finding for finding in findings if finding.code == "dataset.duplicate"]
    assert len(duplicates) == 21
    assert duplicates[-1].message.startswith("and 30 more")


def test_split_of_a_dataset_with_near_duplicates_has_no_leak():
    items = rows(*["a"] * 40, *["b"] * 40)
    items += [replace(item, id=f"n{item.id}", text=item.text + "s") for item in items]
    assert "dataset.leak" not in found(check_split(split_items(items)))


def test_a_holdout_row_seen_in_training_is_found_also_when_only_nearly_the_same():
    items = rows(*["a"] * 40)
    split = Split(dataset="d", train=tuple(items[:20]), validation=tuple(items[20:30]), holdout=tuple(items[30:]))
    assert "dataset.leak" not in found(check_split(split))
    extra = [replace(items[35], id="x", row=90), replace(items[36], id="y", row=91, text=items[36].text + "s")]
    leaks = [finding for finding in check_split(split, extra) if finding.code == "dataset.leak"]
    assert [(finding.row, finding.severity) for finding in leaks] == [(37, "error"), (38, "error")]
    inside = replace(split, train=(*split.train, items[31]))
    assert found(check_split(inside))["dataset.leak"] == [33]


def test_labels_the_split_could_not_spread_are_reported():
    items = rows("a", "a", "b", "c")
    split = Split(dataset="d", train=(items[0], items[2]), validation=(), holdout=(items[1], items[3]))
    by_code = found(check_split(split))
    assert by_code == {"dataset.unlearned_label": [None], "dataset.unmeasured_label": [None]}


def test_holdout_is_counted_and_warns_when_reused():
    split = split_items(rows(*["a"] * 10, *["b"] * 10))
    holdout = Holdout(split)
    assert holdout.open("weigh") == split.holdout
    assert (holdout.uses, holdout.findings()) == (1, [])
    holdout.open("weigh again")
    assert [finding.code for finding in holdout.findings()] == ["dataset.holdout_reused"]
    assert Seal.from_json(holdout.seal.to_json()) == holdout.seal


def test_holdout_refuses_to_be_fitted_on_by_id_or_by_text():
    split = split_items(rows(*["a"] * 10, *["b"] * 10))
    holdout = Holdout(split)
    holdout.guard(split.train)
    disguised = replace(split.holdout[0], id="new", text=split.holdout[0].text.upper(), label="b")
    with pytest.raises(DataError, match="sealed holdout") as caught:
        holdout.guard([*split.train, split.holdout[1], disguised])
    assert len(caught.value.findings) == 2
    assert caught.value.code == "dataset.holdout_fitted"
    with pytest.raises(TypeError):
        list(holdout)  # type: ignore[call-overload]


def test_a_seal_of_other_rows_is_refused():
    items = rows(*["a"] * 10, *["b"] * 10)
    seal = Holdout(split_items(items)).seal
    assert Holdout(split_items(items), seal).seal == seal
    with pytest.raises(DataError, match="not the holdout"):
        Holdout(split_items(items, seed=5), seal)
