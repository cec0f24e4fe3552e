import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from distinct_words import distinct_texts
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.dataset.duplicates import near_duplicates
from steelyard.dataset.split import dataset_hash, split_items, valid_at
from steelyard.schema.items import Item


def rows(labels: dict[str, int]) -> list[Item]:
    texts = iter(distinct_texts(sum(labels.values())))
    names = [label for label, count in labels.items() for _ in range(count)]
    return [
        Item(id=str(at), task="classify", text=next(texts), label=label, row=at + 2) for at, label in enumerate(names)
    ]


def counts(part) -> dict[str, int]:
    return dict(Counter(item.label for item in part))


def test_shares_hold_for_each_label():
    split = split_items(rows({"a": 50, "b": 20, "c": 10}))
    assert counts(split.train) == {"a": 30, "b": 12, "c": 6}  # 0.6 of 50, 20, 10
    assert counts(split.validation) == {"a": 10, "b": 4, "c": 2}
    assert counts(split.holdout) == {"a": 10, "b": 4, "c": 2}


def test_small_labels_reach_every_part_and_tiny_ones_train_first():
    split = split_items(rows({"big": 40, "three": 3, "two": 2, "one": 1}))
    assert counts(split.train)["three"] == counts(split.validation)["three"] == counts(split.holdout)["three"] == 1
    assert (counts(split.train)["two"], counts(split.holdout)["two"]) == (1, 1)
    assert counts(split.train)["one"] == 1


def test_same_rows_in_any_order_give_the_same_parts_and_name():
    items = rows({"a": 30, "b": 30})
    shuffled = random.Random(1).sample(items, len(items))
    first, second = split_items(items), split_items(shuffled)
    assert first.dataset == second.dataset
    assert {item.id for item in first.holdout} == {item.id for item in second.holdout}
    assert {item.id for item in split_items(items, seed=1).holdout} != {item.id for item in first.holdout}


def test_dataset_hash_follows_content_not_ids_or_rows():
    items = rows({"a": 3})
    assert dataset_hash(items) == dataset_hash([replace(item, id=item.id + "x", row=99) for item in reversed(items)])
    assert dataset_hash(items) != dataset_hash([replace(items[0], label="b"), *items[1:]])


def test_near_duplicates_and_groups_stay_together():
    items = rows({"a": 60, "b": 60})
    twins = [replace(item, id=f"twin-{item.id}", text=item.text.upper() + " !!") for item in items[::3]]
    grouped = [replace(item, group=f"g{at // 4}") for at, item in enumerate(rows({"c": 40}))]
    split = split_items([*items, *twins, *grouped])
    part_of = {item.id: name for name in ("train", "validation", "holdout") for item in getattr(split, name)}
    assert all(part_of[twin.id] == part_of[twin.id.removeprefix("twin-")] for twin in twins)
    by_group = {}
    for name in ("train", "validation", "holdout"):
        for item in getattr(split, name):
            by_group.setdefault(item.group, set()).add(name)
    assert all(len(parts) == 1 for group, parts in by_group.items() if group is not None)


def test_most_rows_keep_their_part_when_rows_are_added():
    items = rows({"a": 110, "b": 110})
    before = {item.id for item in split_items(items[:100] + items[110:210]).train}
    after = {item.id for item in split_items(items).train}
    assert len(before & after) >= 0.9 * len(before)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 3), st.data())
def test_every_row_lands_in_exactly_one_part(sizes, seed, data):
    items = rows({f"l{at}": size for at, size in enumerate(sizes)})
    items = [replace(item, group=data.draw(st.sampled_from([None, None, "g1", "g2"]))) for item in items]
    split = split_items(items, seed=seed)
    parts = [*split.train, *split.validation, *split.holdout]
    assert sorted(item.id for item in parts) == sorted(item.id for item in items)
    assert split.train


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_wrong_fractions_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions"):
        split_items(rows({"a": 5}), fractions=fractions)


def test_a_part_of_share_zero_stays_empty():
    split = split_items(rows({"a": 20, "b": 5}), fractions=(0.8, 0.2, 0.0))
    assert split.holdout == ()
    assert len(split.train) == 20


def test_valid_at_keeps_rows_in_force_including_the_first_instant():
    day = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    base = Item(id="x", task="answer", text="q")
    old = replace(base, id="old", valid_to=day[1])
    new = replace(base, id="new", valid_from=day[1])
    assert [item.id for item in valid_at([base, old, new], day[0])] == ["x", "old"]
    assert [item.id for item in valid_at([base, old, new], day[1])] == ["x", "new"]


def test_near_duplicates_finds_what_exhaustive_comparison_finds():
    rng = random.Random(3)
    texts = distinct_texts(120)
    texts += [" ".join(rng.sample(text.split(), len(text.split()))) for text in texts[:30]]
    texts += [text + rng.choice([" please", "s", " now ok"]) for text in texts[:60]]
    found = {(pair.first, pair.second): pair.similarity for pair in near_duplicates(texts, 0.7)}

    def grams(text):
        padded = f" {text} "
        return {padded[at : at + 4] for at in range(len(padded) - 3)}

    sets = [grams(text) for text in texts]
    expected = {}
    for a in range(len(texts)):
        for b in range(a + 1, len(texts)):
            similarity = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
            if similarity >= 0.7:
                expected[a, b] = similarity
    assert found == pytest.approx(expected)


def test_equal_texts_are_linked_to_the_first_only():
    pairs = near_duplicates(["Same text here", "same TEXT here!", "other words entirely", "Same text here"])
    assert [(pair.first, pair.second, pair.similarity) for pair in pairs] == [(0, 1, 1.0), (0, 3, 1.0)]


def test_degenerate_texts_do_not_crash():
    assert near_duplicates([]) == []
    assert near_duplicates(["a"]) == []
    assert [(pair.first, pair.second) for pair in near_duplicates(["", "?!", "a", "日本語のテキスト"])] == [(0, 1)]


@pytest.mark.slow
def test_among_twenty_thousand_rows_the_planted_pairs_are_found_and_no_others():
    texts = distinct_texts(20_000)
    copies = {at: at + 10_000 for at in range(0, 10_000, 1_000)}
    for first, second in copies.items():
        texts[second] = texts[first].upper() + "!"
    assert {(pair.first, pair.second) for pair in near_duplicates(texts)} == set(copies.items())
