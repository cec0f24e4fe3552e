from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.fields import fields, has_fields, key_of
from steelyard.components.quotes import in_words, spans_of

RELEASES = """title: Harrow
category: database
owner: |
  the storage team,
  second floor
releases:
  - cycle: "4.10"
    released: 2026-02-03
    eol: 2028-02-03 # two years after release
    latest: "4.10.2"
  - cycle: "4.1"
    released: 2023-05-09
    eol: 2025-05-09
    latest: "4.1.19\""""

SETTINGS = """global:
  # How often targets are asked for their figures.
  [ pull_interval: <duration> | default = 45s ]
queue:
  [ capacity: <int> | default = 2500 ]"""


def spans(text, opening=""):
    return {text[span.start : span.end]: span for span in spans_of(text, opening)}


def test_every_value_of_a_list_entry_knows_the_entry_and_its_key():
    found = spans(RELEASES)
    assert (found["eol: 2025-05-09"].entry, found["eol: 2025-05-09"].key) == ("4.1", "eol")
    assert found['latest: "4.10.2"'].entry == "4.10"
    assert in_words(RELEASES, found['latest: "4.1.19"']) == 'cycle 4.1\nlatest: "4.1.19"'


def test_what_stands_outside_of_entries_names_none():
    found = spans(RELEASES)
    assert found["category: database"].entry == ""
    assert found["releases:"].kind == "label"


def test_a_comment_behind_a_value_is_not_quoted_with_it():
    assert {"eol: 2028-02-03", "# two years after release"} <= set(spans(RELEASES))


def test_a_value_over_several_lines_is_one_quote():
    assert "owner: |\n  the storage team,\n  second floor" in spans(RELEASES)


def test_an_entry_is_dated_by_its_first_date():
    assert spans(RELEASES)['latest: "4.10.2"'].date == "2026-02-03"


def test_a_passage_that_begins_inside_an_entry_goes_on_with_it():
    found = spans("eol: 2025-05-09\n    latest: 4.1.19", opening='- cycle: "4.1"')
    assert {span.entry for span in found.values()} == {"4.1"}


def test_a_passage_that_begins_with_an_entry_has_lost_its_indent_and_keeps_its_entries_apart():
    cut = RELEASES[RELEASES.index('- cycle: "4.10"') :]
    assert spans(cut)["eol: 2025-05-09"].entry == "4.1"
    assert spans(cut)["eol: 2028-02-03"].entry == "4.10"


def test_an_entry_is_named_by_the_key_that_names_and_not_by_the_first():
    text = "- price: 15 USD\n  plan: Solo\n- price: 34 USD\n  plan: Studio"
    assert spans(text)["- price: 34 USD"].entry == "Studio"


def test_a_comment_and_the_keys_above_introduce_a_setting():
    found = spans(SETTINGS)
    interval = found["[ pull_interval: <duration> | default = 45s ]"]
    assert interval.key == "pull_interval"
    assert interval.lead == "global How often targets are asked for their figures."
    assert found["[ capacity: <int> | default = 2500 ]"].lead == "queue"


def test_prose_lists_and_tables_are_none():
    for text in (
        "Note: the fee is due. It is 5 USD.\nPay: within a week, or it doubles.",
        "- Solo: 15 USD\n- Studio: 34 USD",
        "Plan | Price\nSolo: small | 15 USD",
        "# A heading\nand what follows it",
    ):
        assert not has_fields(text.split("\n"))


def test_an_item_says_what_it_gives_a_value_for():
    assert key_of("- **Solo**: 15 USD") == "Solo"
    assert key_of("* `--page-size` – how many rows, 50 if not given") == "--page-size"
    assert key_of("Nothing is due in May.") == ""


LINES = st.lists(
    st.sampled_from(
        [
            "title: Harrow",
            "releases:",
            '- cycle: "4.1"',
            '  - cycle: "4.10"',
            "    eol: 2025-05-09 # soon",
            "  latest: |",
            "    more words",
            "# a remark",
            "- bare",
            "-",
            "[ size: <int> | default = 5 ]",
            "'quoted key': \"a # b\"",
            "\t\ttabs: yes",
            ": nothing",
            "",
        ]
    ),
    min_size=1,
    max_size=25,
)


@given(LINES, st.sampled_from(["", '- cycle: "4.1"']))
def test_fields_hold_every_character_once_and_in_order(lines, opening):
    text = "\n".join(line for line in lines if line.strip()) or "a: b"
    places, at = [], 0
    for line in text.splitlines(keepends=True):
        places.append((at, at + len(line)))
        at += len(line)
    end = 0
    for field in fields(text, places, opening):
        assert not text[end : field.start].strip()
        assert field.start < field.end
        end = field.end
    assert not text[end:].strip()


@given(LINES, st.sampled_from(["", '- cycle: "4.1"']))
def test_quotes_of_front_matter_hold_every_letter_once(lines, opening):
    text = "\n".join(lines)
    found = spans_of(text, opening)
    assert all(one.end <= other.start for one, other in pairwise(found))
    inside = "".join(text[span.start : span.end] for span in found)
    assert [letter for letter in inside if letter.isalnum()] == [letter for letter in text if letter.isalnum()]
