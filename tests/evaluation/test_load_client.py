"""What the load benchmark asks: questions that nobody asked before, as people mistype them."""

from __future__ import annotations

from itertools import count, islice

from hypothesis import given
from hypothesis import strategies as st

from steelyard.evaluation.load_client import Call, distinct, slipped

QUESTIONS = [
    "How long do you keep a copy of my data?",
    "Who pays for the reader?",
    "Who pays for the reader?",
    "Is the help desk free of charge?",
]


def _ask(text: str) -> Call:
    return Call(path="/api/search", body={"query": text})


def test_a_question_is_mistyped_in_another_way_each_time() -> None:
    asked = [slipped("How long do you keep a copy?", turn) for turn in range(80)]
    assert len(set(asked)) > 0.9 * len(asked)
    assert all(abs(len(one) - len("How long do you keep a copy?")) <= 2 for one in asked)
    assert "How long do you keep a copy?" not in asked


def test_no_request_repeats_another_whoever_asks() -> None:
    numbers = count()
    asked = [call.body["query"] for call in islice(distinct(QUESTIONS, _ask, numbers), 27)]
    asked += [call.body["query"] for call in islice(distinct(QUESTIONS, _ask, numbers), 27)]
    assert len(set(asked)) == len(asked)
    assert not set(asked) & set(QUESTIONS)


@given(st.text(max_size=60), st.integers(0, 10_000))
def test_any_text_can_be_mistyped(question: str, turn: int) -> None:
    made = slipped(question, turn)
    assert made == slipped(question, turn)
    assert abs(len(made) - len(question)) <= 6
