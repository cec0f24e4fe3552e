import pytest

from steelyard.decision.facts import FIELDS
from steelyard.decision.interview import Interview, hint, understood
from steelyard.decision.recommend import recommend
from steelyard.decision.unknowns import THREE_QUESTIONS, plausible
from steelyard.decision.verdict import judge
from steelyard.schema.decision import Facts, TeamSkills
from steelyard.schema.errors import FactsError


def run(answers):
    talk, asked = Interview(), []
    while (key := talk.next_question()) is not None:
        asked.append(key)
        talk.answer(key, answers.get(key, ""))
        assert len(asked) <= len(FIELDS)
    return talk, asked


def test_the_three_questions_come_first():
    _, asked = run({})
    assert tuple(asked[:3]) == THREE_QUESTIONS


def test_it_stops_when_nothing_unknown_can_change_the_verdict():
    talk, asked = run({"knowledge_update_per_year": "daily", "needs_citations": "yes", "behaviour": "facts"})
    assert asked == list(THREE_QUESTIONS)
    assert recommend(talk.facts).recommendation == "rag"


def test_what_it_left_unasked_really_does_not_matter():
    talk, _ = run(
        {"knowledge_update_per_year": "weekly", "needs_citations": "no", "behaviour": "facts", "corpus_tokens": "4M"}
    )
    from steelyard.decision.unknowns import completions, known, missing

    for sample in completions(talk.facts)[:4]:
        for key in missing(talk.facts):
            if key in talk.left_open:
                continue
            seen = {judge(known(sample, key, value)).verdict for value, _ in plausible(sample, key)}
            assert len(seen) == 1, key


def test_a_question_left_open_is_not_asked_again():
    _, asked = run({})
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("queries_per_month", "120k", 120_000.0),
        ("queries_per_month", "2.5M", 2_500_000.0),
        ("queries_per_month", "1,200,000", 1_200_000.0),
        ("queries_per_month", "3 million", 3_000_000.0),
        ("knowledge_update_per_year", "Weekly", 52.0),
        ("knowledge_update_per_year", "6", 6.0),
        ("needs_citations", "Y", True),
        ("needs_citations", "no", False),
        ("behaviour", "clasification", "classification"),
        ("team_skills", "both", TeamSkills(mlops=True, ir_ops=True)),
        ("needs_audit", "", None),
        ("corpus_tokens", "don't know", None),
    ],
)
def test_answers_are_understood_as_people_write_them(key, text, value):
    assert understood(key, text) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [("queries_per_month", "lots"), ("queries_per_month", "-3"), ("needs_audit", "perhaps"), ("behaviour", "xyzzy")],
)
def test_an_answer_that_is_not_understood_says_what_would_be(key, text):
    with pytest.raises(FactsError) as caught:
        Interview().answer(key, text)
    assert hint(key) in caught.value.remedy


def test_an_answer_out_of_bounds_is_refused():
    with pytest.raises(FactsError):
        Interview(facts=Facts()).answer("latency_budget_ms", "0")
