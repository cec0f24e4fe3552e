from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from steelyard import catalog
from steelyard.catalog import Catalog, Part
from steelyard.schema.errors import MissingExtraError, NotFoundError

TABLE = Catalog(
    "store",
    {
        "ordered": Part("collections:OrderedDict", "keeps order"),
        "counter": Part("collections:Counter", "counts", approach="rag", task="answer"),
        "absent": Part("no_such_library.part:Thing", "needs a library", extra="train"),
        "broken": Part("steelyard.no_such_room:Thing", "a mistake of ours", extra="train"),
        "plain": Part("no_such_library:Thing", "needs a library, and nobody says which extra"),
    },
)


def test_names_and_parts_stand_in_table_order() -> None:
    assert TABLE.names() == ["ordered", "counter", "absent", "broken", "plain"]
    assert [name for name, _ in TABLE] == TABLE.names()
    assert dict(TABLE)["counter"].approach == "rag"


def test_a_part_is_loaded_by_name() -> None:
    from collections import Counter

    assert TABLE.load("counter") is Counter


def test_an_unknown_part_names_the_nearest() -> None:
    with pytest.raises(NotFoundError) as caught:
        TABLE.load("conter")
    assert caught.value.code == "catalog.unknown_store"
    assert caught.value.remedy == "Did you mean 'counter'?"
    with pytest.raises(NotFoundError, match="Known: ordered, counter"):
        TABLE.part("zzz")


def test_a_missing_library_names_the_extra_and_the_part_stays_listed() -> None:
    with pytest.raises(MissingExtraError) as caught:
        TABLE.load("absent")
    assert "steelyard[train]" in caught.value.remedy
    assert "no_such_library" in caught.value.message
    assert "absent" in TABLE.names()


@pytest.mark.parametrize("name", ["broken", "plain"])
def test_a_mistake_of_ours_is_not_dressed_up_as_a_missing_extra(name) -> None:
    with pytest.raises(ModuleNotFoundError):
        TABLE.load(name)


def test_plug_ins_join_behind_and_never_replace_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("mine", "collections:deque", "steelyard.store"),
        EntryPoint("counter", "collections:deque", "steelyard.store"),
    ]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points if group == "steelyard.store" else [])
    table = Catalog(TABLE.kind, TABLE._parts)  # a table looks for plug-ins once, when it is first asked
    assert table.names()[-1] == "mine"
    assert table.part("counter").target == "collections:Counter"
    assert table.load("mine").__name__ == "deque"


def test_every_part_of_every_table_points_to_something_that_is_there() -> None:
    from importlib import import_module

    from steelyard.corpus.parsing import PARSERS
    from steelyard.stores import STORES

    for table in (PARSERS, STORES):
        for _, part in table:
            module, _, attribute = part.target.partition(":")
            assert hasattr(import_module(module), attribute), part.target
            assert part.role
