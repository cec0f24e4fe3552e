"""The audit of answers: what was acknowledged is on the disk, whoever dies; what is done to it afterwards is found."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.answers import answer
from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.chain import BEGINNING, verify_lines
from steelyard.schema.audit import AnswerRecord
from steelyard.schema.errors import NotFoundError, StoreError, UserError

TESTS = Path(__file__).parents[1]


@pytest.fixture
def audit(tmp_path: Path):
    made = AnswersAudit(tmp_path / "state" / "audit.sqlite", "ada")
    yield made
    made.close()


def filled(audit: AnswersAudit, count: int) -> AnswersAudit:
    ends = [audit.submit(answer(number, at=f"2026-11-01T00:{number:02d}:00+00:00")) for number in range(1, count + 1)]
    for one in ends:
        one.result(timeout=60)
    return audit


def unguarded(audit: AnswersAudit, statement: str) -> None:
    connection = sqlite3.connect(audit.path)
    with connection:
        connection.execute("DROP TRIGGER answers_no_update")
        connection.execute("DROP TRIGGER answers_no_delete")
        connection.execute(statement)
    connection.close()


def test_a_record_comes_back_as_it_was_noted(audit: AnswersAudit) -> None:
    noted = answer(1, label="fees", as_of="2026-01-01", tokens=(1, 2, 3), text="What?", more={"route": "x"})
    audit.note(noted)
    entry, found = audit.get(noted.trace_id)
    assert found == noted
    assert (entry.who, entry.what, entry.number) == ("k0123456789", "answer.given", 1)
    assert AnswerRecord.from_json(json.loads(json.dumps(noted.to_json()))) == noted


def test_an_answer_is_found_by_the_beginning_of_its_id_when_no_other_has_it(audit: AnswersAudit) -> None:
    filled(audit, 20)
    one = AnswerRecord(**{**answer(1).__dict__, "trace_id": "abcdef" + "1" * 26})
    audit.note(one)
    assert audit.get("abcdef")[1] == one
    for wrong in ("000000", "abcde", "", "ffffff", "%"):
        with pytest.raises(NotFoundError):
            audit.get(wrong)


def test_what_a_note_returned_for_can_be_read_by_another_process_at_once(audit: AnswersAudit) -> None:
    audit.note(answer(1))
    assert AnswersAudit(audit.path).count() == 1
    assert [one.number for one in AnswersAudit(audit.path).newest(5)] == [1]


def test_notes_of_many_threads_are_one_whole_chain(audit: AnswersAudit) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 25):
            audit.note(answer(number))

    threads = [threading.Thread(target=work, args=(1 + 25 * at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    found = audit.verify()
    assert (found.whole, found.entries) == (True, 200)
    assert {json.loads(line)["evidence"]["trace_id"] for line in audit.lines()} == {
        answer(number).trace_id for number in range(1, 201)
    }


WORKER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from registry.answers import answer
from steelyard.registry.answers_audit import AnswersAudit
audit, first = AnswersAudit(Path(sys.argv[1])), int(sys.argv[2])
def work(at):
    for number in range(first + at, first + 100_000, 4):
        audit.note(answer(number))
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
for at in range(4):
    threading.Thread(target=work, args=(at,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
def test_two_processes_killed_in_the_middle_lose_nothing_they_acknowledged(audit: AnswersAudit) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(audit.path), str(first), str(TESTS)], stdout=subprocess.PIPE, text=True
        )
        for first in (1, 1_000_000)
    ]
    acknowledged: list[str] = []
    for worker in workers:
        assert worker.stdout is not None
        acknowledged += [worker.stdout.readline() for _ in range(150)]
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    for worker in workers:
        assert worker.stdout is not None
        acknowledged += [line for line in worker.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        worker.wait(timeout=30)
        worker.stdout.close()
    found = audit.verify()
    kept = {json.loads(line)["evidence"]["trace_id"] for line in audit.lines()}
    assert found.whole
    assert {answer(int(line)).trace_id for line in acknowledged} <= kept
    assert len(kept) == found.entries
    audit.note(answer(9_999_999))  # and whoever comes next goes on
    assert audit.verify().entries == found.entries + 1


def test_a_record_that_cannot_be_written_is_an_error_of_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    path.write_bytes(b"no database" * 1000)
    audit = AnswersAudit(path)
    with pytest.raises(StoreError) as caught:
        audit.note(answer(1))
    assert caught.value.code == "audit.not_kept"
    path.unlink()
    audit.note(answer(2))  # what was mended works again
    audit.close()
    assert audit.count() == 1


def test_a_closed_audit_wrote_what_waited_and_takes_nothing_more(audit: AnswersAudit) -> None:
    ends = [audit.submit(answer(number)) for number in range(1, 50)]
    audit.close()
    assert all(one.done() for one in ends)
    assert audit.count() == 49
    with pytest.raises(StoreError, match="closed"):
        audit.note(answer(50))


@settings(max_examples=15, deadline=None)
@given(number=st.integers(1, 6), field=st.sampled_from(["evidence", "who", "at", "what", "hash", "previous"]))
def test_an_edited_record_is_found(tmp_path_factory: pytest.TempPathFactory, number: int, field: str) -> None:
    audit = filled(AnswersAudit(tmp_path_factory.mktemp("a") / "audit.sqlite"), 6)
    audit.close()
    unguarded(audit, f"UPDATE answers SET {field} = {field} || ' ' WHERE number = {number}")
    assert any(line.startswith(f"record {number}:") for line in audit.verify().broken)


@pytest.mark.parametrize("statement", ["UPDATE answers SET who = ''", "DELETE FROM answers"])
def test_records_cannot_be_changed_or_deleted_in_place(audit: AnswersAudit, statement: str) -> None:
    filled(audit, 3)
    connection = sqlite3.connect(audit.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(("first", "last"), [(1, 2), (3, 4), (5, 6)])
def test_a_cut_that_nobody_sealed_is_found(audit: AnswersAudit, first: int, last: int) -> None:
    filled(audit, 6)
    unguarded(audit, f"DELETE FROM answers WHERE number BETWEEN {first} AND {last}")
    broken = [line for line in audit.verify().broken if not line.startswith("the guard")]
    assert broken[0].startswith(f"record {first}:")


def test_a_sealed_cut_keeps_the_chain_provable_and_its_archive_too(audit: AnswersAudit, tmp_path: Path) -> None:
    filled(audit, 10)
    kept_elsewhere = audit.verify().head
    archive = tmp_path / "answers-2026.jsonl"
    through = audit.before("2026-11-01T00:07:00+00:00")
    assert through == 6
    sealed = audit.cut(through, why="kept for a year", archive=archive)
    found = audit.verify(kept_elsewhere)
    assert (found.whole, found.entries) == (True, 11)
    assert sealed.evidence == {**sealed.evidence, "through": 6, "records": 6, "archive": "answers-2026.jsonl"}
    old, first = verify_lines(archive.read_text().splitlines())
    assert (old.whole, old.entries, first, old.head) == (True, 6, 1, sealed.evidence["hash"])
    audit.note(answer(11, at="2026-11-02T00:00:00+00:00"))
    again = audit.cut(audit.before("2026-11-01T00:10:00+00:00"), why="again", archive=None)
    assert (again.evidence["through"], again.evidence["records"]) == (9, 3)
    assert audit.verify().whole
    with pytest.raises(NotFoundError):
        audit.get(answer(5).trace_id)


def test_a_cut_never_takes_the_last_record_nor_an_unproven_chain(audit: AnswersAudit) -> None:
    filled(audit, 3)
    assert audit.before("2030-01-01") == 2
    for through in (3, 4, 0):
        with pytest.raises(UserError):
            audit.cut(through, why="", archive=None)
    unguarded(audit, "UPDATE answers SET who = 'eve' WHERE number = 1")
    with pytest.raises(StoreError, match="not whole"):
        audit.cut(1, why="", archive=None)
    assert audit.count() == 3


def test_an_archive_is_never_written_over_and_a_changed_one_is_found(audit: AnswersAudit, tmp_path: Path) -> None:
    filled(audit, 8)
    archive = tmp_path / "a.jsonl"
    audit.cut(3, why="", archive=archive)
    with pytest.raises(UserError, match="exists"):
        audit.cut(5, why="", archive=archive)
    lines = archive.read_text().splitlines()
    for changed in (
        [*lines[:1], *lines[2:]],
        [lines[1], lines[0], lines[2]],
        [lines[0].replace("ada", "eve"), *lines[1:]],
        [*lines[:2], "nonsense"],
    ):
        assert not verify_lines(changed)[0].whole
    assert verify_lines(lines)[0].whole


def test_a_cut_with_another_hash_or_number_does_not_excuse_what_is_missing(audit: AnswersAudit) -> None:
    filled(audit, 8)
    audit.cut(3, why="", archive=None)
    unguarded(audit, "DELETE FROM answers WHERE number = 4")
    assert any(line.startswith("record 1: missing, record 5") for line in audit.verify().broken)


def test_before_the_first_answer_there_is_nothing_and_it_is_whole(audit: AnswersAudit) -> None:
    assert (audit.count(), audit.newest(5), list(audit.lines()), audit.before("2030")) == (0, [], [], 0)
    assert audit.verify(BEGINNING).whole
    assert not audit.path.exists()
