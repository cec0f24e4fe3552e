"""Indexes put together a run of terms at a time are the index of all their rows."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steelyard.stores import postings
from steelyard.stores.postings import Merging, Postings, merged

TEXTS = st.lists(st.text(alphabet="abcé𝒳 ", max_size=12), max_size=6)


def same(one: Postings, other: Postings) -> bool:
    """Whether two indexes hold the same."""
    arrays = ((one.starts, other.starts), (one.rows, other.rows), (one.counts, other.counts))
    return (
        list(one.vocabulary) == list(other.vocabulary)
        and all(np.array_equal(left, right) for left, right in arrays)
        and np.array_equal(one.lengths, other.lengths)
    )


def out_of_order(one: Postings) -> Postings:
    """The index as it was written long ago: its terms in a dictionary, in the order in which they were met."""
    names = list(one.vocabulary)
    order = np.random.default_rng(len(names)).permutation(len(names))
    sizes = np.diff(one.starts)[order]
    entries = [np.arange(one.starts[at], one.starts[at + 1]) for at in order]
    picked = np.concatenate(entries) if entries else np.zeros(0, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    vocabulary = {names[at]: number for number, at in enumerate(order.tolist())}
    return Postings(vocabulary, starts, one.rows[picked], one.counts[picked], one.lengths)


@given(parts=st.lists(TEXTS, max_size=5), run=st.integers(1, 9))
def test_parts_put_together_are_the_index_of_all_their_rows(parts: list[list[str]], run: int) -> None:
    whole = Postings.of([text for part in parts for text in part])
    with patch.object(postings, "MERGED_ENTRIES", run):
        assert same(merged([Postings.of(part) for part in parts]), whole)
        assert same(merged([out_of_order(Postings.of(part)) for part in parts]), whole)


def test_no_piece_is_larger_than_a_run_or_a_term() -> None:
    texts = [f"word{number % 50} common" for number in range(400)]
    with patch.object(postings, "MERGED_ENTRIES", 64):
        sizes = [len(piece) for piece in Merging([Postings.of(texts[:300]), Postings.of(texts[300:])]).rows()]
    assert sum(sizes) == 800
    assert sorted(sizes)[-1] == 400  # a term that every row holds
    assert sorted(sizes)[-2] <= 64
