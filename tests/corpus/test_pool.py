from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.pool import ParsePool, ParseWorker


@pytest.fixture
def worker():
    made = ParseWorker()
    yield made
    made.close()


def test_a_worker_is_used_again(worker):
    first = worker.parse("txt", b"one", Limits())
    process = worker._process
    assert (first.text, worker.parse("markdown", b"# two", Limits()).title) == ("one", "two")
    assert worker._process is process


def test_a_file_that_takes_too_long_is_named_and_the_next_is_read(worker):
    worker.parse("txt", b"warm", Limits())
    begin = time.perf_counter()
    with pytest.raises(ParseError, match="took too long") as caught:
        worker.parse("markdown", b"# one\n\ntwo *three* [four](five)\n\n" * 200_000, Limits(seconds=0.5))
    # Left alone it would be read for longer than this on any machine.
    assert time.perf_counter() - begin < 15
    assert caught.value.transient
    assert worker.parse("txt", b"next", Limits()).text == "next"


def test_a_file_that_kills_its_process_is_named_and_the_next_is_read(worker):
    worker.parse("txt", b"warm", Limits())
    os.kill(worker._process.pid, signal.SIGSTOP)

    def kill():
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)

    process = worker._process
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ParseError, match="its process ended with -9"):
        worker.parse("txt", b"deadly", Limits())
    killer.join()
    assert worker.parse("txt", b"next", Limits()).text == "next"


def test_a_file_that_needs_too_much_memory_is_named(worker):
    text = b"<p>word</p>" * 2_000_000
    with pytest.raises(ParseError, match=r"memory|broke|cannot be read"):
        worker.parse("html", text, Limits(memory_bytes=200 * 2**20, characters=10**9))
    assert worker.parse("txt", b"next", Limits()).text == "next"


def test_a_python_file_in_the_current_folder_is_not_run(worker, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert worker.parse("txt", b"x", Limits()).text == "x"


def test_many_files_are_read_and_each_keeps_its_outcome():
    tasks = [(number, "txt" if number % 3 else "pdf", f"text {number}".encode()) for number in range(60)]
    with ParsePool(Limits(), 2) as pool:
        outcomes = dict(pool.map(tasks))
    assert sorted(outcomes) == list(range(60))
    assert all(outcomes[n].text == f"text {n}" for n in range(60) if n % 3)
    assert all(isinstance(outcomes[n], ParseError) for n in range(60) if n % 3 == 0)


def test_tasks_are_drawn_as_workers_come_free():
    drawn = []

    def tasks():
        for number in range(40):
            drawn.append(number)
            yield number, "txt", b"x"

    with ParsePool(Limits(), 1) as pool:
        first = next(iter(pool.map(tasks())))
        assert isinstance(first[1], Parsed)
        assert len(drawn) < 10


def test_leaving_early_ends_the_processes():
    with ParsePool(Limits(), 1) as pool:
        next(iter(pool.map((number, "txt", b"x") for number in range(10))))
        process = pool._workers[0]._process
    assert process.poll() is not None
