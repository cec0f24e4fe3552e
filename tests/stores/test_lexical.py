import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.schema.scope import Scope
from steelyard.stores.analysis import terms
from steelyard.stores.conformance import ANYONE, WORDS, passage, staged
from steelyard.stores.memory import MemoryStore
from steelyard.stores.postings import Postings


def test_bm25_is_the_formula_by_hand():
    store = MemoryStore()
    store.stage(
        1, staged([passage("a", "refund refund holiday"), passage("b", "invoice"), passage("c", "invoice refund")]), []
    )
    hits = store.lexical("refund", ANYONE, 5, 1)
    # 3 passages, 2 with the term, mean length (3 + 1 + 2) / 3 = 2
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    first = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2))
    second = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 2))
    assert [hit.passage.id for hit in hits] == ["a", "c"]
    assert [hit.score for hit in hits] == pytest.approx([first, second], abs=1e-6)


def test_scores_are_those_of_bm25s_with_the_same_terms():
    import bm25s

    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, size=int(generator.integers(1, 30)))) for _ in range(200)]
    peer = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    peer.index([terms(text) for text in texts], show_progress=False)
    store = MemoryStore()
    store.stage(1, staged([passage(f"{number:03d}", text) for number, text in enumerate(texts)]), [])
    for query in ("refund invoice", "quota quota region", "invoice_total"):
        ours = {int(hit.passage.id): hit.score for hit in store.lexical(query, ANYONE, 200, 1)}
        theirs = peer.get_scores(terms(query))
        for number in range(200):
            assert ours.get(number, 0.0) == pytest.approx(
                2.2 * float(theirs[number]), abs=2e-5
            )  # bm25s leaves out (k1 + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I set max_connections?", ["set", "max_connect", "max", "connect"]),
        ("Crème brûlée", ["creme", "brule"]),
        ("__init__ of the_class", ["__init__", "init", "the_class", "class"]),
        ("what is the", []),
        ("4.5 GB", ["4.5", "4", "5", "gb"]),
        ("3.10.2, not 3.1.", ["3.10.2", "3", "10", "2", "3.1", "3", "1"]),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


@given(st.text(max_size=300))
def test_any_text_has_terms_without_spaces_and_case_does_not_matter(text):
    found = terms(text)
    assert all(term and not term.isspace() for term in found)
    assert terms(" ".join(found)) is not None
    assert terms(f"  {text}\n") == found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=12), st.integers(0, 12))
def test_growing_and_cutting_the_index_equals_building_it_at_once(texts, cut):
    whole = Postings().extended(texts)
    grown = Postings().extended(texts[:cut]).extended(texts[cut:])
    again = whole.first(cut).extended(texts[cut:])
    for other in (grown, again):
        assert other.lengths.tolist() == whole.lengths.tolist()
        assert entries(other) == entries(whole)


def entries(postings):
    found = {}
    for term, number in postings.vocabulary.items():
        part = slice(postings.starts[number], postings.starts[number + 1])
        found[term] = list(zip(postings.rows[part].tolist(), postings.counts[part].tolist(), strict=True))
    return {term: pairs for term, pairs in found.items() if pairs}


def test_an_unknown_asker_sees_scores_of_the_public_part_only():
    store = MemoryStore()
    from steelyard.schema.scope import Access

    public = [passage("a", "refund policy"), passage("b", "holiday")]
    store.stage(1, staged(public), [])
    before = store.lexical("refund", Scope(), 5, 1)
    store.stage(1, staged([*public, passage("c", "refund refund refund", Access(allow=("staff",)))]), [])
    assert store.lexical("refund", Scope(), 5, 1) == before
