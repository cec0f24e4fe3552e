"""A fact is learned in one wording and asked in another, where it has two."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from shared_data import shared_data
from steelyard.evaluation.ageing import _lessons
from steelyard.evaluation.backtest import fairness
from steelyard.evaluation.dated import facts_of, known_by
from steelyard.schema.items import Item

DAY = datetime(2025, 3, 1, tzinfo=UTC)
LATER = datetime(2025, 9, 1, tzinfo=UTC)


def row(name, text, answer, fact, begin=None, end=None, split=None):
    return Item(
        id=name,
        task="answer",
        text=text,
        answers=(answer,),
        source="a.md",
        valid_from=begin,
        valid_to=end,
        fact=fact,
        split=split,
    )


def two_wordings(number):
    return [
        row(f"a{number}", f"What is limit {number}?", f"{number} MB", f"limit-{number}", None, DAY),
        row(f"b{number}", f"What is limit {number}?", f"{number + 50} MB", f"limit-{number}", DAY, None),
        row(f"c{number}", f"how far can {number} go", f"{number} MB", f"limit-{number}", None, DAY),
        row(f"d{number}", f"how far can {number} go", f"{number + 50} MB", f"limit-{number}", DAY, None),
    ]


def test_no_asked_wording_is_ever_learned():
    facts = facts_of([item for number in range(30) for item in two_wordings(number)])
    asked, calibrating = facts[:15], facts[15:]
    train, validation = _lessons(asked, calibrating, LATER)
    texts = {fact.text for fact in asked}
    assert texts.isdisjoint({item.text for item in (*train, *validation)})
    assert {text for fact in asked for text in fact.others} <= {item.text for item in train}
    # It calibrates on wordings that it did not learn, of facts that are not asked.
    assert {item.text for item in validation} == {fact.text for fact in calibrating}
    assert not {item.text for item in validation} & {item.text for item in train}


def test_the_other_wording_is_taught_with_the_answer_of_the_day():
    facts = facts_of(two_wordings(7))
    assert len(facts) == 1
    before = known_by(facts, datetime(2025, 2, 1, tzinfo=UTC), taught=True)
    after = known_by(facts, LATER, taught=True)
    assert [(item.text, item.answers) for item in before] == [(facts[0].others[0], ("7 MB",))]
    assert [(item.text, item.answers) for item in after] == [(facts[0].others[0], ("57 MB",))]
    assert facts[0].others[0] != facts[0].text


def test_a_wording_that_the_file_puts_into_train_is_not_asked():
    for number in range(20):
        rows = [
            row("a", f"what is {number}?", "5", "f"),
            row("b", f"tell me of {number}", "5", "f", split="train"),
        ]
        assert facts_of(rows)[0].text == f"what is {number}?"


def test_wordings_that_disagree_on_a_day_are_facts_of_their_own():
    rows = [row("a", "how much a month?", "5 USD", "price"), row("b", "which plan is it?", "Solo", "price")]
    facts = facts_of(rows)
    assert [fact.text for fact in facts] == ["how much a month?", "which plan is it?"]
    assert all(not fact.others for fact in facts)


def test_with_one_wording_the_result_says_that_what_is_asked_was_learned():
    facts = facts_of([row("a", "what is it?", "5", "f")])
    assert facts[0].taught == ("what is it?",)
    assert "the very questions that are asked" in fairness(1, 1)
    assert "12 of the 40 questions" in fairness(40, 12)
    assert "asked in another" in fairness(40, 0)


@pytest.mark.parametrize("name", ["docs_endoflife", "docs_electron", "docs_fastapi", "docs_prometheus"])
def test_every_reference_question_of_the_benchmark_has_a_second_wording(name, tmp_path):
    from steelyard.evaluation.bench_backtest import lay_out_history

    lay_out_history(tmp_path, name, shared_data(name))
    rows = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    taught = {one["fact"]: one["question"] for one in rows if one.get("split") == "train"}
    asked = {one["fact"]: one["question"] for one in rows if one.get("split") != "train"}
    assert taught.keys() == asked.keys()
    assert len(set(taught.values())) == len(set(asked.values())) == len(asked)
    assert not set(taught.values()) & set(asked.values())
