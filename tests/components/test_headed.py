from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.components.headed import AskedAbove
from steelyard.components.quotes import Quote, headings_above, spans_of
from steelyard.components.reader import Reader
from steelyard.corpus.parsing import markdown
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.passages import split
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import DocumentVersion, Hit
from steelyard.schema.scope import Access

NOTES = """# Release notes

## 3.2.0 (2026-04-09)

### Fixes

- Fix lost drafts when two people edit one quote. #812

### Pydantic 2 support

- Upgrade the parser to 0.9.1. #815

## 3.1.4 (2026-03-02)

### Fixes

- Round totals to whole cents in exports. #790
- Keep the sort order of a printed ledger. #788
"""


def version(text, name="docs/notes.md"):
    made = markdown.parse(text.encode(), Limits())
    return DocumentVersion(
        document=name,
        version="a" * 64,
        source="docs",
        media_type="text/markdown",
        title=made.title,
        text=made.text,
        access=Access(allow=("everyone",)),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        headings=made.headings,
        blocks=made.blocks,
    )


def read(question, text=NOTES):
    hits = [Hit(passage=passage, score=1.0) for passage in split(version(text))]
    reading = Reader(FakeEncoder(128)).read(question, hits)
    assert reading is not None
    return reading.best


def above(question, *copies):
    """The quote of the line on totals, with the heading that the question asks for."""
    [own] = split(version(NOTES))
    span = next(span for span in spans_of(own.text) if "Round totals" in own.text[span.start : span.end])
    return AskedAbove.of(question).answered(
        Quote(hit=Hit(passage=own, score=1.0, copies=copies), hit_rank=0, span=span)
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("In which release do exports round totals to whole cents?", "3.1.4 (2026-03-02)"),
        ("Which Ledger version includes #812, lost drafts when two people edit one quote?", "3.2.0 (2026-04-09)"),
        ("What version first keeps the sort order of a printed ledger?", "3.1.4 (2026-03-02)"),
        ("When was the fix of lost drafts of a quote released?", "3.2.0 (2026-04-09)"),
    ],
)
def test_the_release_above_the_line_that_is_asked_about_is_quoted(question, said):
    best = read(question)
    assert best.text == said
    heading, line = best.citations()
    text = version(NOTES).text
    assert text[heading.start : heading.end] == heading.quote == said
    assert text[line.start : line.end] == line.quote
    assert heading.heading == ("Release notes",)
    assert heading.supports == line.supports == (0, len(said))


def test_a_line_that_says_what_is_asked_for_is_quoted_itself():
    assert read("To which version was the parser upgraded?").text == "- Upgrade the parser to 0.9.1. #815"


def test_a_release_that_the_question_names_is_no_answer_to_it():
    assert above("Which version rounds totals?").text == "3.1.4 (2026-03-02)"
    assert above("Which version of totals is rounded in 3.1.4?").heading is None
    assert above("What does 3.1.4 round to whole cents?").heading is None


def test_a_heading_beside_the_line_is_not_above_it():
    [passage] = split(version(NOTES))
    place = passage.text.index("Round totals")
    assert [one.text for one in headings_above(passage, place)] == ["Fixes", "3.1.4 (2026-03-02)", "Release notes"]


def test_a_heading_that_the_passage_begins_below_is_above_its_first_line():
    long = "# Changes\n\n## Changes of 12.0\n\n### Removed: `shake()`\n\n" + "It was slow. " * 90
    passages = split(version(long))
    assert len(passages) > 1
    for passage in passages[1:]:
        found = [one.text for one in headings_above(passage, 0)]
        assert found == ["Removed: shake()", "Changes of 12.0", "Changes"]
    assert read("In which version was shake() removed?", long).text == "Changes of 12.0"


def test_passages_without_headings_are_read_as_before():
    older = [Hit(passage=replace(passage, headings=()), score=1.0) for passage in split(version(NOTES))]
    reading = Reader(FakeEncoder(128)).read("In which release do exports round totals to whole cents?", older)
    assert reading is not None
    assert reading.best.text == "- Round totals to whole cents in exports. #790"
    assert len(reading.best.citations()) == 1


def test_a_copy_is_cited_where_its_own_heading_says_the_same():
    [copy] = split(version(NOTES.replace("notes\n", "notes, for the desk\n"), "docs/copy.md"))
    heading, line = above("Which version rounds totals?", copy).citations()
    for cited in (*heading.copies, *line.copies):
        assert copy.text[cited.start - copy.start : cited.end - copy.start] == cited.quote
    assert [cited.document for cited in (*heading.copies, *line.copies)] == ["docs/copy.md"] * 2


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                "# A",
                "## 1.2.3",
                "## 1.2.4 (2025-01-02)",
                "### Fixes",
                "- mended `x`",
                "It is so. " * 40,
                "#### é 🧾 2.0",
            ]
        ),
        max_size=25,
    )
)
def test_every_heading_of_every_passage_stands_at_its_place_and_holds_what_follows(lines):
    made = version("\n\n".join(lines) or "-")
    levels = {heading.start: heading for heading in made.headings}
    for passage in split(made):
        for heading in passage.headings:
            assert made.text.startswith(heading.text, heading.start)
            assert levels[heading.start] == heading
        for place in range(0, len(passage.text), 37):
            above = headings_above(passage, place)
            open_ = []
            for heading in made.headings:
                if heading.start < passage.start + place:
                    open_ = [one for one in open_ if one.level < heading.level] + [heading]
            assert list(above) == open_[::-1]
