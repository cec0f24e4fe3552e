from dataclasses import replace

import pytest

from steelyard.components.copies import distinct
from steelyard.components.retriever import Retriever
from steelyard.models.fake import FakeEncoder
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access, Scope
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

TEXTS = {
    "refund": "A refund reaches the bank within five days.",
    "export": "Exports hold every invoice of the year.",
    "webhook": "A webhook is sent again after a failure.",
    "salary": "Salaries are paid on the last day of the month.",
}


def retriever(passages, **options):
    encoder = FakeEncoder(128)
    store = MemoryStore()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Retriever(store, encoder, 1, **options)


@pytest.fixture
def search():
    rules = {"salary": Access(allow=("staff",))}
    return retriever(
        [passage(name, text, rules.get(name, Access(allow=("everyone",)))) for name, text in TEXTS.items()]
    )


def names(hits):
    return [hit.passage.id for hit in hits]


def test_all_three_ways_find_the_passage(search):
    assert names(search.lexical("when is my refund paid to the bank", Scope(), 1)) == ["refund"]
    assert names(search.dense("refund reaches bank", Scope(), 1)) == ["refund"]
    assert names(search.fused("refund bank", Scope(), 1, 0.5)) == ["refund"]


def test_scope_reaches_every_way(search):
    staff = Scope(groups=frozenset({"staff"}))
    for ask in (search.lexical, search.dense, lambda text, scope, k: search.fused(text, scope, k, 0.5)):
        assert "salary" not in names(ask("salaries paid", Scope(), 9))
        assert names(ask("salaries paid", staff, 9))[0] == "salary"


def test_fused_scores_are_the_formula_over_both_parts(search):
    hits = search.fused("refund for an invoice", Scope(), 9, 0.7)
    top_words = max(dict(hit.parts)["bm25"] for hit in hits)
    top_meaning = max(dict(hit.parts)["dense"] for hit in hits)
    for hit in hits:
        parts = dict(hit.parts)
        expected = 0.7 * max(parts["dense"], 0) / top_meaning + 0.3 * parts["bm25"] / top_words
        assert hit.score == pytest.approx(expected, abs=1e-5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_ends_of_the_weight_are_the_parts_alone(search):
    text, scope = "invoice failure export", Scope()
    assert names(search.fused(text, scope, 9, 0.0)) == names(search.lexical(text, scope, 9))
    assert names(search.fused(text, scope, 2, 1.0)) == names(search.dense(text, scope, 2))


def test_stop_words_alone_still_search_by_meaning(search):
    assert search.lexical("what is the", Scope(), 5) == []
    assert len(search.dense("what is the", Scope(), 5)) == 3


def test_copies_are_returned_once_and_k_is_still_filled():
    copies = [passage(f"copy{number:02d}", "A refund takes five  days.") for number in range(30)]
    others = [passage("a", "A refund takes six days."), passage("b", "A refund is free."), passage("c", "refund")]
    search = retriever([*copies, *others])
    everything = retriever([*copies, *others], collapse=False)
    for ask in (search.lexical, search.dense, lambda text, scope, k: search.fused(text, scope, k, 0.4)):
        found = names(ask("refund takes five days", Scope(), 4))
        assert sorted(found) == ["a", "b", "c", "copy00"]
        assert len(ask("refund takes five days", Scope(), 9)) == 4
    assert len(everything.dense("refund takes five days", Scope(), 9)) == 9


def test_pages_that_differ_in_one_number_are_no_copies():
    hits = [
        Hit(passage=passage("a", "The limit is 40."), score=1.0),
        Hit(passage=passage("b", "The limit is 60."), score=0.9),
    ]
    assert distinct(hits) == hits
    other_title = replace(hits[0], passage=replace(hits[0].passage, title="Plus plan", id="c"))
    assert distinct([hits[0], other_title]) == [hits[0], other_title]


def test_nothing_asked_for_costs_nothing(search):
    with metered() as meter:
        assert search.dense("refund", Scope(), 0) == []
        assert search.fused("refund", Scope(), 0, 0.5) == []
        assert search.lexical("refund", Scope(), 0) == []
    assert meter.calls == 0


def test_every_search_is_metered(search):
    with metered() as meter:
        search.dense("refund please", Scope(), 3)
        search.dense("refund please", Scope(), 3)
    assert meter.usage.encoder_tokens == 4


def test_an_empty_corpus_gives_nothing():
    search = Retriever(MemoryStore(), FakeEncoder(), 1)
    assert search.lexical("refund", Scope(), 5) == []
    assert search.dense("refund", Scope(), 5) == []
    assert search.fused("refund", Scope(), 5, 0.5) == []
