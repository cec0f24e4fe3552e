import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.components.calibration import (
    MAX_IN_SCOPE_LOSS,
    fit_temperature,
    fit_threshold,
    log_softmax,
    negative_log_likelihood,
    outside_distance,
)
from steelyard.components.knn import NearestExamples
from steelyard.components.lexical import LexicalFeatures
from steelyard.components.linear_head import LinearHead
from steelyard.components.slots import fill, fitting, situation
from steelyard.components.slots import given as given_slots
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import NotFittedError, UserError

TOPICS = {
    "card": [
        "my card is lost",
        "the card was stolen",
        "block the card please",
        "a new card when",
        "card does not work",
    ],
    "fee": ["why this fee", "refund the fee", "what is the monthly fee", "fee is too high", "waive my fee please"],
    "login": ["cannot log in", "login fails again", "reset my login", "log in code missing", "login page is blank"],
}


def labelled(copies: int = 4):
    words = ("now", "today", "sir", "thanks")[:copies]
    texts = [f"{text} {word}" for group in TOPICS.values() for text in group for word in words]
    labels = [label for label, group in TOPICS.items() for _ in group for _ in range(copies)]
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[at] for at in order], [labels[at] for at in order]


def parts(encoder=None):
    encoder = encoder or FakeEncoder()
    texts, labels = labelled()
    cut = 45
    vectors = encoder.encode(texts)
    return (texts[:cut], vectors[:cut], labels[:cut]), (texts[cut:], vectors[cut:], labels[cut:])


SAMPLES = [
    "Where is my CARD? It hasn't arrived, and I'm waiting…",
    "a",
    "",
    "   ",
    "naïve café — 日本語 text 123,45",
    "refund refund refund the the",
    "tab\tand\nnew line  double",
]


def test_lexical_features_equal_scikit_learns_on_the_serving_path():
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [*labelled()[0], *SAMPLES, *SAMPLES]
    features = LexicalFeatures().fit(texts)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2).fit(texts)
    unseen = [*SAMPLES, "card refund unheard-of WORDS  zzz", "x" * 300]
    theirs = hstack([words.transform(unseen), grams.transform(unseen)]).toarray()
    assert features.size == theirs.shape[1]
    assert np.abs(features.matrix(unseen).toarray() - theirs).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_lexical_features_equal_scikit_learns_for_any_text(text):
    from sklearn.feature_extraction.text import TfidfVectorizer

    corpus = [text, text + " card", "card fee", "card fee login"]
    features = LexicalFeatures().fit(corpus)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2).fit(corpus)
    index, values = features.transform(text)
    mine = np.zeros(features.size)
    mine[index] = values
    offset = len(features.words_)
    assert np.abs(mine[offset:] - grams.transform([text]).toarray()[0]).max() < 1e-6


def test_texts_without_any_term_have_no_features():
    features = LexicalFeatures().fit(["?", "!"])
    index, values = features.transform("?")
    assert len(index) == len(values)
    with pytest.raises(NotFittedError):
        LexicalFeatures().transform("x")


def test_head_served_with_numpy_equals_scikit_learns_probabilities():
    from sklearn.linear_model import LogisticRegression

    train, held = parts()
    head = LinearHead(lexical=False, refit=False).fit(train, held)
    model = LogisticRegression(C=head.strength_, max_iter=500).fit(train[1], train[2])
    theirs = model.predict_log_proba(held[1]) / head.temperature_
    assert head.labels_ == model.classes_.tolist()
    assert np.abs(head.log_probabilities(held[0], held[1]) - log_softmax(theirs)).max() < 1e-4


def test_head_learns_and_its_state_restores_the_same_predictions():
    train, held = parts()
    head = LinearHead().fit(train, held)
    found = head.log_probabilities(held[0], held[1])
    assert np.mean([head.labels_[at] == label for at, label in zip(found.argmax(1), held[2], strict=True)]) > 0.9
    assert np.exp(found).sum(axis=1) == pytest.approx(np.ones(len(found)))
    arrays, meta = head.state()
    again = LinearHead.from_state(arrays, json.loads(json.dumps(meta)))
    assert np.array_equal(again.log_probabilities(held[0], held[1]), found)


def test_head_is_deterministic_and_refit_adds_labels_seen_on_validation_only():
    train, held = parts()
    wider = (
        [*held[0], "something else"],
        np.concatenate([held[1], FakeEncoder().encode(["something else"])]),
        [*held[2], "other"],
    )
    first, second = LinearHead(seed=3).fit(train, wider), LinearHead(seed=3).fit(train, wider)
    assert np.array_equal(first.log_probabilities(held[0], held[1]), second.log_probabilities(held[0], held[1]))
    assert first.labels_ == ["card", "fee", "login", "other"]
    assert first.chosen_labels_ == ["card", "fee", "login"]
    assert LinearHead(refit=False).fit(train, wider).labels_ == ["card", "fee", "login"]


@pytest.mark.parametrize("labels", [["a"] * 6, ["a", "b"] * 3])
def test_head_of_one_or_two_labels_without_validation(labels):
    texts = [f"word{at} {label}" for at, label in enumerate(labels)]
    vectors = FakeEncoder().encode(texts)
    head = LinearHead().fit((texts, vectors, labels), ([], vectors[:0], []))
    found = head.log_probabilities(texts, vectors)
    assert found.shape == (6, len(set(labels)))
    assert [head.labels_[at] for at in found.argmax(1)] == labels


def test_using_parts_before_fit_is_refused():
    vectors = FakeEncoder().encode(["x"])
    with pytest.raises(NotFittedError):
        LinearHead().log_probabilities(["x"], vectors)
    with pytest.raises(NotFittedError):
        NearestExamples().scores(vectors)


def test_nearest_examples_vote_by_hand():
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    examples = NearestExamples().fit(vectors, ["a", "b", "b"], vectors[:0], [])
    votes, nearest = examples.scores(np.array([[1, 0]], dtype=np.float32))
    # Cosines 1, 0.8 and 0 at sharpness 0.1: a has exp(0), b has exp(-2) + exp(-10).
    share = 1 / (1 + np.exp(-2) + np.exp(-10))
    assert examples.labels_ == ["a", "b"]
    assert np.exp(votes[0, 0]) == pytest.approx(share, abs=2e-4)
    assert nearest[0] == pytest.approx(1.0)


def test_nearest_examples_restore_and_take_in_validation_rows():
    train, held = parts()
    examples = NearestExamples().fit(train[1], train[2], held[1], held[2])
    assert examples.scores(held[1])[1] == pytest.approx(np.ones(len(held[1])))  # they are examples now
    assert examples.validation_nearest_.min() < 0.999
    arrays, meta = examples.state()
    again = NearestExamples.from_state(arrays, json.loads(json.dumps(meta)))
    assert np.array_equal(again.scores(held[1])[0], examples.scores(held[1])[0])


def test_temperature_makes_overconfident_logits_honest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    logits = rng.normal(size=(600, 3))
    logits[np.arange(600), labels] += 1.5
    temperature = fit_temperature(logits * 5, labels)
    assert temperature == pytest.approx(5 * fit_temperature(logits, labels), rel=0.06)
    assert negative_log_likelihood(logits * 5, labels, temperature) < negative_log_likelihood(logits * 5, labels)
    assert fit_temperature(logits[:0], labels[:0]) == 1.0


def test_outside_distance_joins_flatness_and_the_out_of_scope_class():
    logs = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]))
    assert outside_distance(logs, 2) == pytest.approx([1 - 0.7 + 0.1, 1 - 0.2 + 0.7])
    assert outside_distance(logs, None) == pytest.approx([0.3, 0.3])


def test_threshold_lies_between_the_rows_it_parts():
    distance = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 1.0])
    beyond = np.array([False, False, False, True, True, True])
    assert fit_threshold(distance, ~beyond, beyond) == pytest.approx(0.55)
    assert fit_threshold(distance, ~beyond, np.zeros(6, dtype=bool)) is None
    assert fit_threshold(distance, ~beyond, np.ones(6, dtype=bool)) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_threshold_never_turns_away_more_than_it_may(seed):
    rng = np.random.default_rng(seed)
    distance, beyond = rng.random(300), rng.random(300) < 0.3
    right = rng.random(300) < 0.8
    threshold = fit_threshold(distance, right, beyond)
    assert threshold is not None
    lost = ((distance > threshold) & right & ~beyond).sum()
    assert lost <= MAX_IN_SCOPE_LOSS * (~beyond).sum()


def test_slots_are_filled_character_for_character():
    assert fill("Hi {name}: {amount}.", {"name": "{amount} \\1", "amount": "$5"}) == "Hi {amount} \\1: $5."
    with pytest.raises(UserError, match="name"):
        fill("Hi {name}", {})


@given(st.text(), st.text())
def test_any_value_stands_verbatim_in_the_reply(name, order):
    assert fill("<{name}|{order}>", {"name": name, "order": order}) == f"<{name}|{order}>"


def test_fitting_prefers_replies_that_use_most_values():
    places = [frozenset(), frozenset({"a"}), frozenset({"a", "b"}), frozenset({"a", "c"})]
    assert fitting(places, {"a", "b"}) == ([2], frozenset())
    assert fitting(places, {"a"}) == ([1], frozenset())
    assert fitting(places, {"d"}) == ([0], frozenset({"d"}))
    assert fitting(places[1:], {"d"}) == ([], frozenset({"d"}))
    assert given_slots({"a": "x", "b": " "}) == frozenset({"a"})


def test_situation_tells_slot_names_and_sentences_but_not_names_or_amounts():
    told = situation("Late!", {"name": "Kim", "answer": "It ships within two days.", "empty": ""})
    assert told == "Late!\nanswer It ships within two days. name"
    assert situation("Late!", {}) == "Late!"
