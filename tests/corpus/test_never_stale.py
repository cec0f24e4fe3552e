"""No passage of a retired version is found in the generation in force, through any way in, whatever was edited before."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searched import STAFF, Searched

from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.schema.scope import Scope
from steelyard.stores.memory import MemoryStore

EXAMPLES = int(os.environ.get("STEELYARD_EDIT_HISTORIES", "15"))
"""Edit histories for each store; the nightly run takes more."""

NAMES = ["docs/a.txt", "docs/b.txt", "docs/c.txt", "docs-staff/a.txt"]
name = st.sampled_from(NAMES)
step = st.one_of(
    st.tuples(st.just("write"), name, st.integers(0, 5)),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("move"), name, name),
    st.tuples(st.just("copy"), name, name),
    st.tuples(st.just("break"), name),
    st.tuples(st.just("ingest")),
    st.tuples(st.just("rollback"), st.integers(0, 20)),
)


@pytest.fixture(scope="module")
def pool():
    with ParsePool(Limits(), 1) as made:
        yield made


def edit(root: Path, what: tuple) -> None:
    path = root / what[1]
    if what[0] == "write":
        path.write_text(f"The common words of state {what[2]}.")
    elif what[0] == "break":
        path.write_bytes(b"common \0 broken")
    elif path.exists() and what[0] == "delete":
        path.unlink()
    elif path.exists() and what[0] == "move":
        path.replace(root / what[2])
    elif path.exists():
        (root / what[2]).write_bytes(path.read_bytes())


def texts(root: Path, before: dict[str, str]) -> dict[str, str]:
    """What the sources say now; a file that cannot be read says what it said before."""
    said = {}
    for document in NAMES:
        if (root / document).exists():
            content = (root / document).read_bytes()
            if b"\0" not in content:
                said[document] = content.decode()
            elif document in before:
                said[document] = before[document]
    return said


@pytest.mark.parametrize("kind", ["memory", "lance"])
def test_every_search_finds_the_generation_in_force_and_nothing_else(pool, kind):
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(steps=st.lists(step, min_size=4, max_size=14))
    def check(steps):
        with tempfile.TemporaryDirectory() as folder:
            corpus = Searched(Path(folder), pool, MemoryStore() if kind == "memory" else None)
            try:
                follow(corpus, [*steps, ("ingest",)])
            finally:
                corpus.close()

    check()


def follow(corpus: Searched, steps) -> None:
    """Do the steps; after each that moves the pointer, ask through every way in."""
    newest: dict[str, str] = {}
    generations: dict[int, dict[str, str]] = {}
    for what in steps:
        if what[0] == "ingest":
            newest = texts(corpus.root, newest)
            report = corpus.ingest()
            # After a rollback an unchanged source leaves the pointer where it is.
            generations.setdefault(report.generation, newest)
        elif what[0] == "rollback":
            if generations:
                corpus.library.switch(sorted(generations)[what[1] % len(generations)])
        else:
            edit(corpus.root, what)
            continue
        if generations:
            force = corpus.library.in_force()
            expected = set(generations[force].items())
            for way, found in corpus.found().items():
                assert found == expected, (way, what, force)
            public = {(document, text) for document, text in expected if document.startswith("docs/")}
            for way, found in corpus.found(Scope()).items():
                assert found == public, (way, what, force)


def test_a_document_that_went_and_came_back_is_the_new_one(tmp_path, pool):
    corpus = Searched(tmp_path, pool)
    steps = [
        ("write", "docs/a.txt", 1),
        ("ingest",),
        ("move", "docs/a.txt", "docs/b.txt"),
        ("ingest",),
        ("write", "docs/a.txt", 1),
        ("ingest",),
        ("rollback", 0),
        ("write", "docs/b.txt", 2),
        ("ingest",),
        ("delete", "docs/a.txt"),
        ("ingest",),
        ("rollback", 1),
        ("ingest",),
        ("write", "docs/a.txt", 1),
        ("ingest",),
    ]
    follow(corpus, steps)
    assert corpus.found()["fused"] == {
        ("docs/a.txt", "The common words of state 1."),
        ("docs/b.txt", "The common words of state 2."),
    }
    corpus.close()


def test_two_identical_documents_with_different_access_are_two(tmp_path, pool):
    corpus = Searched(tmp_path, pool)
    for document in ("docs/a.txt", "docs/b.txt", "docs-staff/a.txt"):
        corpus.write(document, "The same common words.")
    report = corpus.ingest()
    assert (report.added, report.parsed, report.embedded) == (
        3,
        1,
        2,
    )  # the title, from the file name, is embedded with the text

    def documents(scope):
        ways = {way: sorted(document for document, _ in found) for way, found in corpus.found(scope).items()}
        assert len(set(map(tuple, ways.values()))) == 1, ways
        return ways["fused"]

    assert documents(Scope()) == ["docs/a.txt", "docs/b.txt"]
    assert documents(STAFF) == ["docs-staff/a.txt", "docs/a.txt", "docs/b.txt"]
    (tmp_path / "docs/a.txt").unlink()
    corpus.ingest()
    assert documents(Scope()) == ["docs/b.txt"]
    assert documents(STAFF) == ["docs-staff/a.txt", "docs/b.txt"]
    (tmp_path / "docs/b.txt").unlink()
    corpus.ingest()
    assert documents(Scope()) == []
    assert documents(STAFF) == ["docs-staff/a.txt"]
    corpus.close()
