import itertools
import subprocess
import sys

import numpy as np
import pytest

from steelyard.schema.errors import StoreError
from steelyard.stores import STORES, segment_files, snapshot
from steelyard.stores.conformance import ANYONE, CHECKS, STAFF, STAFF_SCOPE, ids, passage, random_corpus, staged, unit
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore
from steelyard.stores.segment_files import damaged_segments


class Clustered(LanceStore):
    """Clusters its rows after every change, and searches nothing else, whatever the asker sees."""

    def __init__(self, folder):
        super().__init__(folder, exact_rows=0)

    def stage(self, *arguments):
        super().stage(*arguments)
        self.optimize()

    def extend(self, *arguments):
        super().extend(*arguments)
        self.optimize()


class Reopened(LanceStore):
    """Reads everything from its files again after every change."""

    def stage(self, *arguments):
        super().stage(*arguments)
        self._snapshot = None

    def extend(self, *arguments):
        super().extend(*arguments)
        self._snapshot = None


@pytest.fixture(params=[LanceStore, Clustered, Reopened])
def make(tmp_path, request, monkeypatch):
    if request.param is Clustered:
        monkeypatch.setattr(snapshot, "EXACT_VISIBLE", 0)
        monkeypatch.setattr(segment_files, "WARM_BYTES", 0)
    numbers = itertools.count()
    return lambda: request.param(tmp_path / f"store{next(numbers)}")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_promises_of_a_store(check, make):
    check(make)


@pytest.mark.parametrize("exact_rows", [200_000, 0])
def test_another_instance_reads_what_was_staged(tmp_path, exact_rows):
    writer, reader = (LanceStore(tmp_path, exact_rows=exact_rows) for _ in range(2))
    assert reader.count(1) == 0
    writer.stage(1, staged([passage("a", "refund"), passage("b", "invoice", STAFF)]), [])
    assert reader.count(1) == 2
    assert ids(reader.lexical("refund", ANYONE, 5, 1)) == ["a"]
    writer.stage(2, staged([passage("c", "refund")]), ["a"])
    assert ids(reader.lexical("refund", ANYONE, 5, 2)) == ["c"]
    assert ids(reader.dense(unit(1.0), STAFF_SCOPE, 5, 2)) == ["b", "c"]
    assert ids(reader.dense(unit(1.0), STAFF_SCOPE, 5, 1)) == ["a", "b"]


def test_a_reader_that_looked_while_a_generation_was_half_written_sees_it_whole_later(tmp_path, monkeypatch):
    from steelyard.stores import lance

    writer, reader = LanceStore(tmp_path), LanceStore(tmp_path)
    writer.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    write = lance.to_arrow

    def look_then_write(*arguments):
        assert ids(reader.lexical("refund", ANYONE, 5, 1)) == ["a", "b"]
        return write(*arguments)

    monkeypatch.setattr(lance, "to_arrow", look_then_write)
    writer.stage(2, staged([passage("c", "refund")]), ["a"])
    assert ids(reader.lexical("refund", ANYONE, 5, 2)) == ["b", "c"]
    assert ids(reader.lexical("refund", ANYONE, 5, 1)) == ["a", "b"]


def test_opening_and_searching_at_the_end_of_a_crashed_staging(tmp_path):
    script = f"""
from steelyard.stores.conformance import passage, staged
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore
from steelyard.stores.memory import MemoryStore
from steelyard.stores.segment_files import damaged_segments
from pathlib import Path
import os
store = LanceStore(Path({str(tmp_path)!r}))
store.stage(1, staged([passage("a", "refund")]), [])
store._saved = lambda *arguments: os._exit(9)
store.stage(2, staged([passage("b", "refund")]), ["a"])
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    store = LanceStore(tmp_path)
    assert ids(store.lexical("refund", ANYONE, 5, 1)) == ["a"]
    store.stage(2, staged([passage("c", "refund")]), [])
    assert ids(store.lexical("refund", ANYONE, 5, 2)) == ["a", "c"]
    assert ids(LanceStore(tmp_path).dense(unit(1.0), ANYONE, 5, 2)) == ["a", "c"]


def files_of(folder):
    return sorted((folder / "segments").iterdir())


@pytest.mark.parametrize("damage", ["missing", "truncated", "other", "another format"])
def test_segments_that_are_not_those_of_the_rows_are_made_again(tmp_path, damage):
    LanceStore(tmp_path / "a").stage(1, random_corpus(40, seed=1), [])
    LanceStore(tmp_path / "b").stage(1, random_corpus(41, seed=2), [])
    before = LanceStore(tmp_path / "a").lexical("refund invoice", STAFF_SCOPE, 9, 1)
    assert before
    (file,) = files_of(tmp_path / "a")
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(whole[:-1000])
        assert damaged_segments(tmp_path / "a" / "segments") == [file]
    elif damage == "another format":
        file.write_bytes(whole.replace(b'{"format": "', b'{"formax": "'))
    else:
        (other,) = files_of(tmp_path / "b")
        file.unlink()
        file.with_name(other.name).write_bytes(other.read_bytes())
    store = LanceStore(tmp_path / "a")
    assert store.lexical("refund invoice", STAFF_SCOPE, 9, 1) == before
    assert [path.read_bytes() for path in files_of(tmp_path / "a")] == [whole]


def test_a_flipped_byte_in_a_segment_is_found(tmp_path):
    LanceStore(tmp_path).stage(1, random_corpus(40, seed=1), [])
    (file,) = files_of(tmp_path)
    assert damaged_segments(tmp_path / "segments") == []
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    assert damaged_segments(tmp_path / "segments") == [file]


def test_many_small_updates_leave_few_segments_and_no_other_file(tmp_path):
    store, reference = LanceStore(tmp_path), MemoryStore()
    corpus = random_corpus(120, seed=8)
    for number in range(60):
        part = Staged(corpus.passages[2 * number : 2 * number + 2], corpus.vectors[2 * number : 2 * number + 2])
        for target in (store, reference):
            target.stage(1 + number, part, [])
    files = files_of(tmp_path)
    assert len(files) <= 8
    assert sum(int(file.name.split("-")[1]) for file in files) == 120
    opened = LanceStore(tmp_path)
    for generation in (1, 30, 60):
        assert opened.lexical("refund", STAFF_SCOPE, 50, generation) == reference.lexical(
            "refund", STAFF_SCOPE, 50, generation
        )
    opened.discard(20)
    assert LanceStore(tmp_path).count(60) == reference.count(19)


def test_a_staged_generation_that_nobody_asked_for_is_read_but_not_written_by_a_reader(tmp_path):
    LanceStore(tmp_path).stage(1, random_corpus(40, seed=1), [])
    (file,) = files_of(tmp_path)
    file.unlink()
    reader = LanceStore(tmp_path)
    assert reader.count(0) == 0
    assert files_of(tmp_path) == []
    assert reader.count(1) == 40


def test_access_is_answered_by_the_label_index(tmp_path):
    # Named trap: an access column of another type leaves its index unused without a word.
    store = LanceStore(tmp_path, exact_rows=0)
    store.stage(1, random_corpus(300, seed=4), [])
    store.optimize()
    plan = store.explain(STAFF_SCOPE, 1)
    assert "ScalarIndexQuery" in plan
    assert "allow_idx(LabelList)" in plan
    assert "deny_idx(LabelList)" in plan
    assert "FilterExec: array_has_any" not in plan


def test_a_refused_stage_changes_nothing(make):
    store = make()
    store.stage(1, staged([passage("a", "refund")]), [])
    with pytest.raises(StoreError) as caught:
        store.stage(2, staged([passage("a", "refund")]), [])
    assert caught.value.code == "stores.passage_twice"
    with pytest.raises(StoreError) as caught:
        store.dense(np.ones(3, dtype=np.float32), ANYONE, 1, 1)
    assert caught.value.code == "stores.other_encoder"
    assert store.count(2) == 1


def test_growing_past_the_limit_clusters_the_rows_and_discarding_goes_back(tmp_path):
    store = LanceStore(tmp_path, exact_rows=3)
    store.stage(1, staged([passage(name, "refund") for name in "abc"]), [])
    before = store.dense(unit(1.0), ANYONE, 9, 1)
    store.stage(2, staged([passage("d", "refund")]), [])
    store.optimize()
    assert store._snapshot.segments[0].clusters is not None
    assert ids(store.dense(unit(1.0), ANYONE, 9, 2)) == ["a", "b", "c", "d"]
    assert store.dense(unit(1.0), ANYONE, 9, 1) == before
    store.discard(2)
    assert store.dense(unit(1.0), ANYONE, 9, 2) == before
    assert ids(store.lexical("refund", ANYONE, 2, 2)) == ["a", "b"]


def test_the_table_of_stores_loads_it_by_name():
    assert STORES.load("lance") is LanceStore
    assert STORES.names() == ["lance", "memory"]


def access_of(store, generation=1, scope=ANYONE):
    return ids(store.lexical("refund", scope, 9, generation))


@pytest.mark.parametrize("exact_rows", [200_000, 0])
def test_the_folder_says_how_far_its_access_has_come(tmp_path, exact_rows):
    writer = LanceStore(tmp_path, exact_rows=exact_rows)
    writer.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    writer.restrict({"docs/a.md": STAFF}, 5)
    before = LanceStore(tmp_path, exact_rows=exact_rows)
    assert (before.epoch, access_of(before)) == (0, ["a", "b"])
    writer.optimize()
    after = LanceStore(tmp_path, exact_rows=exact_rows)
    assert (after.epoch, access_of(after)) == (5, ["b"])


@pytest.mark.parametrize("exact_rows", [200_000, 0])
def test_a_process_that_is_behind_does_not_write_its_access_over_a_newer_one(tmp_path, exact_rows):
    first, second = (LanceStore(tmp_path, exact_rows=exact_rows) for _ in range(2))
    first.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    assert access_of(second) == ["a", "b"]
    first.restrict({"docs/a.md": STAFF}, 9)
    first.optimize()
    second.restrict({"docs/b.md": STAFF}, 5)
    second.optimize()
    assert (second.epoch, access_of(second)) == (9, ["b"])
    opened = LanceStore(tmp_path, exact_rows=exact_rows)
    assert (opened.epoch, access_of(opened)) == (9, ["b"])


def test_rows_read_again_after_another_process_staged_keep_the_access_they_were_given(tmp_path):
    writer, reader = LanceStore(tmp_path), LanceStore(tmp_path)
    writer.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    reader.restrict({"docs/a.md": STAFF}, 5)
    writer.stage(2, staged([passage("c", "refund")]), [])
    assert access_of(reader, 2) == ["b", "c"]
    assert reader.epoch == 5


def test_access_that_was_changed_is_answered_by_the_label_index_too(tmp_path):
    store = LanceStore(tmp_path, exact_rows=0)
    corpus = random_corpus(300, seed=4)
    store.stage(1, corpus, [])
    store.optimize()
    store.restrict({entry.document: STAFF for entry in corpus.passages[:40]}, 3)
    for step in ("restricted", "optimized"):
        plan = store.explain(STAFF_SCOPE, 1)
        assert "ScalarIndexQuery" in plan, step
        assert "allow_idx(LabelList)" in plan, step
        assert "deny_idx(LabelList)" in plan, step
        assert "FilterExec: array_has_any" not in plan, step
        store.optimize()
    assert len(store.passages(ANYONE, 1)) == sum(
        (STAFF if number < 40 else entry.access).permits(ANYONE) for number, entry in enumerate(corpus.passages)
    )


@pytest.mark.parametrize("exact_rows", [200_000, 0])
def test_a_reader_that_had_it_open_goes_on_after_a_purge(tmp_path, exact_rows):
    writer, reader = (LanceStore(tmp_path, exact_rows=exact_rows) for _ in range(2))
    writer.stage(1, staged([passage("a", "refund"), passage("b", "invoice")]), [])
    writer.stage(2, staged([passage("c", "refund")]), ["a"])
    assert ids(reader.dense(unit(1.0), ANYONE, 5, 2)) == ["b", "c"]
    writer.purge([2])
    assert ids(reader.dense(unit(1.0), ANYONE, 5, 2)) == ["b", "c"]
    assert ids(reader.lexical("refund", ANYONE, 5, 2)) == ["c"]
    assert [entry.id for entry in reader.passages(ANYONE, 2)] == ["b", "c"]
    writer.stage(3, staged([passage("d", "refund")]), ["b"])
    assert ids(reader.dense(unit(1.0), ANYONE, 5, 3)) == ["c", "d"]


@pytest.mark.parametrize("exact_rows", [200_000, 0])
def test_no_file_holds_what_was_purged(tmp_path, exact_rows):
    store = LanceStore(tmp_path, exact_rows=exact_rows)
    store.stage(1, staged([passage("a", "sentinelword refund"), passage("b", "invoice")]), [])
    store.optimize()
    store.stage(2, staged([passage("c", "otherword")]), [])
    store.discard(2)  # deleted rows stay in LanceDB's files until they are written anew
    held = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sentinelword" in held
    assert b"otherword" in held
    store.purge([1], {("docs/a.md", "0" * 64)})
    held = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sentinel" not in held
    assert b"otherword" not in held
    assert b"invoice" in held


def test_a_table_that_a_crash_left_without_a_manifest_holds_nothing(tmp_path):
    store = LanceStore(tmp_path)
    store.stage(1, staged([passage("a", "refund")]), [])
    for manifest in (tmp_path / "passages.lance" / "_versions").iterdir():
        manifest.unlink()
    again = LanceStore(tmp_path)
    assert again.count(1) == 0
    again.discard(1)
    again.stage(1, staged([passage("b", "refund")]), [])
    assert ids(LanceStore(tmp_path).lexical("refund", ANYONE, 5, 1)) == ["b"]


def counting_loads(store, monkeypatch):
    loads = []
    load = store._load
    monkeypatch.setattr(store, "_load", lambda table: (loads.append(1), load(table))[1])
    return loads


def test_a_reader_reads_only_what_another_process_has_staged_since(tmp_path, monkeypatch):
    writer, reader, reference = LanceStore(tmp_path), LanceStore(tmp_path), MemoryStore()
    corpus = random_corpus(200, seed=21)
    for target in (writer, reference):
        target.stage(1, Staged(corpus.passages[:100], corpus.vectors[:100]), [])
    assert reader.count(1) == 100
    loads = counting_loads(reader, monkeypatch)
    for number in range(2, 12):
        rows = slice(90 + 10 * number - 10, 100 + 10 * number - 10)
        gone = [entry.id for entry in corpus.passages[number * 5 : number * 5 + 4]]
        for target in (writer, reference):
            target.stage(number, Staged(corpus.passages[rows], corpus.vectors[rows]), gone)
        for scope in (ANYONE, STAFF_SCOPE):
            for generation in (1, number - 1, number):
                assert reader.passages(scope, generation) == reference.passages(scope, generation)
                assert reader.lexical("refund", scope, 40, generation) == reference.lexical(
                    "refund", scope, 40, generation
                )
    assert not loads


@pytest.mark.parametrize("change", ["discarded", "purged", "restricted"])
def test_a_reader_reads_everything_when_more_was_changed_than_staged(tmp_path, monkeypatch, change):
    writer, reader = LanceStore(tmp_path), LanceStore(tmp_path)
    writer.stage(1, staged([passage("a", "refund"), passage("b", "refund")]), [])
    writer.stage(2, staged([passage("c", "refund")]), ["a"])
    assert reader.count(1 if change == "discarded" else 2) == 2
    loads = counting_loads(reader, monkeypatch)
    if change == "discarded":
        writer.discard(2)
        writer.stage(2, staged([passage("d", "refund")]), ["b"])
        expected = ["a", "d"]
    elif change == "purged":
        writer.purge([2])
        writer.stage(3, staged([passage("d", "refund")]), ["b"])
        expected = ["c", "d"]
    else:
        writer.restrict({"docs/c.md": STAFF}, 4)
        writer.optimize()
        writer.stage(3, staged([passage("d", "refund")]), [])
        expected = ["b", "d"]
    assert access_of(reader, 2 if change == "discarded" else 3) == expected
    assert loads
