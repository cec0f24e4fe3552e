import pytest

from steelyard.schema.errors import StoreError
from steelyard.stores.conformance import CHECKS, passage, staged, unit
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_promises_of_a_store(check):
    check(MemoryStore)


def test_a_passage_cannot_be_in_force_twice():
    store = MemoryStore()
    store.stage(1, staged([passage("a", "refund")]), [])
    with pytest.raises(StoreError) as caught:
        store.stage(2, staged([passage("a", "refund")]), [])
    assert caught.value.code == "stores.passage_twice"
    with pytest.raises(StoreError):
        store.stage(2, staged([passage("b", "refund"), passage("b", "refund")]), [])
    assert store.count(2) == 1  # a refused stage leaves what was there


def test_vectors_of_another_encoder_are_refused():
    from steelyard.schema.scope import Scope

    store = MemoryStore()
    store.stage(1, staged([passage("a", "refund")]), [])
    for act in (
        lambda: store.dense(unit(1.0)[:5], Scope(), 3, 1),
        lambda: store.stage(2, Staged([passage("b", "x")], unit(1.0)[None, :5]), []),
    ):
        with pytest.raises(StoreError) as caught:
            act()
        assert caught.value.code == "stores.other_encoder"
    with pytest.raises(StoreError) as caught:
        store.stage(2, Staged([passage("b", "x")], unit(1.0)[None, :].repeat(2, axis=0)), [])
    assert caught.value.code == "stores.vector_count"
