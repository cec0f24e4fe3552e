"""Promises of `Store` about staging in parts and about scores without passages; `conformance.CHECKS` holds them too."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.stores.interface import Staged, Store
from steelyard.stores.planted import ANYONE, STAFF_SCOPE, WORDS, assert_same, passage, random_corpus, staged, unit

Make = Callable[[], Store]


def check_a_generation_can_be_staged_in_parts(make: Make) -> None:
    """`extend` adds to the generation staged last, as if all had been staged at once; discarding takes all parts away."""
    store, whole = make(), make()
    corpus = random_corpus(90, seed=11)
    for target in (store, whole):
        target.stage(1, Staged(corpus.passages[:30], corpus.vectors[:30]), [])
    gone = [entry.id for entry in corpus.passages[:30:4]]
    whole.stage(2, Staged(corpus.passages[30:], corpus.vectors[30:]), gone)
    store.stage(2, Staged(corpus.passages[30:31], corpus.vectors[30:31]), gone)
    for start, end in ((31, 50), (50, 51), (51, 51), (51, 90)):
        store.extend(2, Staged(corpus.passages[start:end], corpus.vectors[start:end]))
    for generation in (1, 2):
        assert store.count(generation) == whole.count(generation)
        assert store.passages(STAFF_SCOPE, generation) == whole.passages(STAFF_SCOPE, generation)
        for word in WORDS:
            assert_same(
                store.lexical(word, STAFF_SCOPE, 15, generation), whole.lexical(word, STAFF_SCOPE, 15, generation)
            )
        assert_same(
            store.dense(unit(1.0, 2.0), ANYONE, 15, generation), whole.dense(unit(1.0, 2.0), ANYONE, 15, generation)
        )
    store.discard(2)
    assert store.count(2) == 30
    store.stage(2, staged([passage("new", "refund")]), [])
    assert store.count(2) == 31


def check_what_is_stored_can_be_read_back_for_checks(make: Make) -> None:
    """`stored` gives every row with its vector and its generations, also what is retired; nothing is damaged."""
    store = make()
    corpus = random_corpus(40, seed=13)
    assert list(store.stored()) == []
    store.stage(1, corpus, [])
    store.stage(2, staged([passage("new", "refund")]), [corpus.passages[0].id])
    store.optimize()
    parts = list(store.stored())
    found = [entry for part in parts for entry in part.passages]
    assert [(entry.id, entry.text) for entry in found] == [
        *((entry.id, entry.text) for entry in corpus.passages),
        ("new", "refund"),
    ]
    assert sum(len(part.vectors) for part in parts) == 41
    assert abs(parts[0].vectors[:40] - corpus.vectors).max() < 1e-6
    added = [one for part in parts for one in part.added]
    retired = [one for part in parts for one in part.retired]
    assert added == [1] * 40 + [2]
    assert retired[0] == 2
    assert all(one > 2 for one in retired[1:])
    assert store.faults() == []


def check_a_pool_holds_both_rankings_of_what_is_visible(make: Make) -> None:
    """`pool` has the scores of `lexical` and `dense`, a cosine for every passage, and `named` gives only visible passages."""
    store = make()
    corpus = random_corpus(150, seed=12)
    store.stage(1, corpus, [])
    store.stage(2, staged([]), [entry.id for entry in corpus.passages[::5]])
    vector = unit(1.0, -0.5, 0.2)
    for scope in (ANYONE, STAFF_SCOPE):
        for generation in (1, 2):
            for k in (1, 12):
                pool = store.pool("refund invoice", vector, scope, k, generation)
                by_words = store.lexical("refund invoice", scope, k, generation)
                by_meaning = store.dense(vector, scope, k, generation)
                assert pool.lexical == {hit.passage.id: hit.score for hit in by_words}
                assert pool.dense.keys() == {hit.passage.id for hit in (*by_words, *by_meaning)}
                cosines = store.similarities(vector, list(pool.dense), scope, generation)
                assert all(abs(cosines[name] - score) < 1e-5 for name, score in pool.dense.items())
            everything = [entry.id for entry in corpus.passages]
            found = store.named([*everything, "unknown"], scope, generation)
            assert sorted(found, key=lambda entry: entry.id) == store.passages(scope, generation)
            assert [entry.id for entry in found] == [name for name in everything if name in {hit.id for hit in found}]
    assert store.pool("refund", vector, ANYONE, 0, 1).dense == {}


PARTS = (check_a_generation_can_be_staged_in_parts, check_a_pool_holds_both_rankings_of_what_is_visible)
