import pytest
from test_headed import NOTES, version

from steelyard.components.headed import AskedAbove, releases_in_heading
from steelyard.components.misplaced import misplaced
from steelyard.components.quotes import Quote, spans_of
from steelyard.corpus.passages import split
from steelyard.schema.corpus import Hit

CYCLES = """---
title: Harrow
releases:
- cycle: "4.10"
  eol: 2028-02-03
  latest: "4.10.2"
- cycle: "4.1"
  eol: 2025-05-09
  latest: "4.1.19"
---
Harrow is a plough.
"""
TABLE = "# Timeline\n\n| Lamp | Stable | Node |\n| --- | --- | --- |\n| 31.0.0 | 2024-06-11 | v20.14 |\n| 3.0.0 | 2018-09-18 | v10.2 |\n"
MANUAL = "# 20.10. Vacuuming\n\nTable 20.2. Modes\n\nThe default of wait_time is 5 seconds.\n"


def quote(question, text, words):
    for passage in split(version(text)):
        for span in spans_of(passage.text, passage.lead):
            if words in passage.text[span.start : span.end]:
                plain = Quote(hit=Hit(passage=passage, score=1.0), hit_rank=0, span=span)
                return AskedAbove.of(question).answered(plain)
    raise AssertionError(f"{words!r} is in no span")


@pytest.mark.parametrize(
    ("question", "text", "words", "wrong"),
    [
        # Entries: 4.1 is asked for, not 4.10, and of Harrow.
        ("What is the end of life of Harrow 4.1?", CYCLES, "2025-05-09", False),
        ("What is the end of life of Harrow 4.1?", CYCLES, "2028-02-03", True),
        ("What is the latest release in the 4.10 cycle of Harrow?", CYCLES, "4.10.2", False),
        ("What is the latest release in the 4.2 cycle of Harrow?", CYCLES, "4.10.2", True),
        ("What is the latest release in the 4.1 cycle of Sickle?", CYCLES, "4.1.19", True),
        ("When does support of it end?", CYCLES, "2025-05-09", False),
        # Rows: 31 is 31.0.0.
        ("When was Lamp 31 stable, and what is the Node of Lamp 31?", TABLE, "v20.14", False),
        ("What is the stable date of Lamp 3?", TABLE, "2018-09-18", False),
        ("What is the stable date of Lamp 3?", TABLE, "2024-06-11", True),
        # Lines below a release's heading.
        ("What was mended in 3.1.4?", NOTES, "Round totals", False),
        ("What was mended in 3.1.4?", NOTES, "Fix lost drafts", True),
        ("How are totals rounded since release 3?", NOTES, "Round totals", False),
        # Headings that are the answer: the line must be the one that is meant.
        ("Which version has #790, whole cents?", NOTES, "Round totals", False),
        ("Which version has #791, whole pence?", NOTES, "Round totals", True),
        # What is no version answers no question for one.
        ("Which version of Harrow is a plough?", CYCLES, "a plough", True),
        ("To which version was the parser upgraded?", NOTES, "Upgrade the parser", False),
        # Nothing around names a release: nothing is known to be wrong.
        ("What is the default of wait_time in Harrow 15?", MANUAL, "The default", False),
        ("What is Harrow 15?", CYCLES, "a plough", False),
    ],
)
def test_a_quote_under_another_release_is_told_from_one_under_the_right_one(question, text, words, wrong):
    assert misplaced(question, quote(question, text, words)) is wrong


def test_the_number_of_a_section_or_a_table_is_no_release():
    for text in ("20.10. Vacuuming", "1.2 Installing", "Table 20.2. Modes", "Chapter 3", "Step 2: save", "Plans"):
        assert releases_in_heading(text) == frozenset()
    for text, named in (
        ("3.1.4 (2026-03-02)", "3.1.4"),
        ("Breaking changes (8.0)", "8.0"),
        ("v2.0.1 - 2024-01-02", "2.0.1"),
        ("[1.0.0]", "1.0.0"),
        ("Release 12", "12"),
        ("3.2 release", "3.2"),
        ("40", "40"),
    ):
        assert releases_in_heading(text) == {named}
