import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.components.fusion import (
    FEWEST_QUESTIONS,
    NEUTRAL_WEIGHT,
    WEIGHTS,
    convex,
    document_ranking,
    scaled,
    tune_dense_weight,
)
from steelyard.schema.corpus import Hit
from steelyard.stores.conformance import passage


def hit(name, bm25, dense, score=0.0):
    return Hit(passage=passage(name, name), score=score, parts=(("bm25", bm25), ("dense", dense)))


def test_fusion_by_hand():
    # bm25: a 1, b 0.5, c 0; dense: a 0, b 0.25, c 1
    fused = convex({"a": 8.0, "b": 4.0}, {"b": 0.2, "c": 0.8}, 0.25)
    assert fused == pytest.approx({"a": 0.75, "b": 0.75 * 0.5 + 0.25 * 0.25, "c": 0.25})


def test_nothing_found_and_negative_cosines_are_zero():
    assert convex({}, {}, 0.5) == {}
    assert scaled({"a": -0.4, "b": 0.0}) == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_weight_outside_0_to_1_is_refused(weight):
    with pytest.raises(ValueError, match="from 0 to 1"):
        convex({"a": 1.0}, {}, weight)


scores = st.dictionaries(st.sampled_from("abcdef"), st.floats(-1, 50, allow_nan=False), max_size=6)


@given(scores, scores, st.floats(0, 1))
def test_fused_scores_lie_from_0_to_1_and_the_ends_are_the_parts(lexical, dense, weight):
    fused = convex(lexical, dense, weight)
    assert fused.keys() == lexical.keys() | dense.keys()
    assert all(0.0 <= score <= 1.0 + 1e-12 for score in fused.values())
    for name, score in scaled(lexical).items():
        assert convex(lexical, dense, 0.0)[name] == pytest.approx(score)
    for name, score in scaled(dense).items():
        assert convex(lexical, dense, 1.0)[name] == pytest.approx(score)


def test_documents_rank_by_their_best_passage():
    hits = [hit("a", 0, 0, 0.4), hit("b", 0, 0, 0.9), hit("a", 0, 0, 0.9), hit("c", 0, 0, 0.1)]
    assert document_ranking(hits) == [("docs/a.md", 0.9), ("docs/b.md", 0.9), ("docs/c.md", 0.1)]


def test_too_few_questions_keep_the_neutral_weight():
    pools = [[hit("a", 1.0, 0.1), hit("b", 0.1, 1.0)]] * (FEWEST_QUESTIONS - 1)
    tuned = tune_dense_weight(pools, [{"docs/a.md"}] * len(pools))
    assert (tuned.dense_weight, tuned.ndcg, tuned.questions) == (NEUTRAL_WEIGHT, {}, FEWEST_QUESTIONS - 1)


def test_tuning_prefers_the_part_that_is_right():
    pools = [[hit("a", 9.0, 0.1), hit("b", 3.0, 0.9)]] * 20
    by_words = tune_dense_weight(pools, [{"docs/a.md"}] * 20)
    by_meaning = tune_dense_weight(pools, [{"docs/b.md"}] * 20)
    assert by_words.dense_weight < 0.4 < by_meaning.dense_weight
    assert by_words.ndcg[0.0] == 1.0
    assert by_words.ndcg[1.0] == pytest.approx(1 / math.log2(3))  # second of two


def test_tuning_finds_the_middle_where_both_are_needed():
    # Each part alone puts a wrong document first on half of the questions; together they are right on all.
    pools, gold = [], []
    for _ in range(30):
        wrong_words, wrong_meaning = (10.0, 0.2), (2.0, 0.9)
        right = (9.0, 0.8)
        pools.append([hit("w", *wrong_words), hit("m", *wrong_meaning), hit("r", *right)])
        gold.append({"docs/r.md"})
    tuned = tune_dense_weight(pools, gold)
    assert 0.2 < tuned.dense_weight < 0.9
    assert tuned.ndcg[tuned.dense_weight] == 1.0
    assert max(tuned.ndcg[0.0], tuned.ndcg[1.0]) < 1.0


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 20), st.floats(-0.2, 1)), min_size=1, max_size=5), min_size=12, max_size=14
    )
)
def test_the_chosen_weight_is_never_worse_than_its_better_part(pools):
    hits = [[hit("abcde"[place], *parts) for place, parts in enumerate(pool)] for pool in pools]
    tuned = tune_dense_weight(hits, [{"docs/b.md"}] * len(hits))
    assert tuned.dense_weight in WEIGHTS
    assert tuned.ndcg[tuned.dense_weight] >= max(tuned.ndcg[0.0], tuned.ndcg[1.0])


def test_questions_without_gold_do_not_count():
    pools = [[hit("a", 1.0, 0.1)]] * 15
    assert tune_dense_weight(pools, [set()] * 15).questions == 0
    with pytest.raises(ValueError, match="shorter"):
        tune_dense_weight(pools, [])
