"""1,000 random edit histories: at every generation the incremental index is one that was built from scratch at that date.

Adds, edits, deletes, renames, changes of access, identical documents, documents that come back, rollbacks and compactions. Access is
that of now in every generation, so the reference has the texts of its day and the rules of today.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from corpus_bench import Bench
from edit_histories import ENCODER, RULES, State, edited, put, started

from steelyard.corpus import history
from steelyard.corpus.retention import Policy, compact
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore

HISTORIES = 1000
CHUNKS = 20
"""Tests the histories are spread over, for as many processes."""
ON_LANCE = 50
"""Every so many-th history is kept in LanceDB, the others in memory."""

SCOPES = (Scope(), Scope(groups=frozenset({"guild"})), Scope(user="ada", groups=frozenset({"guild", "staff"})))
QUESTIONS = ("When is a refund paid?", "studio plan seats")


def from_scratch(folder: Path, state: State, rules: dict[str, Access]) -> tuple[list[Passage], MemoryStore]:
    """The passages of an ingest of this state into nothing, and an index of them under the rules of now."""
    put(folder / "docs", state)
    bench = started(folder)
    bench.ingest()
    passages = [replace(one, access=rules[one.document]) for one in bench.library.passages(1)]
    bench.library.close()
    store = MemoryStore()
    store.stage(1, Staged(passages, ENCODER.encode([one.search_text for one in passages])), [])
    shutil.rmtree(folder)
    return passages, store


def same(found: list[Hit], expected: list[Hit]) -> bool:
    """The same passages with the same scores; sums over rows in another order may differ in the last digit."""
    ours, theirs = ({hit.passage.id: hit for hit in hits} for hits in (found, expected))
    return ours.keys() == theirs.keys() and all(
        abs(ours[name].score - theirs[name].score) < 2e-6 and ours[name].passage == theirs[name].passage
        for name in ours
    )


def check(bench: Bench, number: int, passages: list[Passage], reference: MemoryStore) -> None:
    """Library and index at a generation against the reference, for every asker."""
    assert list(bench.library.passages(number)) == passages
    for scope in SCOPES:
        assert bench.index.passages(scope, number) == reference.passages(scope, 1)
        for question in QUESTIONS:
            [vector] = ENCODER.encode([question])
            assert same(bench.index.lexical(question, scope, 20, number), reference.lexical(question, scope, 20, 1))
            assert same(bench.index.dense(vector, scope, 20, number), reference.dense(vector, scope, 20, 1))


def run(seed: int, root: Path) -> int:
    """One history; how many generations it made."""
    draw = random.Random(seed)
    bench = started(root / "long", LanceStore(root / "index") if seed % ON_LANCE == 0 else None)
    state: State = {}
    states: dict[int, State] = {}
    rules: dict[str, Access] = {}
    for _ in range(draw.randint(3, 6)):
        state = edited(state, draw)
        put(bench.docs, state)
        number = bench.ingest().generation
        rules |= {f"docs/{name}": RULES[group] for name, (_, group) in state.items()}
        states[number if number == bench.library.newest().number else bench.library.newest().number] = state
        if draw.random() < 0.2:
            bench.library.switch(draw.randint(1, bench.library.newest().number))
    assert sorted(states) == [generation.number for generation in bench.library.generations()]
    references = {number: from_scratch(root / f"scratch{number}", held, rules) for number, held in states.items()}
    for number, (passages, store) in references.items():
        check(bench, number, passages, store)
    for at, number in bench.library.switches():
        assert bench.library.generation_at(at).number == number
    if seed % 10 == 0:
        done = compact(
            bench.library, bench.index, Policy(generations=2, days=0), now=datetime.now(UTC) + timedelta(days=1)
        )
        for number in done.kept:
            check(bench, number, *references[number])
    bench.library.close()
    return len(states)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: thousands of small files and transactions are written."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="histories-") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_generation_of_a_random_history_is_that_of_an_index_from_scratch(quick_folder, monkeypatch, chunk):
    # The folder is in no repository; git would say so in a process of its own, ten thousand times.
    monkeypatch.setattr(history, "repository", lambda folder: None)
    made = 0
    for seed in range(chunk, HISTORIES, CHUNKS):
        folder = quick_folder / str(seed)
        made += run(seed, folder)
        shutil.rmtree(folder)
    assert made > 2 * HISTORIES / CHUNKS  # most histories have several generations
