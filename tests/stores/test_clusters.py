import numpy as np
import pytest

from steelyard.schema.scope import Access, Scope
from steelyard.stores import snapshot
from steelyard.stores.clusters import clustered
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.planted import passage
from steelyard.stores.rows import Rows

DIM = 48
COUNT = 6000
EVERYBODY, SOME, FEW = (Scope(groups=frozenset({name})) for name in ("all", "some", "few"))


def vectors(count, seed):
    """Unit vectors around 60 topics that overlap."""
    generator = np.random.default_rng(seed)
    topics = np.random.default_rng(0).normal(size=(60, DIM))
    found = topics[generator.integers(60, size=count)] + generator.normal(scale=1.2, size=(count, DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def corpus():
    shares = np.random.default_rng(5).random(COUNT)
    rules = [
        Access(allow=("all", *(("some",) if share < 0.3 else ()), *(("few",) if share < 0.01 else ())))
        for share in shares
    ]
    return Staged([passage(f"p{row:05d}", "word", rule) for row, rule in enumerate(rules)], vectors(COUNT, 1))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "EXACT_VISIBLE", 200)
    monkeypatch.setattr(snapshot, "PROBED", 600)
    monkeypatch.setattr(snapshot, "PROBED_FOR_A_HIT", 60)
    made = LanceStore(tmp_path, exact_rows=1000)
    made.stage(1, corpus(), [])
    made.optimize()
    assert made._snapshot.segments[0].clusters is not None
    return made


def brute(given, scope, query, k):
    seen = np.array([entry.access.permits(scope) for entry in given.passages])
    scores = np.where(seen, given.vectors @ query, -2.0)
    return [given.passages[row].id for row in np.argsort(-scores, kind="stable")[:k]]


def recall(store, given, scope, k):
    shares = []
    for query in vectors(60, 2):
        hits = store.dense(query, scope, k, 1)
        assert len(hits) == k
        assert all(hit.passage.access.permits(scope) for hit in hits)
        shares.append(len({hit.passage.id for hit in hits} & set(brute(given, scope, query, k))) / k)
    return float(np.mean(shares))


def test_clusters_find_nearly_all_for_those_who_see_much_and_all_for_those_who_see_little(store):
    given = corpus()
    assert recall(store, given, EVERYBODY, 10) >= 0.95
    assert recall(store, given, SOME, 10) >= 0.95
    assert recall(store, given, FEW, 10) == 1.0


def test_less_is_compared_than_there_is(store, monkeypatch):
    compared = []
    products = snapshot._products
    monkeypatch.setattr(
        snapshot,
        "_products",
        lambda held, places, query: (compared.append(len(places)), products(held, places, query))[1],
    )
    store.dense(vectors(1, 2)[0], EVERYBODY, 10, 1)
    assert 600 <= sum(compared) < COUNT / 4


def test_every_vector_is_in_one_cluster_at_its_place():
    held = vectors(500, 3)
    found = clustered(lambda: iter([held[:200], held[200:]]), 500)
    assert sorted(found.order.tolist()) == list(range(500))
    assert found.order[found.place].tolist() == list(range(500))
    assert found.starts[-1] == 500
    for cluster in range(len(found.centroids)):
        rows = found.order[found.starts[cluster] : found.starts[cluster + 1]]
        assert (np.diff(rows) > 0).all()
        assert ((held[rows] @ found.centroids.T).argmax(axis=1) == cluster).all()


def test_access_is_decided_once_for_each_rule_not_for_each_row(monkeypatch):
    # Named trap: a filter that silently scans. Here the index of access is the row's rule number.
    rows = Rows().staged(1, corpus().passages, [])
    asked = []
    permits = Access.permits
    monkeypatch.setattr(Access, "permits", lambda rule, scope: (asked.append(rule), permits(rule, scope))[1])
    view = rows.view(SOME, 1)
    assert len(asked) == len(rows.rules) == 3
    assert 0.2 * COUNT < len(view.rows) < 0.4 * COUNT
    rows.view(SOME, 1)
    assert len(asked) == 3
