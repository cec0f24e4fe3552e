"""Terms are looked up where they lie, and files from before they were in order are read as ever."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steelyard.models.fake import FakeEncoder
from steelyard.schema.scope import Scope
from steelyard.stores import segment_files
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.vocabulary import READ_TERMS, Vocabulary

TERM = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.sets(TERM, max_size=40), st.sets(st.text(max_size=8), max_size=20))
def test_a_term_is_found_by_its_place_and_no_other_is(terms, others):
    made = Vocabulary.of(sorted(terms))
    assert list(made) == sorted(terms)
    assert dict(made) == {term: place for place, term in enumerate(sorted(terms))}
    assert {other for other in others if made.get(other) is not None} == others & terms


def test_code_points_and_their_bytes_have_one_order():
    terms = sorted(["z", "é", "\uffff", "\U00010000", "zebra", "Z"])
    assert [Vocabulary.of(terms)[term] for term in terms] == list(range(len(terms)))


def test_going_through_many_terms_takes_them_in_parts():
    terms = [f"{number:07d}" for number in range(2 * READ_TERMS + 3)]
    made = Vocabulary.of(terms)
    assert list(made) == terms
    assert made[terms[-1]] == len(terms) - 1


def staged(*texts: str) -> Staged:
    made = [passage(text, text) for text in texts]
    return Staged(made, FakeEncoder(16).encode(list(texts)))


TEXTS = ("zebra refund quota", "apple zebra", "mango refund refund")


def found(store: LanceStore, generation: int) -> list[tuple[str, float]]:
    return [
        (hit.passage.id, hit.score)
        for word in ("zebra", "refund", "apple", "kiwi", "mango quota")
        for hit in store.lexical(word, Scope(), 5, generation)
    ]


def test_opening_an_index_goes_through_no_terms(tmp_path, monkeypatch):
    LanceStore(tmp_path).stage(1, staged(*TEXTS), [])
    expected = found(LanceStore(tmp_path), 1)
    monkeypatch.delattr(Vocabulary, "__iter__")
    assert found(LanceStore(tmp_path), 1) == expected


def test_a_file_with_terms_in_no_order_answers_the_same_and_is_written_in_order_with_the_next_rows(
    tmp_path, monkeypatch
):
    store = LanceStore(tmp_path)
    store.stage(1, staged(*TEXTS), [])
    expected = found(store, 1)
    [file] = (tmp_path / "segments").iterdir()
    as_format_2(file, monkeypatch)
    older = LanceStore(tmp_path)
    assert found(older, 1) == expected
    assert segment_files.damaged_segments(tmp_path / "segments") == []
    older.stage(2, staged("kiwi refund"), [])
    whole = LanceStore(tmp_path / "whole")
    whole.stage(1, staged(*TEXTS), [])
    whole.stage(2, staged("kiwi refund"), [])
    for reopened in (older, LanceStore(tmp_path)):
        assert found(reopened, 2) == found(whole, 2)
        assert found(reopened, 1) == expected


def as_format_2(file, monkeypatch):
    """Write a segment again as it was written before: the terms as one text, here in reverse order."""
    old = segment_files._mapped(file)
    arrays = {name: np.array(array) for name, array in old.items()}
    terms = list(Vocabulary(arrays.pop("term_offsets"), arrays["terms"]))[::-1]
    starts, slices = arrays["starts"], range(len(terms) - 1, -1, -1)
    for name in ("rows", "counts"):
        arrays[name] = np.concatenate([arrays[name][starts[term] : starts[term + 1]] for term in slices])
    arrays["starts"] = np.concatenate([[0], np.cumsum(np.diff(starts)[::-1])]).astype(np.int64)
    arrays["terms"] = np.frombuffer("\n".join(terms).encode(), dtype=np.uint8)
    del arrays["sha256"]
    kinds = {np.dtype(code): kind for kind, code in segment_files.TYPES.items()}
    written = [segment_files._held(name, kinds[array.dtype], array) for name, array in arrays.items()]
    order = list(segment_files.TYPES)
    with monkeypatch.context() as before:
        before.setattr(segment_files, "FORMAT", 2)
        segment_files._write(file, sorted(written, key=lambda one: order.index(one.type)))
