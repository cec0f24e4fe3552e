"""Probes are what the documents stated, from when to when, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.corpus.facts import is_value, stated_facts, words
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.markdown import parse
from steelyard.corpus.past import read_past
from steelyard.corpus.probes import derive_probes, forms


def facts_of(text: str) -> dict[str, str]:
    return {fact.question: fact.value for fact in stated_facts(parse(text.encode(), Limits()))}


PLANS = """\
---
title: Plans
currency: USD 10
permalink: /plans
tiers:
  - name: Basic
    seats: 5
    price: $10
  - name: Team
    seats: 50
    price: $80
---
# Plans

| Plan | Uploads | Support |
|------|---------|---------|
| Basic | 10 MB | e-mail |
| Team | 200 MB | phone |

## Limits

- Requests per minute: 600
- Retention: 30 days

Exports keep at most 5000 rows in every file that they write.

```
[ scrape_timeout: <duration> | default = 10s ]
```
"""


def test_front_matter_facts_name_the_entry_they_belong_to():
    found = facts_of(PLANS)
    assert found["In Plans, what is the seats of name Team?"] == "50"
    assert found["In Plans, what is the price of name Basic?"] == "$10"
    assert found["In Plans, what is the currency?"] == "USD 10"
    assert not any("permalink" in question for question in found)


def test_a_table_cell_is_asked_for_by_its_column_and_row():
    assert facts_of(PLANS)["In Plans, what is the Uploads of Plan Team?"] == "200 MB"


def test_lists_defaults_and_sentences_are_read_with_their_heading():
    found = facts_of(PLANS)
    assert found['In Plans, under "Limits", what is given for Requests per minute?'] == "600"
    assert found['In Plans, under "Limits", what is the default of scrape_timeout?'] == "10s"
    gap = 'In Plans, under "Limits", what stands at the gap: "Exports keep at most ___ rows in every file that they write."'
    assert found[gap] == "5000"


def test_every_fact_shows_the_line_that_states_it():
    parsed = parse(PLANS.encode(), Limits())
    for fact in stated_facts(parsed):
        assert fact.evidence in parsed.text
        assert fact.value in fact.evidence


def test_what_a_page_states_twice_differently_is_left_out():
    text = "# T\n\n- Limit: 5 MB\n\ntext\n\n- Limit: 6 MB\n- Quota: 7 GB\n"
    assert list(facts_of(text).values()) == ["7 GB"]


def test_yaml_that_grows_by_aliases_gives_no_facts():
    text = "---\na: &a [x1, x2]\nb: *a\nlimit: 5\n---\n# T\n"
    assert facts_of(text) == {}


@pytest.mark.parametrize(
    "text", ["", "n/a", "https://example.org/5", "true", "data/people.yml", "a " * 40, "See the table:"]
)
def test_marks_links_and_long_prose_are_no_values(text):
    assert not is_value(text)


@pytest.mark.parametrize("text", ["5 MB", "2026-01-31", "v1.2.3", "$80", "Team plan", "99.9%"])
def test_amounts_dates_versions_and_names_are_values(text):
    assert is_value(text)


def test_keys_read_as_words():
    assert words("maxUploadSize") == "max upload size"


def test_a_date_that_is_none_gets_no_other_forms():
    assert forms("2025-02-31") == ("2025-02-31",)


def log(folder, *rows):
    path = folder / "log.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return read_past(path)


def page(limit, extra=""):
    return f"# Quotas\n\n- Upload limit: {limit}\n- Region count: 3\n{extra}"


def row(date, path, text, op="modify", **more):
    return {"date": date, "op": op, "path": path, "text": text, **more}


def periods(probes, word):
    return [
        (probe.answers[0], f"{probe.valid_from:%Y-%m-%d}", probe.valid_to and f"{probe.valid_to:%Y-%m-%d}")
        for probe in probes
        if word in probe.question
    ]


def test_a_changed_value_ends_one_period_and_begins_the_next(tmp_path):
    past = log(
        tmp_path,
        row("2025-01-01", "q.md", page("10 MB"), "add"),
        row("2025-03-05", "q.md", page("25 MB")),
        row("2025-06-01", "q.md", page("25 MB", "\nMore words.\n")),
    )
    probes = derive_probes(past, limit=None)
    assert periods(probes, "Upload limit") == [("10 MB", "2025-01-01", "2025-03-05"), ("25 MB", "2025-03-05", None)]
    assert periods(probes, "Region count") == [("3", "2025-01-01", None)]
    assert {probe.values for probe in probes if "Upload" in probe.question} == {2}


def test_a_fact_that_goes_and_comes_back_has_a_gap(tmp_path):
    past = log(
        tmp_path,
        row("2025-01-01", "q.md", page("10 MB"), "add"),
        row("2025-02-01", "q.md", "# Quotas\n\nNothing here.\n"),
        row("2025-03-01", "q.md", page("10 MB")),
    )
    assert periods(derive_probes(past, limit=None), "Upload") == [
        ("10 MB", "2025-01-01", "2025-02-01"),
        ("10 MB", "2025-03-01", None),
    ]


def test_a_deleted_page_ends_its_facts_and_a_renamed_one_keeps_them(tmp_path):
    past = log(
        tmp_path,
        row("2025-01-01", "q.md", page("10 MB"), "add"),
        row("2025-01-01", "gone.md", "# Old\n\n- Old limit: 7 MB\n", "add"),
        row("2025-02-01", "new.md", page("10 MB"), "rename", **{"from": "q.md"}),
        row("2025-03-01", "gone.md", None, "delete"),
    )
    probes = derive_probes(past, limit=None)
    assert periods(probes, "Upload") == [("10 MB", "2025-01-01", None)]
    assert {probe.source for probe in probes if "Upload" in probe.question} == {"new.md"}
    assert periods(probes, "Old limit") == [("7 MB", "2025-01-01", "2025-03-01")]


def test_a_question_that_two_pages_would_answer_is_not_asked(tmp_path):
    past = log(
        tmp_path, row("2025-01-01", "a.md", page("10 MB"), "add"), row("2025-01-01", "b.md", page("11 MB"), "add")
    )
    assert derive_probes(past, limit=None) == []


def test_a_sentence_counts_only_once_its_value_changed(tmp_path):
    said = "# T\n\nAn export holds at most {} rows in every file.\n\nA team may have up to 40 seats in one plan.\n"
    past = log(
        tmp_path, row("2025-01-01", "t.md", said.format(500), "add"), row("2025-02-01", "t.md", said.format(900))
    )
    assert [probe.answers[0] for probe in derive_probes(past, limit=None)] == ["500", "900"]


def test_a_limit_keeps_whole_facts_and_prefers_those_that_moved(tmp_path):
    pages = [(f"p{n}.md", f"# Page {n}\n\n- Cap: {n} GB\n- Fee: {{}} USD\n") for n in range(1, 31)]
    rows = [row("2025-01-01", name, text.format(5), "add") for name, text in pages]
    rows += [row("2025-02-01", name, text.format(6)) for name, text in pages]
    probes = derive_probes(log(tmp_path, *rows), limit=20)
    facts = {probe.fact: probe.values for probe in probes}
    assert len(facts) == 20
    assert list(facts.values()).count(2) == 16
    assert len({probe.source for probe in probes if probe.values == 2}) == 16


VALUES = st.sampled_from(["5 MB", "6 MB", None])


@settings(max_examples=40, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=8))
def test_at_every_moment_the_probe_says_what_the_page_says(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("probes")
    rows = [
        row(f"2025-01-{day + 1:02d}", "q.md", page(value) if value else "# Quotas\n\nNothing.\n")
        for day, value in enumerate(values)
    ]
    probes = [probe for probe in derive_probes(log(folder, *rows), limit=None) if "Upload" in probe.question]
    for day, value in enumerate(values):
        at = datetime(2025, 1, day + 1, 12, tzinfo=UTC)
        holding = [
            probe.answers[0]
            for probe in probes
            if probe.valid_from <= at and (probe.valid_to is None or at < probe.valid_to)
        ]
        assert holding == ([value] if value else [])
