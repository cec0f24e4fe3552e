"""Ingest with the real index backends: what is staged is found, by those who may see it."""

from __future__ import annotations

import pytest

from steelyard.schema.scope import Scope
from steelyard.stores import STORES


@pytest.fixture(params=["memory", "lance"])
def store(request, tmp_path):
    if request.param == "memory":
        return STORES.load("memory")()
    pytest.importorskip("lancedb")
    return STORES.load("lance")(tmp_path / "index")


def found(store, bench, words: str, *groups: str) -> list[str]:
    scope = Scope(groups=frozenset(groups))
    return [hit.passage.document for hit in store.lexical(words, scope, 10, bench.library.in_force())]


def test_an_edit_a_narrowing_and_a_rollback_reach_the_index(bench, store):
    bench.index = store
    store.close = lambda: None
    bench.write("prices.md", "# Prices\n\nThe studio costs twelve dollars.")
    bench.write("guild.md", "---\nallow: [guild]\n---\n# Guild\n\nThe guild discount is a third.")
    bench.ingest()
    assert found(store, bench, "studio dollars") == ["docs/prices.md"]
    assert found(store, bench, "discount") == []
    assert found(store, bench, "discount", "guild") == ["docs/guild.md"]
    bench.write("prices.md", "# Prices\n\nThe studio costs fourteen dollars.")
    bench.write("guild.md", "---\nallow: [staff]\n---\n# Guild\n\nThe guild discount is a third.")
    report = bench.ingest()
    assert (report.updated, report.generation) == (2, 2)
    assert found(store, bench, "discount", "guild") == []
    assert found(store, bench, "fourteen") == ["docs/prices.md"]
    assert found(store, bench, "twelve") == []
    assert store.count(2) == report.passages
    bench.library.switch(1)
    assert found(store, bench, "twelve") == ["docs/prices.md"]


def test_a_changed_source_rule_holds_in_every_generation_and_makes_none(bench, store):
    bench.index = store
    store.close = lambda: None
    bench.write("a.md", "Plain words.")
    bench.ingest()
    bench.rules = [type(bench.rules[0])(path="docs", allow=("staff",))]
    report = bench.ingest()
    assert (report.generation, report.updated, report.access_changed, report.unchanged) == (1, 1, 1, 0)
    assert found(store, bench, "plain") == []
    assert found(store, bench, "plain", "staff") == ["docs/a.md"]
    bench.write("b.md", "Other words.")
    bench.ingest()
    bench.library.switch(1)
    assert found(store, bench, "plain") == []
    assert found(store, bench, "plain", "staff") == ["docs/a.md"]
