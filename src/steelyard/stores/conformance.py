"""The promises of `Store`, one check each, for any backend.

Run every entry of `CHECKS` with a function that makes an empty store: `for check in CHECKS: check(make)`. A check
raises AssertionError where a promise is broken. The oracle is `MemoryStore` where a promise is about agreement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from steelyard.schema.corpus import Heading, Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.conformance_parts import PARTS
from steelyard.stores.interface import Staged, Store
from steelyard.stores.memory import MemoryStore
from steelyard.stores.planted import (
    ANYONE,
    DIM,
    EVERYONE,
    STAFF,
    STAFF_SCOPE,
    WORDS,
    assert_same,
    ids,
    passage,
    random_corpus,
    staged,
    unit,
)

Make = Callable[[], Store]


def check_an_empty_store_answers_with_nothing(make: Make) -> None:
    """No rows, no hits, and no error from any method."""
    store = make()
    assert store.dense(unit(1.0), ANYONE, 5, 1) == []
    assert store.lexical("refund", ANYONE, 5, 1) == []
    assert store.similarities(unit(1.0), ["a"], ANYONE, 1) == {}
    assert store.passages(ANYONE, 1) == []
    assert store.count(1) == 0
    store.discard(1)
    store.optimize()
    store.stage(1, Staged([], np.zeros((0, DIM), dtype=np.float32)), ["unknown"])
    assert store.count(1) == 0
    store.stage(2, staged([passage("a", "refund")]), [])
    assert ids(store.lexical("refund", ANYONE, 5, 2)) == ["a"]


def check_passages_come_back_whole(make: Make) -> None:
    """Every field of a passage survives, in every method that returns one."""
    store = make()
    whole = Passage(
        id="docs/größe.md@0a0b0c0d0e0f:7-23",
        document="docs/größe.md",
        version="0a0b0c0d0e0f" + "1" * 52,
        title="Größe 'quoted' \"twice\"",
        start=7,
        end=23,
        text="refund\n\ttable 🧾 x",
        heading=("Größe", "Second; -- level"),
        page=4,
        access=Access(allow=("everyone", "it's"), deny=("user:o'hara",)),
        valid_from=datetime(2025, 12, 31, 23, 59, 59, 123456, tzinfo=UTC),
        lead='Größe | "Preis"',
        headings=(Heading(level=1, text="Größe", start=0), Heading(level=3, text="Second; -- 'level'", start=9)),
    )
    store.stage(1, staged([whole]), [])
    assert store.passages(ANYONE, 1) == [whole]
    (found,) = store.dense(unit(1.0), ANYONE, 3, 1)
    assert found.passage == whole
    assert found.parts == (("dense", found.score),)
    assert abs(found.score - 1.0) < 1e-5
    (found,) = store.lexical("refund", ANYONE, 3, 1)
    assert found.passage == whole
    assert found.parts == (("bm25", found.score),)
    assert found.score > 0
    assert store.passages(Scope(user="o'hara"), 1) == []


def check_only_visible_passages_are_found(make: Make) -> None:
    """Scope decides in every method; an empty rule means nobody; a user's own rule counts."""
    store = make()
    rules = {
        "a": EVERYONE,
        "b": STAFF,
        "c": Access(),
        "d": Access(allow=("user:ada",)),
        "e": Access(allow=("user:eve",)),
    }
    store.stage(1, staged([passage(name, "refund policy", rule) for name, rule in rules.items()]), [])
    for scope, visible in ((ANYONE, ["a"]), (STAFF_SCOPE, ["a", "b", "d"]), (Scope(user="eve"), ["a", "e"])):
        assert ids(store.dense(unit(1.0), scope, 9, 1)) == visible
        assert ids(store.lexical("refund", scope, 9, 1)) == visible
        assert [entry.id for entry in store.passages(scope, 1)] == visible
        assert sorted(store.similarities(unit(1.0), list(rules), scope, 1)) == visible
    assert store.count(1) == 5


def check_deny_beats_allow(make: Make) -> None:
    """Who is both allowed and denied sees nothing, also when `everyone` is denied."""
    store = make()
    rules = {
        "a": Access(allow=("staff",), deny=("user:ada",)),
        "b": Access(allow=("everyone",), deny=("staff",)),
        "c": Access(allow=("everyone", "staff", "user:ada"), deny=("everyone",)),
    }
    store.stage(1, staged([passage(name, "refund", rule) for name, rule in rules.items()]), [])
    assert ids(store.dense(unit(1.0), STAFF_SCOPE, 9, 1)) == []
    assert ids(store.lexical("refund", STAFF_SCOPE, 9, 1)) == []
    assert ids(store.dense(unit(1.0), Scope(user="bob", groups=frozenset({"staff"})), 9, 1)) == ["a"]
    assert ids(store.dense(unit(1.0), ANYONE, 9, 1)) == ["b"]


def check_names_are_data(make: Make) -> None:
    """Quotes and operators in the names of users, groups and passages match only themselves."""
    store = make()
    store.stage(
        1, staged([passage("x' OR '1'='1", "refund", STAFF), passage("b", "refund", Access(allow=("o'hara",)))]), []
    )
    for name in ("' OR 1=1 --", "staff') OR array_has_any(allow, ['staff", "x'); DROP", "\\", '"staff"', "STAFF"):
        scope = Scope(user=name, groups=frozenset({name}))
        assert store.dense(unit(1.0), scope, 9, 1) == []
        assert store.passages(scope, 1) == []
    assert ids(store.dense(unit(1.0), Scope(groups=frozenset({"o'hara"})), 9, 1)) == ["b"]
    store.stage(2, staged([]), ["x' OR '1'='1"])
    assert store.count(2) == 1


def check_k_is_filled_whatever_share_is_visible(make: Make) -> None:
    """Exactly k hits while k are visible, although nearer ones are hidden."""
    store = make()
    rows = [passage(f"h{number:03d}", "refund", STAFF) for number in range(200)]
    rows += [passage(f"v{number:03d}", "invoice refund") for number in range(12)]
    vectors = [unit(1.0, number / 1e4) for number in range(200)] + [unit(0.1, 1.0 + number) for number in range(12)]
    store.stage(1, staged(rows, vectors), [])
    store.optimize()
    for k, expected in ((0, 0), (1, 1), (10, 10), (12, 12), (50, 12)):
        hits = store.dense(unit(1.0), ANYONE, k, 1)
        assert len(hits) == expected
        assert all(hit.passage.id.startswith("v") for hit in hits)
        assert len(store.lexical("refund", ANYONE, k, 1)) == expected


def check_order_is_by_score_then_passage_id(make: Make) -> None:
    """Best first; equal scores in passage-id order, at the cut as well."""
    store = make()
    names = ["m", "c", "x", "a", "k", "b"]
    store.stage(1, staged([passage(name, "refund refund") for name in names]), [])
    store.stage(2, staged([passage("z", "refund"), passage("best", "refund " * 3)], [unit(1.0, 1.0), unit(1.0)]), ["m"])
    assert ids(store.dense(unit(1.0), ANYONE, 9, 2)) == ["a", "b", "best", "c", "k", "x", "z"]
    assert ids(store.dense(unit(1.0), ANYONE, 2, 2)) == ["a", "b"]
    assert ids(store.lexical("refund", ANYONE, 9, 2)) == ["best", "a", "b", "c", "k", "x", "z"]
    assert ids(store.lexical("refund", ANYONE, 3, 2)) == ["best", "a", "b"]
    for hits in (store.dense(unit(1.0, 0.3), ANYONE, 9, 2), store.lexical("refund", ANYONE, 9, 2)):
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)


def check_lexical_matches_stems_and_parts_of_names(make: Make) -> None:
    """A shared term is needed; stop words alone find nothing; stems and parts of joined names match; titles count."""
    store = make()
    rows = [
        passage("a", "Refunds are paid within five days."),
        passage("b", "Set autovacuum_naptime to one minute."),
        passage("c", "Nothing of interest.", title="Holiday calendar"),
    ]
    store.stage(1, staged(rows), [])
    assert ids(store.lexical("refunding", ANYONE, 5, 1)) == ["a"]
    assert ids(store.lexical("autovacuum", ANYONE, 5, 1)) == ["b"]
    assert ids(store.lexical("autovacuum_naptime?", ANYONE, 5, 1)) == ["b"]
    assert ids(store.lexical("HOLIDAYS", ANYONE, 5, 1)) == ["c"]
    for text in ("what is the", "", "  ?!", "xylophone", 'a" OR (b'):
        assert store.lexical(text, ANYONE, 5, 1) == []


def check_generations_are_isolated(make: Make) -> None:
    """What is staged changes nothing for earlier generations, scores included; later ones see the update."""
    store = make()
    store.stage(1, staged([passage("a", "refund policy"), passage("b", "invoice policy")]), [])
    before = (
        store.dense(unit(1.0), ANYONE, 9, 1),
        store.lexical("refund policy", ANYONE, 9, 1),
        store.passages(ANYONE, 1),
    )
    store.stage(2, staged([passage("c", "refund holiday refund")]), ["a"])
    after = (
        store.dense(unit(1.0), ANYONE, 9, 1),
        store.lexical("refund policy", ANYONE, 9, 1),
        store.passages(ANYONE, 1),
    )
    assert before == after
    assert ids(store.dense(unit(1.0), ANYONE, 9, 2)) == ["b", "c"]
    assert ids(store.lexical("refund", ANYONE, 9, 2)) == ["c"]
    assert sorted(store.similarities(unit(1.0), ["a", "b", "c"], ANYONE, 2)) == ["b", "c"]
    assert (store.count(0), store.count(1), store.count(2), store.count(7)) == (0, 2, 2, 2)
    store.optimize()
    assert store.lexical("refund policy", ANYONE, 9, 1) == before[1]


def check_staging_again_replaces_and_discard_undoes(make: Make) -> None:
    """Staging a generation twice keeps the second; discarding restores what it retired; both twice are harmless."""
    store = make()
    store.stage(1, staged([passage("a", "refund"), passage("b", "invoice")]), [])
    store.stage(2, staged([passage("c", "refund")]), ["a"])
    store.stage(2, staged([passage("d", "refund")]), ["b"])
    assert [entry.id for entry in store.passages(ANYONE, 2)] == ["a", "d"]
    assert ids(store.lexical("refund", ANYONE, 9, 2)) == ["a", "d"]
    store.stage(3, staged([passage("e", "refund")]), ["d"])
    for _ in range(2):
        store.discard(2)
        assert [entry.id for entry in store.passages(ANYONE, 3)] == ["a", "b"]
        assert ids(store.lexical("refund", ANYONE, 9, 9)) == ["a"]
    store.stage(2, staged([passage("f", "refund")]), [])
    assert ids(store.dense(unit(1.0), ANYONE, 9, 2)) == ["a", "b", "f"]


def check_a_passage_can_return_with_other_access(make: Make) -> None:
    """The same id, retired and added in one generation: old access before it, new access from it on."""
    store = make()
    open_passage = passage("a", "refund")
    store.stage(1, staged([open_passage]), [])
    store.stage(2, staged([replace(open_passage, access=STAFF)]), ["a"])
    assert ids(store.dense(unit(1.0), ANYONE, 9, 1)) == ["a"]
    assert store.dense(unit(1.0), ANYONE, 9, 2) == []
    assert store.lexical("refund", ANYONE, 9, 2) == []
    assert ids(store.lexical("refund", STAFF_SCOPE, 9, 2)) == ["a"]
    assert store.passages(STAFF_SCOPE, 2)[0].access == STAFF
    assert store.count(2) == 1
    store.discard(2)
    assert ids(store.lexical("refund", ANYONE, 9, 2)) == ["a"]


def check_access_is_that_of_now_in_every_generation(make: Make) -> None:
    """After `restrict`, earlier generations too follow the new access; granting, narrowing, and rows staged later included."""
    store, open_, closed = make(), passage("a", "refund policy"), passage("b", "refund refund", STAFF)
    store.stage(1, staged([open_, closed, passage("c", "refund")]), [])
    store.stage(2, staged([replace(closed, id="b2")]), ["a", "b"])
    assert store.epoch == 0
    ada = Access(allow=("user:ada",))
    store.restrict({"docs/a.md": STAFF, "docs/b.md": ada, "docs/unknown.md": STAFF}, 7)
    assert store.epoch == 7
    for generation, expected in ((1, ["a", "b", "c"]), (2, ["b2", "c"])):
        assert ids(store.dense(unit(1.0), STAFF_SCOPE, 9, generation)) == expected
        assert ids(store.dense(unit(1.0), ANYONE, 9, generation)) == ["c"]
        assert ids(store.lexical("refund", ANYONE, 9, generation)) == ["c"]
        assert sorted(store.similarities(unit(1.0), ["a", "b", "b2", "c"], ANYONE, generation)) == ["c"]
        assert [entry.id for entry in store.passages(STAFF_SCOPE, generation)] == expected
    assert {hit.passage.access for hit in store.lexical("refund", Scope(user="ada"), 9, 2)} == {EVERYONE, ada}
    store.optimize()
    store.stage(3, staged([replace(open_, id="a3", access=STAFF)]), [])
    assert ids(store.lexical("policy", ANYONE, 9, 3)) == []
    store.discard(2)
    assert ids(store.lexical("refund", ANYONE, 9, 9)) == ["c"]
    store.restrict({"docs/a.md": EVERYONE}, 9)
    assert ids(store.lexical("policy", ANYONE, 9, 1)) == ["a"]
    assert store.passages(ANYONE, 1)[0].access == EVERYONE


def check_nobody_sees_what_is_withheld(make: Make) -> None:
    """A withheld version of a document, or of any, is gone for all in every generation; equal words elsewhere stay."""
    store = make()
    old, new = (
        replace(passage("a", "refund old"), version="1" * 64),
        replace(passage("a2", "refund new"), version="2" * 64),
    )
    new = replace(new, document=old.document)
    twin = replace(passage("t", "refund old"), version="1" * 64)
    store.stage(1, staged([old, twin]), [])
    store.stage(2, staged([new]), ["a"])
    store.restrict({}, 1, [(old.document, "1" * 64)])
    assert ids(store.lexical("refund", STAFF_SCOPE, 9, 1)) == ["t"]
    assert ids(store.dense(unit(1.0), STAFF_SCOPE, 9, 2)) == ["a2", "t"]
    store.restrict({old.document: EVERYONE}, 2, [("", "1" * 64)])
    assert ids(store.lexical("refund", STAFF_SCOPE, 9, 1)) == []
    assert ids(store.lexical("refund", STAFF_SCOPE, 9, 2)) == ["a2"]
    assert store.similarities(unit(1.0), ["a", "t"], STAFF_SCOPE, 1) == {}
    assert store.count(1) == 2


def check_one_of_two_equal_passages_can_go(make: Make) -> None:
    """Two documents with the same text: retiring one leaves exactly the other."""
    store = make()
    store.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    store.stage(2, staged([]), ["a"])
    assert ids(store.dense(unit(1.0), ANYONE, 9, 2)) == ["b"]
    assert ids(store.lexical("refund", ANYONE, 9, 2)) == ["b"]


def check_purged_rows_are_gone_and_the_rest_is_as_it_was(make: Make) -> None:
    """Rows of no kept generation and rows of erased documents go; kept generations answer as before; staging goes on."""
    store = make()
    assert store.purge([1], {("docs/a.md", "0" * 64)}) == 0
    store.stage(1, staged([passage("a", "refund policy"), passage("b", "invoice policy")]), [])
    store.stage(2, staged([passage("c", "refund holiday"), passage("d", "quota limit")]), ["a"])
    store.stage(3, staged([passage("e", "refund quota"), passage("a", "refund policy")]), ["c"])
    before = {
        generation: (store.lexical("refund policy quota", ANYONE, 9, generation), store.passages(ANYONE, generation))
        for generation in (1, 3)
    }
    assert store.purge([1, 3], set()) == 1
    assert store.purge([1, 3], set()) == 0
    for generation, (hits, passages) in before.items():
        assert store.lexical("refund policy quota", ANYONE, 9, generation) == hits
        assert store.passages(ANYONE, generation) == passages
    assert store.purge([3, 1], {("docs/b.md", "0" * 64), ("docs/d.md", "1" * 64), ("", "2" * 64)}) == 1
    assert store.purge([1, 3], {("docs/unknown.md", "")}) == 0
    assert ids(store.lexical("policy", ANYONE, 9, 1)) == ["a"]
    assert ids(store.dense(unit(1.0), ANYONE, 9, 3)) == ["a", "d", "e"]
    store.stage(4, staged([passage("b", "refund policy")]), ["e"])
    assert ids(store.dense(unit(1.0), ANYONE, 9, 4)) == ["a", "b", "d"]
    assert ids(store.lexical("refund", ANYONE, 9, 4)) == ["a", "b"]
    store.discard(4)
    assert ids(store.lexical("quota", ANYONE, 9, 4)) == ["d", "e"]
    assert store.purge([1, 3], {("", "0" * 64)}) == 4
    assert store.count(3) == 0
    store.stage(5, staged([passage("f", "refund")]), [])
    assert ids(store.lexical("refund", ANYONE, 9, 5)) == ["f"]


def check_hidden_and_absent_cannot_be_told_apart(make: Make) -> None:
    """Scores over what an asker sees are those of an index that holds nothing else."""
    corpus = random_corpus(150, seed=3)
    whole, visible = make(), make()
    whole.stage(1, corpus, [])
    for scope in (ANYONE, STAFF_SCOPE):
        rows = [number for number, entry in enumerate(corpus.passages) if entry.access.permits(scope)]
        visible.discard(1)
        visible.stage(1, Staged([corpus.passages[row] for row in rows], corpus.vectors[rows]), [])
        for word in WORDS:
            assert whole.lexical(word, scope, 20, 1) == visible.lexical(word, scope, 20, 1)
        assert ids(whole.dense(unit(1.0, 0.5), scope, 20, 1)) == ids(visible.dense(unit(1.0, 0.5), scope, 20, 1))


def check_it_agrees_with_the_exact_reference(make: Make) -> None:
    """Over random updates: the same hits in the same order as `MemoryStore`, scores to 1e-5."""
    store, reference = make(), MemoryStore()
    first, second = random_corpus(120, seed=5), random_corpus(180, seed=6)
    late = Staged(second.passages[120:], second.vectors[120:])
    gone = [entry.id for entry in first.passages[::9]]
    for target in (store, reference):
        target.stage(1, first, [])
        target.stage(2, late, gone)
        target.optimize()
    queries = random_corpus(12, seed=7).vectors
    for scope in (ANYONE, STAFF_SCOPE, Scope(user="ada")):
        for generation in (1, 2):
            for vector in queries:
                assert_same(store.dense(vector, scope, 15, generation), reference.dense(vector, scope, 15, generation))
                names = [entry.id for entry in first.passages]
                ours = store.similarities(vector, names, scope, generation)
                theirs = reference.similarities(vector, names, scope, generation)
                assert ours.keys() == theirs.keys()
                assert all(abs(ours[name] - theirs[name]) < 1e-5 for name in ours)
            for word in WORDS:
                assert_same(store.lexical(word, scope, 15, generation), reference.lexical(word, scope, 15, generation))
            assert store.passages(scope, generation) == reference.passages(scope, generation)


CHECKS: tuple[Callable[[Make], None], ...] = (
    *(value for name, value in sorted(globals().items()) if name.startswith("check_") and callable(value)),
    *PARTS,
)
