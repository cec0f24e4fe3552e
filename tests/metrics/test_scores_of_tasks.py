import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from steelyard.metrics.answers import (
    answer_scores,
    citation_validity,
    contains_answer,
    exact_match,
    former_answers,
    leaks,
    normalise_answer,
    stale,
    token_f1,
)
from steelyard.metrics.classify import calibration_error, classify_scores, f1_per_label, macro_f1
from steelyard.metrics.ranking import MismatchError, ndcg, recall, reciprocal_rank
from steelyard.metrics.scores import Unscored, scored
from steelyard.metrics.style import StyleDiscriminator, neutral_rewrite
from steelyard.metrics.writing import ReplyFormat, chrf, filled, slot_fidelity, write_scores
from steelyard.schema.corpus import Citation, Hit, Passage
from steelyard.schema.errors import ConfigError, NotFittedError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output
from steelyard.schema.scope import Access, Scope

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def ticket(label: str) -> Item:
    return Item(id="t", task="classify", text="hi", label=label)


def test_declining_is_right_exactly_for_what_is_out_of_scope():
    known, declined = Output(label="billing"), Output(label="billing", out_of_scope=True)
    assert scored(classify_scores(ticket("billing"), known, "oos")) == {
        "accuracy": 1,
        "in_scope_accuracy": 1,
        "coverage": 1,
    }
    assert scored(classify_scores(ticket("billing"), declined, "oos")) == {
        "accuracy": 0,
        "in_scope_accuracy": 0,
        "coverage": 0,
        "out_of_scope_precision": 0,
    }
    assert scored(classify_scores(ticket("oos"), declined, "oos")) == {
        "accuracy": 1,
        "out_of_scope_recall": 1,
        "out_of_scope_precision": 1,
    }
    assert scored(classify_scores(ticket("oos"), known, "oos")) == {"accuracy": 0, "out_of_scope_recall": 0}


def test_macro_f1_and_calibration_agree_with_scikit_learn_and_by_hand():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    expected, decided = rng.choice(list("abcd"), 200).tolist(), rng.choice(list("abc"), 200).tolist()
    assert macro_f1(expected, decided) == pytest.approx(f1_score(expected, decided, average="macro", zero_division=0))
    assert set(f1_per_label(expected, decided)) == set("abcd")
    # Two bins: 0.9 twice with one right (gap 0.4), 0.1 twice with none right (gap 0.1): mean 0.25.
    assert calibration_error([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0], bins=2) == pytest.approx(0.25)
    assert calibration_error([1.0], [1.0]) == 0.0
    assert isinstance(macro_f1([], []), Unscored)
    assert isinstance(calibration_error([], []), Unscored)


@pytest.mark.parametrize(
    ("text", "answer", "contained"),
    [
        ("It costs $1,250 a year.", "$1250", 1.0),
        ("It costs $3.50.", "$350", 0.0),
        ("It costs $55.", "$5", 0.0),
        ("Up to 15 days", "5 days", 0.0),
        ("Takes 5-10 days", "10 days", 0.0),
        ("The answer: Pro plan!", "pro plan", 1.0),
        ("Version 15.2 or later", "15", 0.0),
        ("anything", "", 0.0),
        ("Ends on 2026-03-31.", "2026-03-31", 1.0),
    ],
)
def test_containment_is_by_whole_words_and_whole_numbers(text, answer, contained):
    assert contains_answer(text, [answer]) == contained


def test_exact_match_and_f1_take_the_best_answer():
    assert exact_match("The Pro-Plan.", ["basic", "pro plan"]) == 1.0
    assert token_f1("the pro plan costs more", ["pro plan"]) == pytest.approx(2 * 2 / (4 + 2))  # articles do not count
    assert token_f1("", ["x"]) == 0.0
    assert token_f1("x", []) == 0.0
    assert normalise_answer("It’s  A “test”!") == "it s test"


def test_answerable_and_unanswerable_questions_are_scored_apart():
    known = Item(id="1", task="answer", text="q", answers=("$5",))
    unknown = Item(id="2", task="answer", text="q", answerable=False)
    said, declined = Output(text="It is $5."), Output(text="", abstained=True)
    assert scored(answer_scores(known, said)) == {
        "accuracy": 1,
        "exact_match": 0,
        "token_f1": pytest.approx(0.5),  # `it is $5` against `$5`: 2 x 1 / (3 + 1)
        "containment": 1,
        "coverage": 1,
    }
    assert scored(answer_scores(known, declined)) == {
        "accuracy": 0,
        "exact_match": 0,
        "token_f1": 0,
        "containment": 0,
        "coverage": 0,
        "refusal_precision": 0,
    }
    assert scored(answer_scores(unknown, declined)) == {"accuracy": 1, "refusal_recall": 1, "refusal_precision": 1}
    assert scored(answer_scores(unknown, said)) == {"accuracy": 0, "refusal_recall": 0}


def passage(access: Access) -> Passage:
    return Passage(
        id="d@v:0-5",
        document="d",
        version="v",
        title="",
        start=0,
        end=5,
        text="hello",
        heading=(),
        page=None,
        access=access,
        valid_from=MARCH,
    )


def citation(start: int, end: int, quote: str, document: str = "d") -> Citation:
    return Citation(document=document, version="v", start=start, end=end, quote=quote, heading=(), page=None)


def test_a_citation_is_valid_only_if_its_span_is_its_quote():
    stored = {("d", "v"): "hello world"}
    answer = Output(
        text="hello",
        citations=(
            citation(0, 5, "hello"),
            citation(0, 5, "hallo"),
            citation(6, 99, "world"),
            citation(0, 5, "hello", "e"),
        ),
    )
    assert citation_validity(answer, lambda document, version: stored.get((document, version))) == 0.25
    assert citation_validity(Output(text="hello"), lambda *_: None) == 0.0
    assert isinstance(citation_validity(Output(abstained=True), lambda *_: None), Unscored)


def test_leaks_count_hidden_passages_citations_and_told_secrets():
    staff, everyone = Access(allow=("staff",)), Access(allow=("everyone",))
    hits = (Hit(passage=passage(staff), score=1.0), Hit(passage=passage(everyone), score=0.5))
    output = Output(text="It is 42.", hits=hits, citations=(citation(0, 5, "hello"),))
    secret = Item(id="1", task="answer", text="q", answers=("42",), answerable=False)
    assert leaks(output, Scope()) == 1
    assert leaks(output, Scope(), lambda *_: staff) == 2
    assert leaks(output, Scope(), lambda *_: staff, secret) == 3
    assert leaks(output, Scope(groups=frozenset({"staff"})), lambda *_: staff) == 0


def test_an_answer_true_once_and_not_now_is_stale():
    then = Item(id="1", task="answer", text="Price?", answers=("$5", "five"), valid_to=MARCH, group="price")
    now = Item(id="2", task="answer", text="Price now?", answers=("$6", "five"), valid_from=MARCH, group="price")
    other = Item(id="3", task="answer", text="Limit?", answers=("9",), valid_to=MARCH, group="limit")
    former = former_answers(now, [then, now, other], MARCH)
    assert former == ("$5",)  # `five` still holds
    assert stale(now, Output(text="It is $5."), former) == 1.0
    assert stale(now, Output(text="It was $5 and is $6."), former) == 0.0
    assert stale(now, Output(abstained=True), former) == 0.0
    assert isinstance(stale(other, Output(text="9"), ()), Unscored)


def test_ranking_scores_by_hand():
    qrels = {"q": {"a": 2, "b": 1, "c": 0}, "missed": {"a": 1}, "none": {"c": 0}}
    run = {"q": ["c", "b", "a"]}
    assert recall(run, qrels, k=2)["q"] == 0.5
    assert reciprocal_rank(run, qrels)["q"] == 0.5
    # (1 / log2 3 + 2 / log2 4) / (2 / log2 2 + 1 / log2 3)
    assert ndcg(run, qrels)["q"] == pytest.approx((1 / np.log2(3) + 1) / (2 + 1 / np.log2(3)))
    assert [metric(run, qrels)["missed"] for metric in (recall, reciprocal_rank, ndcg)] == [0, 0, 0]
    assert isinstance(ndcg(run, qrels)["none"], Unscored)
    assert recall({"q": ["b", "b", "b"]}, qrels, k=3)["q"] == 0.5
    with pytest.raises(MismatchError):
        recall({"unknown": []}, qrels)


def test_ranking_agrees_with_trec_eval():
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(7)
    documents = [f"d{at}" for at in range(40)]
    qrels = {
        f"q{at}": {name: int(rng.integers(0, 4)) for name in rng.choice(documents, 8, replace=False)}
        for at in range(60)
    }
    qrels = {query: grades for query, grades in qrels.items() if any(grades.values())}
    run = {query: rng.permutation(documents)[: rng.integers(1, 40)].tolist() for query in qrels}
    scores = {query: {name: float(len(ranked) - at) for at, name in enumerate(ranked)} for query, ranked in run.items()}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recall.5", "ndcg_cut.10", "recip_rank"}).evaluate(scores)
    for query in qrels:
        assert recall(run, qrels, 5)[query] == pytest.approx(theirs[query]["recall_5"])
        assert ndcg(run, qrels, 10)[query] == pytest.approx(theirs[query]["ndcg_cut_10"])
        assert reciprocal_rank(run, qrels, 1000)[query] == pytest.approx(theirs[query]["recip_rank"])


def test_chrf_agrees_with_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    pairs = [
        ("Your order 7 ships today.", "Order 7 will ship today."),
        ("abc", "abc"),
        ("abc", "xyz"),
        ("ab", "abcdefgh ij"),
        ("the cat", "the cat sat on the mat"),
        ("日本語 text", "日本 text"),
    ]
    for text, reference in pairs:
        assert chrf(text, [reference]) == pytest.approx(
            sacrebleu.sentence_chrf(text, [reference]).score / 100, abs=1e-9
        )
    assert chrf("abc", ["xyz", "abc"]) == 1.0
    assert chrf("", ["abc"]) == 0.0


def test_slot_fidelity_wants_every_used_value_verbatim_and_no_open_place():
    item = Item(
        id="w", task="write", text="late", slots={"name": "Kim", "order": "A-7"}, output="Hi {name}, {order} is late."
    )
    assert slot_fidelity(item, "Dear Kim: order A-7 is delayed.") == 1.0
    assert slot_fidelity(item, "Dear Kim: order A7 is delayed.") == 0.0
    assert slot_fidelity(item, "Dear Kim: order A-7, {eta}.") == 0.0
    assert isinstance(slot_fidelity(Item(id="x", task="write", text="", output="Hello."), "Hello."), Unscored)


def test_write_scores_of_a_perfect_and_a_declined_reply():
    item = Item(id="w", task="write", text="late", slots={"name": "Kim"}, output="Hi {name}, sorry!")
    assert write_scores(item, Output(text="Hi Kim, sorry!")) == {"format_valid": 1, "slot_fidelity": 1, "chrf": 1}
    assert write_scores(item, Output(abstained=True)) == {"format_valid": 0, "slot_fidelity": 0, "chrf": 0}


def test_slot_values_that_look_like_places_are_not_filled_again():
    assert filled("{a} {b} {c}", {"a": "{b}", "b": "2"}) == "{b} 2 {c}"


def test_formats_are_expressions_or_json_schemas(tmp_path: Path):
    assert ReplyFormat(r"Hi .*\.", tmp_path).allows("Hi you.\nBye.")
    assert not ReplyFormat(r"Hi .*\.", tmp_path).allows("Oh, Hi you.")
    (tmp_path / "s.json").write_text(json.dumps({"type": "object", "required": ["a"]}))
    schema = ReplyFormat("s.json", tmp_path)
    assert [schema.allows(text) for text in ('{"a": 1}', "{}", "no json")] == [True, False, False]
    (tmp_path / "bad.json").write_text('{"type": 3}')
    for setting in ("(", "absent.json", "bad.json"):
        with pytest.raises(ConfigError):
            ReplyFormat(setting, tmp_path)


HOUSE = [
    f"Hi {{name}}! Thanks so much for writing in. I've checked {thing} for you, and it's all set — happy to help any time!"
    for thing in (
        "your booking",
        "the invoice",
        "that refund",
        "your plan",
        "the reader",
        "this class",
        "your payout",
        "the form",
    )
]


def test_the_house_voice_scores_above_its_neutral_rewrite():
    style = StyleDiscriminator().fit(HOUSE)
    unseen = "Hi {name}! Thanks so much for your note. I've moved the class for you, and it's all done — happy to help!"
    house, plain, empty = style.score([unseen, neutral_rewrite(unseen), ""])
    assert house > 0.8
    assert plain < 0.4
    assert empty == 0.0
    assert style.score([]) == []


def test_neutral_rewrite_keeps_slots_and_numbers():
    rewrite = neutral_rewrite("Hi {name}! Sorry about that. You'll get {amount} within 5 days — thanks!")
    assert "{amount}" in rewrite
    assert "5 days" in rewrite
    assert "Sorry" not in rewrite
    assert neutral_rewrite("Thanks!")


def test_style_before_fit_and_without_material_is_refused():
    with pytest.raises(NotFittedError):
        StyleDiscriminator().score(["x"])
    with pytest.raises(ValueError, match="approved replies"):
        StyleDiscriminator().fit([])
    with pytest.raises(ValueError, match="approved replies"):
        StyleDiscriminator().fit(["same"], ["same"])
