"""The check of generated sentences: what counts as said, where it is cited, and how the threshold is found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.components.grounding import FEWEST_ROWS, USUAL_THRESHOLD, Claim, GroundingCheck, sentences_of
from steelyard.components.quotes import resolves
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage

EVERYONE = Access(allow=("everyone",))
TEXTS = (
    "Returns are free within 30 days. Send the parcel to Leeds. A refund takes two working days.",
    "The Studio plan costs 34 USD a month. It has five logins and 1,200 items.",
    "Opening hours are nine to five. On Sundays the shop is closed.",
)
HITS = [Hit(passage=passage(f"p{at}", text, EVERYONE), score=1.0) for at, text in enumerate(TEXTS)]
CHECK = GroundingCheck(FakeEncoder(256))


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("You can return it for free within 30 days.", 1),
        ("The Studio plan is 34 USD a month.", 2),
        ("The refund takes 2 working days.", 1),  # the passage writes the number as a word
        ("It has 1200 items and 5 logins.", 2),
        ("Studio costs 34 USD a month and has five logins.", 2),  # two sentences of the passage in one
    ],
)
def test_what_a_passage_says_in_other_words_is_supported_and_cited_there(sentence, number) -> None:
    checked = CHECK.check([Claim(text=sentence, cited=(number,))], HITS)
    assert checked.text == sentence
    (citation,) = checked.citations
    assert resolves(HITS[number - 1].passage, citation)
    assert (checked.unsupported, checked.foreign) == ((), ())


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("You can return it for free within 60 days.", 1),  # another figure
        ("The Studio plan is 34 USD a month.", 1),  # another passage
        ("Shipping to France is free for members.", 3),
    ],
)
def test_what_the_named_passage_does_not_say_is_unsupported(sentence, number) -> None:
    checked = CHECK.check([Claim(text=sentence, cited=(number,))], HITS)
    assert (checked.text, checked.citations, checked.unsupported) == ("", (), (sentence,))


def test_a_sentence_that_names_no_passage_is_held_against_all_of_them() -> None:
    checked = CHECK.check([Claim(text="The Studio plan costs 34 USD a month.")], HITS)
    assert [one.document for one in checked.citations] == [HITS[1].passage.document]
    assert checked.attributed == 1


def test_the_threshold_is_found_on_what_is_said_and_what_is_not() -> None:
    said = [("Returns are free within 30 days.", HITS[0]), ("The Studio plan costs 34 USD.", HITS[1])] * FEWEST_ROWS
    not_said = [("The shop sells bread.", HITS[0]), ("The Studio plan costs 95 USD.", HITS[1])] * FEWEST_ROWS
    found = CHECK.calibrated(said, not_said).threshold
    scores = [CHECK.support(text, [hit])[0].score for text, hit in (*said[:2], *not_said[:2])]
    assert max(scores[2:]) < found < min(scores[:2])
    assert CHECK.calibrated(said[:3], not_said[:3]).threshold == USUAL_THRESHOLD


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=80), st.lists(st.integers(-3, 9), max_size=4)), max_size=4))
def test_whatever_a_model_writes_only_given_passages_are_cited_and_every_citation_resolves(written) -> None:
    claims = [Claim(text=text, cited=tuple(cited)) for text, cited in written]
    checked = CHECK.check(claims, HITS)
    assert len(checked.supports) == len(claims)
    for citation in checked.citations:
        assert any(resolves(hit.passage, citation) for hit in HITS)
        start, end = citation.supports
        assert checked.text[start:end] in {claim.text for claim in claims}
    assert set(checked.foreign).isdisjoint({1, 2, 3})
    assert all(0.0 <= score <= 1.0 + 1e-6 for score in checked.supports)


def test_sentences_are_told_apart_and_lists_too() -> None:
    assert sentences_of("It takes five days. Then it ships.") == ("It takes five days.", "Then it ships.")
    assert sentences_of("") == ()
