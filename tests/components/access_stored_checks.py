"""The fast access tests of what is stored: versions that are read, and a table that follows what its store was told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from corpus.corpus_bench import Bench
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.schema.corpus import Citation, DocumentVersion, Passage
from steelyard.schema.errors import NotFoundError
from steelyard.schema.scope import Scope
from steelyard.stores import conformance
from steelyard.stores.lance import LanceStore
from stores import test_lance


def reads(folder: Path) -> None:
    """Stored versions are read and cited by those who may see them; forbidden and absent sound the same."""
    bench = Bench(folder)
    with contextlib.closing(bench):
        bench.rules = [SourceRule(path="docs", allow=("everyone",))]
        for name, front in (("open", ""), ("closed", "---\nallow: [staff]\n---\n"), ("erased", ""), ("late", "")):
            bench.write(f"{name}.md", f"{front}The words of {name}.")
        bench.ingest()
        library = bench.library
        held = {one.document.removeprefix("docs/").removesuffix(".md"): one for one in library.versions(1)}
        library.control.erase(versions=[("docs/erased.md", held["erased"].version)], by="test")
        seen = {}
        for name, one in held.items():
            quote = Citation(
                document=one.document, version=one.version, start=0, end=3, quote=one.text[:3], heading=(), page=None
            )
            for groups in ((), ("staff",)):
                asker = Scope(groups=frozenset(groups))
                read = _read(library, one.document, one.version, asker)
                ok = not isinstance(read, str)
                if isinstance(read, str):
                    assert read == f"there is no version {one.version[:12]} of '{one.document}'."
                else:
                    assert (read.document, read.access) == (one.document, library.access_now(one.document))
                assert (library.cited(quote, asker) is not None) == ok
                seen[name, *groups] = ok
        assert {key for key, ok in seen.items() if ok} == {
            ("open",),
            ("open", "staff"),
            ("closed", "staff"),
            ("late",),
            ("late", "staff"),
        }
        for document in ("docs/none.md", held["open"].document):
            assert _read(library, document, "0" * 64, Scope()) == f"there is no version {'0' * 12} of '{document}'."


def _read(library: Library, document: str, version: str, asker: Scope) -> DocumentVersion | str:
    try:
        return library.read(document, version, asker)
    except NotFoundError as error:
        return error.message


def lance_follows(folder: Path) -> None:
    """The table follows what its store was told, so that a store opened later does too."""
    store = LanceStore(folder / "one")
    rows = [conformance.passage(name, "refund") for name in "abc"]
    store.stage(1, conformance.staged(rows), [])
    store.restrict({"docs/a.md": conformance.STAFF}, 4, [("docs/b.md", "0" * 64)])
    assert test_lance.access_of(store) == ["c"]
    store.optimize()
    opened = LanceStore(folder / "one")
    assert (opened.epoch, test_lance.access_of(opened)) == (4, ["c"])
    assert test_lance.access_of(opened, 1, conformance.STAFF_SCOPE) == ["a", "c"]
    store.restrict({"docs/c.md": conformance.STAFF}, 6)
    behind = LanceStore(folder / "one")
    assert (behind.epoch, test_lance.access_of(behind)) == (4, ["c"])
    test_lance.test_a_process_that_is_behind_does_not_write_its_access_over_a_newer_one(folder / "two", 200_000)
    _rows_staged_while_access_is_written(folder / "four", rows)
    late = LanceStore(folder / "three")
    late.stage(1, conformance.staged(rows), [])
    late.restrict({"docs/a.md": conformance.STAFF}, 5)
    LanceStore(folder / "three").stage(2, conformance.staged([conformance.passage("d", "refund")]), [])
    assert test_lance.access_of(late, 2) == ["b", "c", "d"]
    plan_of = LanceStore(folder / "three", exact_rows=0)
    assert [
        len(_rows(plan_of, scope, at)) for scope in (conformance.ANYONE, conformance.STAFF_SCOPE) for at in (1, 2)
    ] == [
        3,
        4,
        3,
        4,
    ]


def _rows_staged_while_access_is_written(folder: Path, rows: list[Passage]) -> None:
    store = LanceStore(folder)
    store.stage(1, conformance.staged(rows), [])
    store.restrict({"docs/a.md": conformance.STAFF}, 5)
    settle = store._mark.settle

    def late(write: Callable[[], None]) -> bool:
        other = LanceStore(folder)
        other.stage(2, conformance.staged([replace(rows[0], id="a2")]), ["a"])
        return settle(write)

    store._mark.settle = late  # type: ignore[method-assign]
    store.optimize()
    assert test_lance.access_of(LanceStore(folder), 2) == ["b", "c"]


def _rows(store: LanceStore, scope: Scope, at: int) -> list[str]:
    from steelyard.stores.lance_table import visible

    return list(store._table().search().where(visible(scope, at)).select(["id"]).to_arrow().column("id").to_pylist())
