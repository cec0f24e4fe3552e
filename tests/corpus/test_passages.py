from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from shared_data import rows, shared_data
from steelyard.components.quotes import Quote, spans_of
from steelyard.corpus.parsing import markdown, txt
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.passages import HARD_FACTOR, SplitSettings, heading_path, split
from steelyard.schema.corpus import DocumentVersion, Heading, Hit
from steelyard.schema.scope import Access


def version(parsed, document: str = "docs/a.md") -> DocumentVersion:
    return DocumentVersion(
        document=document,
        version="0123456789abcdef" * 4,
        source="docs",
        media_type="text/markdown",
        title=parsed.title,
        text=parsed.text,
        access=Access(allow=("everyone",)),
        valid_from=datetime(2024, 1, 1, tzinfo=UTC),
        headings=parsed.headings,
        page_starts=parsed.page_starts,
        blocks=parsed.blocks,
    )


def md(text: str) -> DocumentVersion:
    return version(markdown.parse(text.replace("\0", "").encode("utf-8", "replace"), Limits()))


def sentences(count: int, word: str = "plan") -> str:
    return " ".join(f"Sentence {number} tells what the {word} holds for you." for number in range(count))


def check(made: DocumentVersion, options: SplitSettings) -> None:
    """The promises of `split` that hold for any text."""
    found = split(made, options)
    covered = bytearray(len(made.text))
    for passage in found:
        assert made.text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip() != ""
        covered[passage.start : passage.end] = b"\x01" * (passage.end - passage.start)
    assert len({passage.id for passage in found}) == len(found)
    assert [p.start for p in found] == sorted({p.start for p in found})
    said = {heading for passage in found for heading in passage.heading}
    for heading in made.headings:
        assert covered[heading.start] or heading.text in said
        covered[heading.start : heading.start + len(heading.text)] = b"\x01" * len(heading.text)
    assert all(done or character.isspace() for done, character in zip(covered, made.text, strict=True))


PIECES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "# Title",
            "## Part",
            "### Deep",
            "- item\n- other",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "```\ncode\n  more\n```",
            "Mr. Smith paid. He left!",
        ]
    ),
    st.integers(1, 30).map(sentences),
    st.integers(1, 400).map("界".__mul__),
    st.integers(1, 900).map("x".__mul__),
)
OPTIONS = st.builds(SplitSettings, size=st.integers(40, 400), overlap=st.integers(0, 120))


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=12).map("\n\n".join), OPTIONS)
def test_every_passage_is_its_span_and_every_character_is_in_one_markdown(text, options):
    check(md(text), options)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=12).map("\n\n".join), OPTIONS)
def test_every_passage_is_its_span_and_every_character_is_in_one_text(text, options):
    check(version(txt.parse(text.replace("\0", "").encode("utf-8", "replace"), Limits())), options)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), OPTIONS)
def test_a_version_without_blocks_is_cut_at_blank_lines(text, options):
    made = md("")
    check(DocumentVersion(**{**made.__dict__, "text": text, "headings": (), "blocks": ()}), options)


def test_no_passage_is_above_the_size_or_cuts_a_sentence():
    found = split(md(f"# T\n\n{sentences(100)}\n\n{sentences(50)}"))
    assert all(len(passage.text) <= 900 for passage in found)
    assert all(passage.text.startswith("Sentence") and passage.text.endswith("you.") for passage in found)


def test_passages_of_a_section_are_about_equal():
    lengths = [len(passage.text) for passage in split(md(f"# T\n\n{sentences(40)}"))]
    assert max(lengths) - min(lengths) < 150  # 2 passages of ~950 become 3 of ~650, none a crumb


def test_abbreviations_and_decimals_do_not_end_a_sentence():
    text = "Ask Dr. Smith, e.g. About 3.5 litres. " * 40
    for passage in split(md(text), SplitSettings(size=120)):
        assert passage.text.startswith("Ask")
        assert passage.text.endswith("litres.")


def test_tables_lists_and_code_stay_whole_where_they_fit():
    table = "| plan | price |\n|---|---|\n" + "\n".join(f"| plan {n} | {n} dollars |" for n in range(30))
    code = "```\n" + "\n".join(f"line {n} of the code" for n in range(30)) + "\n```"
    found = split(md(f"# T\n\n{sentences(14)}\n\n{table}\n\n{code}"))
    assert sum("plan 0 |" in p.text for p in found) == 1
    assert any("plan 0 | 0 dollars" in p.text and "plan 29 | 29 dollars" in p.text for p in found)
    assert any("line 0 of" in p.text and "line 29 of" in p.text for p in found)


def test_a_table_too_long_is_cut_between_rows():
    table = "| plan | price |\n|---|---|\n" + "\n".join(f"| plan {n} | {n} dollars |" for n in range(200))
    found = split(md(f"# T\n\n{table}"))
    assert len(found) > 3
    assert all(p.text.endswith("dollars") and len(p.text) <= 900 * HARD_FACTOR for p in found)


WORD = st.sampled_from(["plan", "refund", "seats a month", "ask the desk", "34 USD", "from noon on"])
ROW = st.tuples(WORD, WORD)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 20), st.lists(ROW, min_size=1, max_size=60), st.booleans(), st.integers(0, 20), st.integers(100, 900)
)
def test_tables_and_lists_are_whole_where_they_fit_and_cut_between_rows_with_what_heads_them(
    before, cells, table, after, size
):
    if table:
        block = "\n".join(["| name | worth |", "|---|---|", *(f"| {one} | {other} |" for one, other in cells)])
        lead, lines = "name | worth", ["name | worth", *(f"{one} | {other}" for one, other in cells)]
    else:
        block = "\n".join(f"- {one} {other}" for one, other in cells)
        lead, lines = "It comes with:", [f"- {one} {other}" for one, other in cells]
    made = md(f"# T\n\n{sentences(before)}\n\nIt comes with:\n\n{block}\n\n{sentences(after)}")
    options = SplitSettings(size=size)
    check(made, options)
    whole = "\n".join(lines)
    start = made.text.index(whole)
    found = [part for part in split(made, options) if part.end > start and part.start < start + len(whole)]
    if len(whole) <= size * HARD_FACTOR:
        assert [whole in part.text for part in found] == [True]
    for part in found:
        rows_of = made.text[max(start, part.start) : min(start + len(whole), part.end)].split("\n")
        assert set(rows_of) <= set(lines)  # never a piece of a row
        goes_on = part.start > start
        assert part.lead == (lead if goes_on else "")
        assert (f"\n{lead}\n{rows_of[0]}" in f"\n{part.search_text}") or not goes_on


def test_a_first_row_of_data_heads_nothing_and_neither_does_a_long_one():
    for first in ("plan | 34 USD", "a very long name of a column " * 10 + "| worth"):
        rows_of = "\n".join(f"| some row of the table number | {n} |" for n in range(60))
        found = split(md(f"# T\n\n| {first} |\n|---|---|\n{rows_of}"), SplitSettings(size=300))
        assert len(found) > 3
        assert {part.lead for part in found} == {""}


def test_what_announces_a_list_stays_with_it():
    found = split(
        md(f"# T\n\n{sentences(17)}\n\nYou need three things:\n\n" + "\n".join(f"- {sentences(2)}" for _ in range(3)))
    )
    [announced] = [p for p in found if "You need three things:" in p.text]
    assert "- Sentence 0" in announced.text


def test_heading_path_and_page():
    assert [
        (p.heading, p.text[:8])
        for p in split(md(f"# A\n\n{sentences(15)}\n\n## B\n\n{sentences(15)}\n\n# C\n\n{sentences(15)}"))
    ] == [
        (("A",), "Sentence"),
        (("A", "B"), "Sentence"),
        (("C",), "Sentence"),
    ]
    headings = tuple(Heading(level=n, text=str(n), start=n * 10) for n in (1, 2, 3))
    assert heading_path(headings, 35, 40) == ("1", "2", "3")
    assert heading_path(headings, 20, 40) == ("1",)  # 2 and 3 stand inside the span
    assert heading_path(headings, 0, 5) == ()


def test_small_sections_go_together_under_what_they_share():
    text = "# Acronyms\n\n" + "\n\n".join(f"## A{n}\n\nMeaning number {n}." for n in range(12))
    found = split(md(text))
    assert len(found) == 1
    assert found[0].heading == ()
    assert found[0].text.startswith("Acronyms\n\nA0\n\nMeaning number 0.")


def test_a_heading_with_nothing_under_it_can_be_found():
    assert [p.text for p in split(md("# Only a title"))] == ["Only a title"]
    assert split(md("")) == []


def test_overlap_repeats_whole_sentences_and_offsets_hold():
    made = md(f"# T\n\n{sentences(60)}")
    first, second, *_ = split(made, SplitSettings(size=500, overlap=120))
    assert first.start < second.start < first.end
    assert 0 < first.end - second.start <= 120
    assert second.text.startswith("Sentence")


def test_wide_scripts_are_cut_to_what_the_encoder_reads():
    found = split(md("今天的退款政策是十四天。" * 100))
    assert all(len(p.text) <= 900 // 4 for p in found)
    assert all(p.text.endswith("。") for p in found)


def test_the_settings_name_tells_them_apart():
    names = {SplitSettings(size=size, overlap=overlap).name for size in (500, 900) for overlap in (0, 50)}
    assert len(names) == 4


def test_hostile_runs_are_cut_in_linear_time():
    for text in ("." * 300_000, "a " * 150_000, "\n \n" * 100_000, '."' * 150_000, "x" * 300_000):
        check(version(txt.parse(text.encode(), Limits())), SplitSettings())


def test_the_postgresql_manual_is_covered_exactly():
    for row in rows(shared_data("postgresql15_docs") / "docs.jsonl.gz")[:150]:
        check(version(txt.parse(row["text"].encode(), Limits())), SplitSettings(overlap=100))
        assert json.dumps(row["id"])


def front(entries: int, more: str = "") -> str:
    lines = ["---", "title: Harrow", "category: database", "releases:"]
    for number in range(entries):
        lines += [
            f'  - cycle: "4.{number}"',
            f"    released: 20{10 + number}-05-09",
            f'    latest: "4.{number}.7{more}"',
            "",
        ]
    return "\n".join([*lines, "---", "# Harrow", "", "A database."])


def test_entries_of_front_matter_are_never_cut_where_they_fit():
    options = SplitSettings(size=300)
    made = md(front(12))
    check(made, options)
    found = [passage for passage in split(made, options) if "cycle" in passage.text]
    assert len(found) > 2
    for passage in found:
        assert passage.text.count("cycle") == passage.text.count("released") == passage.text.count("latest")
        assert passage.lead == ""


def test_a_passage_that_begins_inside_an_entry_remembers_its_first_line():
    options = SplitSettings(size=120)
    made = md(front(2, " " + "and more of it " * 12))
    check(made, options)
    inside = [
        passage for passage in split(made, options) if "cycle" not in passage.text and "more of it" in passage.text
    ]
    assert {passage.lead for passage in inside} == {'- cycle: "4.0"', '- cycle: "4.1"'}


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["- a: 1", "  - b: 2", "    c: 3", "d:", "# e", "f: |", "  g", "- h", "i: " + "j " * 90]),
        max_size=30,
    )
)
def test_every_passage_of_any_front_matter_is_its_span_and_every_quote_of_it_resolves(lines):
    made = md("---\ntitle: x\n" + "\n".join(lines) + "\n---\nThe end.")
    check(made, SplitSettings(size=150))
    for passage in split(made, SplitSettings(size=150)):
        for span in spans_of(passage.text, passage.lead):
            quote = Quote(hit=Hit(passage=passage, score=1.0), hit_rank=0, span=span)
            cited = quote.citation()
            assert made.text[cited.start : cited.end] == cited.quote == quote.text != ""
