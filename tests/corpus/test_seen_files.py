"""What did not change is not read again, and nothing that changed is taken for unchanged."""

from __future__ import annotations

import builtins
import os
import time

import pytest
from corpus_bench import HashEncoder

from steelyard.corpus import scanning, seen_files
from steelyard.corpus.freshness import Freshness
from steelyard.corpus.scanning import scan
from steelyard.corpus.seen_files import SeenFiles, open_sources, read_whole
from steelyard.corpus.sources import SourceRule

DOCS = [SourceRule(path="docs", allow=("everyone",))]
LONG_AGO = time.time() - 3600


@pytest.fixture
def database(tmp_path):
    made = open_sources(tmp_path / "corpus.sqlite")
    yield made
    made.close()


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once: the change time of a file that a test makes is now, and cannot be set back."""
    monkeypatch.setattr(seen_files, "SETTLED_NS", -1)


@pytest.fixture
def reads(monkeypatch):
    """The files that are opened."""
    opened = []

    def counting(path, max_bytes):
        opened.append(os.path.basename(path))
        return read_whole(path, max_bytes)

    monkeypatch.setattr(scanning, "read_whole", counting)
    return opened


def write(root, name, text="x"):
    path = root / "docs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_unchanged_file_is_not_opened_again_and_gives_the_same_record(tmp_path, database, settled, reads):
    write(tmp_path, "a.md")
    first = scan(DOCS, tmp_path, seen=SeenFiles(database))
    second = scan(DOCS, tmp_path, seen=SeenFiles(database))
    assert reads == ["a.md"]
    assert second.files == first.files


@pytest.mark.parametrize("same_length", ["y", "longer"])
def test_an_edit_is_seen_also_when_size_and_modification_time_are_set_back(
    tmp_path, database, settled, reads, same_length
):
    path = write(tmp_path, "a.md")
    os.utime(path, (LONG_AGO, LONG_AGO))
    [before] = scan(DOCS, tmp_path, seen=SeenFiles(database)).files
    path.write_text(same_length)
    os.utime(path, (LONG_AGO, LONG_AGO))
    [after] = scan(DOCS, tmp_path, seen=SeenFiles(database)).files
    assert after.version != before.version
    assert reads == ["a.md", "a.md"]


def test_a_replaced_file_is_seen(tmp_path, database, settled, reads):
    path = write(tmp_path, "a.md")
    scan(DOCS, tmp_path, seen=SeenFiles(database))
    write(tmp_path, "b.tmp", "other").replace(path)
    assert scan(DOCS, tmp_path, seen=SeenFiles(database)).files[0].size == 5
    assert reads == ["a.md", "a.md"]


def test_a_file_that_changed_just_now_is_read_again(tmp_path, database, reads):
    write(tmp_path, "a.md")
    for _ in range(2):
        scan(DOCS, tmp_path, seen=SeenFiles(database))
    assert reads == ["a.md", "a.md"]  # within the grain of a clock, a second edit would leave the same times


def test_a_file_that_went_is_forgotten(tmp_path, database, settled):
    path = write(tmp_path, "a.md")
    write(tmp_path, "b.md")
    scan(DOCS, tmp_path, seen=SeenFiles(database))
    path.unlink()
    scan(DOCS, tmp_path, seen=SeenFiles(database))
    assert set(SeenFiles(database).load()) == {"docs/b.md"}


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.md")
    begun = time.monotonic()
    with pytest.raises(OSError, match="no plain file"):
        read_whole(tmp_path / "a.md", 100)
    assert time.monotonic() - begun < 5


def test_a_file_that_grows_past_the_limit_is_read_no_further(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="larger than"):
        read_whole(path, 100)
    assert read_whole(path, 101)[0] == b"x" * 101


@pytest.mark.parametrize("seconds", [-1e9, 4e12])
def test_an_impossible_modification_time_becomes_a_possible_one(tmp_path, seconds):
    path = write(tmp_path, "a.md")
    try:
        os.utime(path, (seconds, seconds))
    except OSError:
        pytest.skip("the file system refuses this time")
    [file] = scan(DOCS, tmp_path).files
    assert 1970 <= file.valid_from.year <= time.gmtime().tm_year


def test_20_000_unchanged_documents_are_neither_read_nor_parsed_nor_embedded(bench, monkeypatch):
    for number in range(20_000):
        if number % 500 == 0:
            (bench.docs / f"{number // 500:03}").mkdir()
        path = bench.docs / f"{number // 500:03}" / f"{number:05}.md"
        # Few distinct texts: parsing and embedding 20,000 of them is not what is asked here.
        with builtins.open(path, "w") as file:
            file.write(f"Page {number % 50}.")
    monkeypatch.setattr(seen_files, "SETTLED_NS", -1)
    assert bench.ingest().added == 20_000

    def refuse(*arguments):
        raise AssertionError(f"an unchanged file was read: {arguments}")

    bench.encoder = HashEncoder()
    monkeypatch.setattr(scanning, "read_whole", refuse)
    report = bench.ingest()
    assert (report.unchanged, report.parsed, report.embedded, report.generation) == (20_000, 0, 0, 1)
    assert bench.encoder.encoded == []


def test_lags_count_from_the_change_and_leave_the_first_ingest_out(bench):
    bench.write("a.md", "One.")
    old = bench.write("old.md", "Old.")
    os.utime(old, (LONG_AGO, LONG_AGO))
    bench.ingest()
    [source] = freshness(bench).sources()
    assert (source.source, source.documents, source.changes, source.median_s) == ("docs", 2, 0, None)
    bench.write("a.md", "Two.")
    time.sleep(0.3)
    bench.ingest()
    (bench.docs / "old.md").unlink()
    bench.ingest()
    [source] = freshness(bench).sources()
    assert (source.documents, source.changes) == (1, 2)
    assert 0.3 <= source.worst_s < 60  # the edit waited 0.3 s for its ingest
    assert source.last_s <= source.worst_s
    bench.ingest()
    assert freshness(bench).sources()[0].changes == 2


def test_a_source_that_is_added_later_is_no_lag(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    (bench.root / "more").mkdir()
    (bench.root / "more" / "b.md").write_text("Two.")
    bench.rules = [*bench.rules, SourceRule(path="more", allow=("everyone",))]
    bench.ingest()
    assert [(one.source, one.documents, one.changes) for one in freshness(bench).sources()] == [
        ("docs", 1, 0),
        ("more", 1, 0),
    ]


def freshness(bench) -> Freshness:
    if not hasattr(bench, "sources"):
        bench.sources = open_sources(bench.library.path)
    return Freshness(bench.sources)
