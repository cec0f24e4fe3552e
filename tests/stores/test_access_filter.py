"""How a search knows what its asker may see: by rule and not by row, once for an asker and not once for a question."""

from __future__ import annotations

import pytest

from steelyard.schema.scope import Access, Scope
from steelyard.stores.conformance import ANYONE, STAFF, STAFF_SCOPE, random_corpus, unit
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore

ROWS = 600


@pytest.fixture(params=["memory", "lance", "lance, clustered"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    return LanceStore(tmp_path, **({"exact_rows": 0} if "clustered" in request.param else {}))


def test_no_search_looks_at_the_access_of_a_row(store, monkeypatch) -> None:
    corpus = random_corpus(ROWS, seed=7)
    store.stage(1, corpus, [])
    store.optimize()
    rules = {passage.access for passage in corpus.passages}
    assert len(rules) * 20 < ROWS
    asked: list[Access] = []
    permits = Access.permits

    def counted(self: Access, scope: Scope) -> bool:
        asked.append(self)
        return permits(self, scope)

    monkeypatch.setattr(Access, "permits", counted)

    def searched(scope: Scope) -> int:
        asked.clear()
        store.lexical("refund invoice", scope, 10, 1)
        store.dense(unit(1.0), scope, 10, 1)
        store.pool("refund", unit(1.0), scope, 10, 1)
        store.named([corpus.passages[0].id], scope, 1)
        return len(asked)

    for scope in (ANYONE, STAFF_SCOPE):
        assert 0 < searched(scope) <= len(rules) + 1
        assert searched(scope) == 0
    # A changed rule is looked at anew, and again once only.
    store.restrict({corpus.passages[0].document: STAFF}, 3)
    assert 0 < searched(ANYONE) <= len(rules) + 2
    assert searched(ANYONE) == 0
