import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.declining import EVIDENCE, FEWEST_ROWS, Decliner, best_threshold, evidence_features
from steelyard.components.reader import Reader
from steelyard.models.fake import FakeEncoder
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage

WIDTH = len(EVIDENCE)


def rows(count=200, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count, WIDTH))
    right = features[:, 0] + rng.normal(0, 0.5, count) > 0
    return features, right


def test_confidence_is_calibrated_on_new_rows():
    features, right = rows(2000)
    decliner = Decliner.fit(features, right)
    new, truth = rows(2000, seed=1)
    confidence = np.array([decliner.confidence(row) for row in new])
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (confidence >= low) & (confidence < low + 0.2)
        assert truth[inside].mean() == pytest.approx(confidence[inside].mean(), abs=0.12)


def test_the_threshold_loses_few_right_answers_of_new_questions():
    features, right = rows(400)
    decliner = Decliner.fit(features, right)
    new, truth = rows(2000, seed=1)
    given = np.array([decliner.confidence(row) >= decliner.threshold for row in new])
    assert given[truth].mean() >= 0.85
    assert given[~truth].mean() <= 0.3


def test_threshold_between_wrong_and_right():
    scores = np.array([0.1, 0.3, 0.6, 0.9])
    assert best_threshold(scores, np.array([False, False, True, True])) == pytest.approx(0.45)  # (0.3 + 0.6) / 2


def test_at_most_a_tenth_of_the_right_answers_is_lost():
    # 20 right, 80 wrong; without the bound, declining everything would handle 80 of 100 well.
    scores = np.linspace(0.01, 0.99, 100)
    right = np.arange(100) % 5 == 0
    threshold = best_threshold(scores, right)
    assert (scores[right] >= threshold).mean() >= 0.9


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_every_threshold_keeps_the_bound_and_is_a_probability(pairs):
    scores = np.array([score for score, _ in pairs])
    right = np.array([mark for _, mark in pairs])
    threshold = best_threshold(scores, right)
    assert 0.0 <= threshold <= 1.0
    assert (right & (scores >= threshold)).sum() >= 0.9 * right.sum()


def test_few_rows_or_rows_all_alike_decline_nothing():
    few, right = rows(FEWEST_ROWS - 1)
    for decliner in (
        Decliner.fit(few, right),
        Decliner.fit(rows(50)[0], np.ones(50, dtype=bool)),
        Decliner.fit(np.zeros((0,)), np.zeros(0, dtype=bool)),
    ):
        assert decliner.threshold == 0.0
        assert 0.0 < decliner.confidence(np.ones(WIDTH)) < 1.0
    # Laplace: (50 + 1) / (50 + 2)
    always = Decliner.fit(rows(50)[0], np.ones(50, dtype=bool))
    assert always.confidence(np.ones(WIDTH)) == pytest.approx(51 / 52)


def test_evidence_has_one_number_for_each_name():
    hits = [
        Hit(passage=passage("a", "The fee is 5 USD.", Access(allow=("everyone",))), score=0.8, parts=(("dense", 0.7),)),
        Hit(passage=passage("b", "Bees make honey.", Access(allow=("everyone",))), score=0.2, parts=(("dense", 0.1),)),
    ]
    reading = Reader(FakeEncoder(64)).read("What is the fee?", hits)
    evidence = dict(zip(EVIDENCE, evidence_features("What is the fee?", hits, reading), strict=True))
    assert evidence["dense"] == 0.7
    assert evidence["found"] == 1.0
    assert evidence["lead"] == pytest.approx(0.75)  # (0.8 - 0.2) / 0.8
