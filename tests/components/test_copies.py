from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.copies import OWN_WORDS, content, distinct, newer_first
from steelyard.components.quotes import Quote, spans_of
from steelyard.components.retriever import Retriever
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access, Scope
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

BOILERPLATE = (
    "Write to the support desk when something is missing. Tell us the invoice, the day and the amount, and we look into "
    "it within one working day. Do not send card numbers by mail. Calls are recorded so that we can check what was said."
)
STAFF, ALL = Access(allow=("staff",)), Access(allow=("everyone",))


def made(name, text, *, access=ALL, **changes):
    return replace(passage(name, text, access), **changes)


def search(passages, **options):
    encoder, store = FakeEncoder(128), MemoryStore()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Retriever(store, encoder, 1, **options)


def ways(retriever):
    return (retriever.lexical, retriever.dense, lambda text, scope, k: retriever.fused(text, scope, k, 0.5))


def ids(hits):
    return [hit.passage.id for hit in hits]


def test_a_passage_in_other_marks_is_the_same():
    plain = made("a", "Plan | Price\nStudio | 34 USD\n- “Pro” \N{EN DASH} ask us")
    marked = made("b", '| plan | price |\n| Studio | 34 USD |\n* "Pro" - ask us', title=plain.title)
    assert content(plain) == content(marked)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The limit is 40.", "The limit is 60."),
        ("The limit is 1.5 GB.", "The limit is 15 GB."),
        ("Change it by -5.", "Change it by 5."),
        ("Refunds are possible.", "Refunds are not possible."),
        ("Keep it when a < b.", "Keep it when a > b."),
        ("Use C++ here.", "Use C here."),
    ],
)
def test_one_number_sign_or_word_makes_another_passage(one, other):
    long = " ".join([BOILERPLATE, "{}", BOILERPLATE])
    for frame in ("{}", long):
        assert content(made("a", frame.format(one))) != content(made("b", frame.format(other)))


def test_a_short_text_means_what_its_title_makes_of_it_and_a_long_one_speaks_for_itself():
    assert len(BOILERPLATE) >= OWN_WORDS
    for text, same in (("The limit is 40.", False), (BOILERPLATE, True)):
        plus, studio = made("a", text, title="Plus", heading=("Plus",)), made("b", text, title="Studio")
        assert (content(plus) == content(studio)) is same


def test_the_best_copy_stays_and_names_the_others_in_order():
    hits = [Hit(passage=made(name, BOILERPLATE, title=name), score=1.0) for name in "cab"]
    other = Hit(passage=made("z", "Something else."), score=0.5)
    kept = distinct([hits[0], other, *hits[1:]])
    assert ids(kept) == ["c", "z"]
    assert [copy.id for copy in kept[0].copies] == ["a", "b"]
    assert kept[1].copies == ()


@given(st.lists(st.sampled_from(["One.", "one", "Two", "*One.*", BOILERPLATE, BOILERPLATE.upper(), "3"]), max_size=12))
def test_collapsing_loses_no_passage_and_keeps_the_order(texts):
    hits = [Hit(passage=made(f"p{at}", text), score=1.0) for at, text in enumerate(texts)]
    kept = distinct(hits)
    assert sorted(ids(kept) + [copy.id for hit in kept for copy in hit.copies]) == sorted(ids(hits))
    assert ids(kept) == [name for name in ids(hits) if name in ids(kept)]
    assert len({content(hit.passage) for hit in kept}) == len(kept)
    assert distinct(kept) == kept


def test_boilerplate_under_many_titles_leaves_room_for_what_differs():
    copies = [made(f"copy{at:02d}", BOILERPLATE, title=f"Page {at}") for at in range(40)]
    others = [made(f"o{at}", f"The support desk keeps the invoice of day {at}.") for at in range(4)]
    for way in ways(search([*copies, *others])):
        hits = way("support desk invoice day amount", Scope(), 5)
        assert len(hits) == 5
        assert sum(name.startswith("copy") for name in ids(hits)) == 1


def test_of_two_copies_the_one_the_asker_may_see_survives_and_the_other_is_not_named():
    hidden, shown = made("a", BOILERPLATE, access=STAFF), made("b", BOILERPLATE)
    for way in ways(search([hidden, shown, made("c", "Invoice days.")])):
        [mine] = [hit for hit in way("support desk invoice day", Scope(), 3) if hit.passage.text == BOILERPLATE]
        assert (mine.passage.id, mine.copies) == ("b", ())
        staff = way("support desk invoice day", Scope(groups=frozenset({"staff"})), 3)
        [both] = [hit for hit in staff if hit.passage.text == BOILERPLATE]
        assert [both.passage.id, *(copy.id for copy in both.copies)] == ["a", "b"]


def test_a_citation_names_the_copies_that_have_the_very_words():
    best = made("a", BOILERPLATE, start=100, end=100 + len(BOILERPLATE))
    exact = made("b", f"{BOILERPLATE}", start=7, end=7 + len(BOILERPLATE))
    hit = Hit(passage=best, score=1.0, copies=(exact, made("c", BOILERPLATE.upper())))
    span = spans_of(best.text)[1]
    citation = Quote(hit=hit, hit_rank=0, span=span).citation(at=5)
    assert citation.supports == (5, 5 + len(citation.quote))
    [copy] = citation.copies
    assert (copy.document, copy.quote) == (exact.document, citation.quote)
    assert exact.text[copy.start - 7 : copy.end - 7] == citation.quote
    assert citation.to_json()["copies"][0]["start"] == copy.start


def dated(name, text, year, **changes):
    return made(name, text, valid_from=datetime(year, 1, 1, tzinfo=UTC), **changes)


def test_the_newer_of_two_pages_that_say_nearly_the_same_comes_first_when_asked_for():
    old = dated("old", BOILERPLATE.replace("one working day", "nine working days"), 2023)
    new, far = (
        dated("new", BOILERPLATE, 2025),
        dated("far", "Invoices of the year are kept for nine working days.", 2026),
    )
    question = "support desk looks into it within nine working days"
    plain, fresh = (search([old, new, far], prefer_newer=on) for on in (False, True))
    assert ids(plain.fused(question, Scope(), 3, 0.5)).index("old") < ids(plain.fused(question, Scope(), 3, 0.5)).index(
        "new"
    )
    hits = fresh.fused(question, Scope(), 3, 0.5)
    assert ids(hits).index("new") < ids(hits).index("old")
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_newest_of_equal_copies_answers_when_asked_for():
    hits = distinct(
        [Hit(passage=dated(name, BOILERPLATE, year), score=1.0) for name, year in (("a", 2023), ("b", 2025))]
    )
    [hit] = newer_first(hits)
    assert [hit.passage.id, *(copy.id for copy in hit.copies)] == ["b", "a"]


@given(st.permutations(range(6)))
def test_preferring_the_newer_keeps_every_hit_and_moves_nothing_that_is_alike_to_none(years):
    texts = [
        BOILERPLATE,
        "Parcels leave at noon.",
        BOILERPLATE + " Thanks.",
        "Lamps are sold out.",
        BOILERPLATE[:-5],
        "x",
    ]
    hits = [
        Hit(passage=dated(f"p{at}", text, 2000 + year), score=1.0 - at / 10)
        for at, (text, year) in enumerate(zip(texts, years, strict=True))
    ]
    ordered = newer_first(hits)
    assert sorted(ids(ordered)) == sorted(ids(hits))
    assert [ids(ordered)[at] for at in (1, 3, 5)] == ["p1", "p3", "p5"]
    alike = [ordered[at].passage.valid_from for at in (0, 2, 4)]
    assert alike == sorted(alike, reverse=True)
    assert [hit.score for hit in ordered] == [hit.score for hit in hits]
