"""At least a million checks of who sees what, against a slow evaluator that shares no code: no leak, nothing wrongly hidden.

One check is one (asker, version of a document, generation, way in, store): is it found exactly when the reference says so?
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from access_world import QUESTION, WORD, Asker, Copy, World, copies_of, scope

from steelyard.candidates.answer_rag import READ_PASSAGES, RagBm25
from steelyard.candidates.interface import Tools
from steelyard.components.enforcement import EnforcedStore
from steelyard.components.retriever import Retriever
from steelyard.corpus.rebuild import rebuild
from steelyard.schema.corpus import Citation
from steelyard.schema.errors import NotFoundError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore

pytestmark = pytest.mark.slow

ASKERS = 48
STEPS = 7
MANY = 10_000
LEAST_CHECKS = 1_000_000

Found = set[Copy]
Way = Callable[[EnforcedStore, Asker, int], Found]


class Matrix:
    """The ways in, and the count of what was compared by each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.vector = world.encoder.encode([QUESTION])[0]
        self.checks: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.shares: list[float] = []
        self.answerers: dict[tuple[int, int], RagBm25] = {}

    def ways(self) -> dict[str, Way]:
        return {
            "dense": lambda store, asker, at: copies_of(
                hit.passage for hit in store.dense(self.vector, scope(asker), MANY, at)
            ),
            "lexical": lambda store, asker, at: copies_of(
                hit.passage for hit in store.lexical(WORD, scope(asker), MANY, at)
            ),
            "similarities": lambda store, asker, at: self._named(
                store.similarities(self.vector, list(self.ids), scope(asker), at)
            ),
            "pool": lambda store, asker, at: self._pooled(store, asker, at),
            "named": lambda store, asker, at: copies_of(store.named(list(self.ids), scope(asker), at)),
            "passages": lambda store, asker, at: copies_of(store.passages(scope(asker), at)),
            "hybrid": lambda store, asker, at: copies_of(
                hit.passage for hit in self._search(store, at).fused(QUESTION, scope(asker), MANY, 0.5)
            ),
        }

    @property
    def ids(self) -> dict[str, Copy]:
        """Every passage that was ever cut, by its id."""
        if not hasattr(self, "_ids"):
            self._ids = {
                one.id: Copy(one.document, one.version)
                for number in self.world.held
                for one in self.world.library.passages(number)
            }
        return self._ids

    def _named(self, scores: dict[str, float]) -> Found:
        return {self.ids[name] for name in scores}

    def _pooled(self, store: EnforcedStore, asker: Asker, at: int) -> Found:
        pool = store.pool(WORD, self.vector, scope(asker), MANY, at)
        assert pool.lexical.keys() == pool.dense.keys()
        return self._named(dict(pool.dense))

    def _search(self, store: EnforcedStore, at: int) -> Retriever:
        return Retriever(store, self.world.encoder, at, collapse=False)

    def compare(self, name: str, found: Found, expected: Found, asker: Asker, at: int) -> None:
        self.checks[name] += len(self.world.copies)
        if found != expected:
            self.wrong.append(f"{name} {asker} generation {at}: leaks {found - expected}, hides {expected - found}")

    def check(self, stores: dict[str, EnforcedStore], askers: list[Asker]) -> None:
        """Every asker, every generation, every way in, every store."""
        for asker in askers:
            expected = self.world.expected(asker)
            self.shares.append(len(expected[0]) / len(self.world.copies))
            for (kind, store), at in itertools.product(stores.items(), self.world.held):
                for name, way in self.ways().items():
                    self.compare(f"{kind} {name}", way(store, asker, at), expected[at], asker, at)
            self._reads(asker, expected[0])

    def _reads(self, asker: Asker, expected: Found) -> None:
        library, asked = self.world.library, scope(asker)
        read: Found = set()
        cited: Found = set()
        for copy in self.world.copies:
            quote = Citation(
                document=copy.document,
                version=copy.version,
                start=0,
                end=1,
                quote=self.first[copy],
                heading=(),
                page=None,
            )
            if library.cited(quote, asked) is not None:
                cited.add(copy)
            try:
                library.read(copy.document, copy.version, asked)
                read.add(copy)
            except NotFoundError:
                pass
        self.compare("read", read, expected, asker, 0)
        self.compare("cited", cited, expected, asker, 0)

    @property
    def first(self) -> dict[Copy, str]:
        """The first character of each version's text."""
        if not hasattr(self, "_first"):
            self._first = {
                copy: self.world.library.version(copy.document, copy.version).text[:1] for copy in self.world.copies
            }
        return self._first

    def ask(self, stores: dict[str, EnforcedStore], askers: list[Asker]) -> None:
        """A candidate's answers: evidence, citations and text hold nothing forbidden, and the evidence is as much as there is."""
        for asker, ((kind, store), at) in itertools.product(askers, itertools.product(stores.items(), self.world.held)):
            expected = self.world.expected(asker)[at]
            output = self._answerer(store, at).predict(Request(text=QUESTION), scope(asker))
            shown = copies_of(hit.passage for hit in output.hits) | copies_of(output.citations)
            self.checks[f"{kind} ask"] += len(self.world.copies)
            if not shown <= expected or len(output.hits) != min(READ_PASSAGES, len(expected)):
                self.wrong.append(f"ask {asker} generation {at}: leaks {shown - expected}, {len(output.hits)} hits")

    def _answerer(self, store: EnforcedStore, at: int) -> RagBm25:
        key = (id(store), at)
        if key not in self.answerers:
            tools = Tools(encoder=self.world.encoder, search=self._search(store, at))
            rows = [
                Item(id=str(number), task="answer", text=QUESTION, answers=("room",), answerable=number % 2 == 0)
                for number in range(4)
            ]
            self.answerers[key] = RagBm25(tools).fit(rows, rows)
        return self.answerers[key]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, LanceStore(tmp_path / "index"), seed=20)
    yield made
    made.library.close()


def test_a_million_questions_of_access_are_answered_as_the_reference_does(world: World, tmp_path: Path, capsys) -> None:
    world.ingest()
    for _ in range(STEPS):
        world.step()
    matrix = Matrix(world)
    control = world.library.control
    memory = MemoryStore()
    rebuild(world.library, memory, world.encoder)
    stores = {"lance": EnforcedStore(world.index, control), "memory": EnforcedStore(memory, control)}
    askers = world.askers(ASKERS)
    matrix.check(stores, askers)
    # Revocations, grants and denials that another process commits while these have the stores open.
    world.operate(40)
    matrix.check(stores, askers)
    # Groups in groups, then other groups: a membership that is gone counts from the next question.
    for edges in (24, 18):
        world.regroup(edges)
        matrix.check(stores, askers)
    # A rollback brings back neither a grant nor what was erased; the generation itself answers again.
    world.operate(15)
    world.erase(documents=3, versions=6)
    world.library.switch(2)
    matrix.check(stores, askers)
    # Edits and rules after the rollback, and a process that starts now from what lies on the disk.
    stores["lance"].optimize()
    world.operate(10)
    reopened = {"lance again": EnforcedStore(LanceStore(tmp_path / "index"), control)}
    matrix.check(reopened, askers[:12])
    matrix.ask(stores, askers[:12])
    total = sum(matrix.checks.values())
    with capsys.disabled():
        print(f"\naccess matrix: {total:,} checks by {len(matrix.checks)} ways, {len(matrix.wrong)} wrong")  # noqa: T201
    assert matrix.wrong == []
    assert total >= LEAST_CHECKS, matrix.checks
    assert min(matrix.shares) < 0.2 < 0.6 < max(matrix.shares), "the world must show some askers little and some much"
