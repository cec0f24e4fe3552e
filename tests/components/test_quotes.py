from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.quotes import LONGEST_QUOTE, Quote, completed, in_words, resolves, spans_of
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Access


def passage(text, start=0):
    return Passage(
        id=f"a.md@v:{start}-{start + len(text)}",
        document="a.md",
        version="v",
        title="Prices",
        start=start,
        end=start + len(text),
        text=text,
        heading=("Prices",),
        page=2,
        access=Access(allow=("everyone",)),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


def quoted(text):
    return [text[span.start : span.end] for span in spans_of(text)]


def kinds(text):
    return [span.kind for span in spans_of(text)]


def test_prose_is_quoted_by_sentence_and_abbreviations_do_not_end_one():
    text = "Refunds take five days, e.g. from Monday to Friday. Mrs. Oake signs them! The fee is 3.50 USD a month."
    assert quoted(text) == [
        "Refunds take five days, e.g. from Monday to Friday.",
        "Mrs. Oake signs them!",
        "The fee is 3.50 USD a month.",
    ]


def test_a_short_yes_is_quoted_with_what_follows():
    assert quoted("Yes, you can. Open Settings and choose Export.")[0].startswith("Yes, you can. Open Settings")


def test_lines_broken_by_a_margin_stay_one_sentence():
    text = "The parcel leaves the\ndepot within two\nworking days. It is insured."
    assert quoted(text)[0] == "The parcel leaves the\ndepot within two\nworking days."


def test_a_table_row_is_one_quote_and_reads_with_its_column_names():
    text = "Plan | Price a month | Logins\nSolo | 12 USD | 1\nStudio | 34 USD | 5"
    header, solo, studio = spans_of(text)
    assert (header.kind, solo.kind) == ("label", "row")
    assert text[studio.start : studio.end] == "Studio | 34 USD | 5"
    assert in_words(text, studio) == "Plan: Studio; Price a month: 34 USD; Logins: 5"


def test_an_empty_first_header_cell_names_nothing():
    text = "| Solo | Studio\nPrice a month | 12 USD | 34 USD"
    text = text.replace("| Solo", " | Solo", 1)
    assert in_words(text, spans_of(text)[1]) == "Price a month; Solo: 12 USD; Studio: 34 USD"


def test_a_table_cut_before_its_first_row_takes_no_row_for_a_header():
    assert kinds("Solo | 12 USD\nStudio | 34 USD") == ["row", "row"]


def test_columns_set_apart_by_spaces_are_a_table():
    text = "name        required   text\nemail       optional   up to 80 characters"
    assert kinds(text) == ["label", "row"]
    assert in_words(text, spans_of(text)[1]) == "name: email; required: optional; text: up to 80 characters"


def test_a_term_leads_the_definition_below_it_until_the_next_term():
    text = "max_wait (integer)\n\nHow long to wait. The default is 8MB.\n\nmin_wait (integer)\n\nThe default is 1MB."
    spans = spans_of(text)
    leads = {text[span.start : span.end]: span.lead for span in spans}
    assert leads["The default is 8MB."] == "max_wait (integer)"
    assert leads["The default is 1MB."] == "min_wait (integer)"
    assert spans[0].kind == "label"


def test_a_question_leads_its_answer():
    text = "How do I cancel?\nSettings > Plan > Cancel. No notice period and no fee either."
    spans = spans_of(text)
    assert spans[0].kind == "label"
    assert {span.lead for span in spans[1:]} == {"How do I cancel?"}


def test_front_matter_is_quoted_line_by_line():
    text = "title: Known issues\nowner: Wendy Osei\nreviewed: 2024-10-21"
    assert quoted(text) == text.split("\n")
    assert set(kinds(text)) == {"line"}


def test_list_items_carry_what_introduces_the_list():
    text = "You need:\n\n- a laptop\n- a charger\n  with its cable\n\nNothing else is needed."
    spans = spans_of(text)
    assert quoted(text)[1:3] == ["- a laptop", "- a charger\n  with its cable"]
    assert spans[1].lead == "You need:"
    assert spans[3].lead == ""


def test_short_code_is_one_quote():
    assert quoted('curl -u :KEY \\\n  "https://api.example/v1"') == ['curl -u :KEY \\\n  "https://api.example/v1"']


def test_a_label_is_completed_with_what_it_introduces():
    text = "You need:\n\n- a laptop\n- a charger\n\nNothing else is needed."
    spans = spans_of(text)
    hit = Hit(passage=passage(text), score=1.0)
    whole = completed(Quote(hit=hit, hit_rank=0, span=spans[0]), spans)
    assert whole.text.startswith("You need:\n\n- a laptop\n- a charger")
    item = Quote(hit=hit, hit_rank=0, span=spans[1])
    assert completed(item, spans) == item


def test_citation_offsets_are_those_of_the_stored_version():
    stored = "Some words before. " + "The fee is 5 USD. It is due in May."
    found = passage(stored[19:], start=19)
    span = spans_of(found.text)[0]
    citation = Quote(hit=Hit(passage=found, score=1.0), hit_rank=0, span=span).citation()
    assert stored[citation.start : citation.end] == citation.quote
    assert (citation.page, citation.heading) == (2, ("Prices",))
    assert resolves(found, citation)
    assert not resolves(passage("Other words, quite other ones, and then some."), citation)


PIECES = st.lists(
    st.sampled_from(
        [
            "The fee is 5 USD. ",
            "\n",
            "\n\n",
            "- an item",
            "a | b",
            " | ",
            "key: value\n",
            "  ",
            "What? ",
            "x" * 90 + " ",
            "é",
            "1. ",
            "```\n",
        ]
    ),
    max_size=40,
).map("".join)


@given(st.one_of(st.text(max_size=300), PIECES))
def test_every_letter_is_in_one_span_and_none_is_too_long(text):
    spans = spans_of(text)
    covered = set()
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert span.end - span.start <= LONGEST_QUOTE
        assert not text[span.start].isspace()
        assert not covered & set(range(span.start, span.end))
        covered |= set(range(span.start, span.end))
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert all(at in covered for at, letter in enumerate(text) if letter.isalnum())
