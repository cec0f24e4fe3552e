"""An update that fails, wherever it fails, leaves the last good version answering. Known faults of other tools, one test each.

Their faults: an update deletes the old passages first, then the transformation fails, and the document is gone (three of five libraries
measured); deleting one of two identical documents fails or deletes both; a crash leaves files that cannot be opened again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from searched import Searched

from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.schema.errors import ModelError, StoreError

OLD = {("docs/a.txt", "The old common words."), ("docs/b.txt", "Other common words.")}
NEW = {("docs/a.txt", "The new common words."), ("docs/b.txt", "Other common words.")}


@pytest.fixture(scope="module")
def pool():
    with ParsePool(Limits(), 1) as made:
        yield made


@pytest.fixture
def corpus(tmp_path, pool):
    made = Searched(tmp_path, pool)
    made.write("docs/a.txt", "The old common words.")
    made.write("docs/b.txt", "Other common words.")
    made.ingest()
    yield made
    made.close()


def reopened(corpus: Searched) -> Searched:
    """The same corpus as another process would open it."""
    return Searched(corpus.root, corpus.pool)


def assert_answers(corpus: Searched, expected: set) -> None:
    for seen in (corpus, reopened(corpus)):
        assert set(map(frozenset, seen.found().values())) == {frozenset(expected)}


def test_an_update_that_cannot_be_parsed_keeps_the_old_passages(corpus):
    corpus.write("docs/a.txt", b"common \0")
    report = corpus.ingest()
    assert [document for document, _ in report.failed] == ["docs/a.txt"]
    assert_answers(corpus, OLD)
    corpus.write("docs/a.txt", "The new common words.")
    assert corpus.ingest().failed == ()
    assert_answers(corpus, NEW)


def test_an_update_whose_parser_dies_keeps_the_old_passages_and_the_others_arrive(corpus):
    corpus.write("docs/a.txt", b"- a\n\n" * 300_000)  # more parts than a document may have
    corpus.write("docs/c.txt", "Third common words.")
    report = corpus.ingest()
    assert (report.added, [document for document, _ in report.failed]) == (1, ["docs/a.txt"])
    assert_answers(corpus, OLD | {("docs/c.txt", "Third common words.")})


@pytest.mark.parametrize("fault", ["raises", "wrong shape", "not a number"])
def test_an_update_that_cannot_be_embedded_keeps_the_old_passages(corpus, fault):
    corpus.write("docs/a.txt", "The new common words.")
    corpus.write("docs/c.txt", "Third common words.")
    encode = corpus.encoder.encode

    def broken(texts):
        if fault == "raises":
            raise ModelError("the encoder broke.", code="test.encoder")
        vectors = encode(texts)
        if fault == "wrong shape":
            return vectors[:-1]
        vectors[0, 0] = float("nan")
        return vectors

    corpus.encoder.encode = broken
    with pytest.raises(ModelError):
        corpus.ingest()
    corpus.encoder.encode = encode
    assert_answers(corpus, OLD)
    corpus.ingest()
    assert_answers(corpus, NEW | {("docs/c.txt", "Third common words.")})


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_update_that_the_index_refuses_keeps_the_old_passages(corpus, moment, monkeypatch):
    corpus.write("docs/a.txt", "The new common words.")
    corpus.write("docs/c.txt", "Third common words.")
    stage = corpus.inner.stage

    def broken(generation, add, retire):
        if moment == "after":
            stage(generation, add, retire)
        raise StoreError("the index broke.", code="test.index")

    monkeypatch.setattr(corpus.inner, "stage", broken)
    with pytest.raises(StoreError):
        corpus.ingest()
    assert_answers(corpus, OLD)
    monkeypatch.undo()
    corpus.ingest()
    assert_answers(corpus, NEW | {("docs/c.txt", "Third common words.")})


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from searched import Searched
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.schema.errors import StoreError
with ParsePool(Limits(), 1) as pool:
    pool.warm_up()
    corpus = Searched(Path(sys.argv[2]), pool)
    corpus.found()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    try:
        corpus.ingest()
    except (StoreError, OSError) as error:
        print("failed", type(error).__name__)
    else:
        print("done")
"""


@pytest.mark.parametrize("room", [2_000, 40_000])
def test_an_update_for_which_the_disk_has_no_room_keeps_the_old_passages(corpus, room):
    corpus.write("docs/a.txt", "The new common words.")
    for number in range(60):
        corpus.write(f"docs/more-{number}.txt", f"More common words {number}. " + f"filler {number} " * 400)
    command = [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(corpus.root), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("failed"), done.stdout + done.stderr
    assert_answers(reopened(corpus), OLD)
    again = reopened(corpus)
    assert again.ingest().failed == ()
    assert again.found()["fused"] >= NEW
