"""Searching while ingests, compactions, rollbacks and erasures run: no error, no half generation, nothing stale after a switch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from edit_histories import ENCODER, put, started

from steelyard.components.enforcement import EnforcedStore
from steelyard.corpus.library import Library
from steelyard.corpus.retention import Policy, compact
from steelyard.schema.scope import Scope
from steelyard.stores.lance import LanceStore

ROUNDS = 12

READER = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_readers_during_writes import Reader
reader, stop = Reader(Path(sys.argv[1])), Path(sys.argv[3])
sys.stdout.write("ready\\n"); sys.stdout.flush()
while not stop.exists():
    reader.look()
    time.sleep(0.005)
sys.stdout.write(json.dumps([reader.looks, reader.wrong]))
"""


class Reader:
    """A process or thread with the store open: every look asks which generation answers, and searches it."""

    def __init__(self, root: Path) -> None:
        self.library = Library(root / ".steelyard" / "corpus.sqlite")
        self.store = EnforcedStore(LanceStore(root / ".steelyard" / "index"), self.library.control)
        self.looks = 0
        self.wrong: list[str] = []
        [self.vector] = ENCODER.encode(["refund"])

    def look(self) -> None:
        """The counter page must be that of the generation, once and whole, in every kind of search."""
        number = self.library.in_force()
        try:
            found = self.store.passages(Scope(), number)
            by_words = self.store.lexical("counter", Scope(), 50, number)
            by_meaning = self.store.dense(self.vector, Scope(), 50, number)
        except Exception as error:
            self.wrong.append(f"generation {number}: {type(error).__name__} {error}")
            return
        self.looks += 1
        counters = {passage.text for passage in found if "counter" in passage.text}
        ids = [passage.id for passage in found]
        if len(counters) != 1 or len(set(ids)) != len(ids) or len(by_meaning) != len(found):
            self.wrong.append(f"generation {number}: {sorted(counters)} {len(ids)} {len(by_meaning)}")
        elif {hit.passage.text for hit in by_words} != counters:
            self.wrong.append(f"generation {number}: words find {[hit.passage.text for hit in by_words]}")


def look_on(reader: Reader, stop: Path) -> None:
    while not stop.exists():
        reader.look()
        time.sleep(0.005)


def write(bench, number: int) -> None:
    (bench.docs / "counter.md").write_text(f"The counter stands at {number}.\n", encoding="utf-8")


@pytest.mark.slow
def test_threads_and_processes_search_while_everything_is_written(tmp_path):
    bench = started(tmp_path, LanceStore(tmp_path / ".steelyard" / "index"))
    put(bench.docs, {"a.md": (0, ""), "b.md": (2, ""), "more/d.md": (5, "")})
    write(bench, 0)
    bench.ingest()
    bench.index.optimize()
    stop = tmp_path / "stop"
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", READER, str(tmp_path), str(Path(__file__).parent), str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    shared = Reader(tmp_path)
    threads = [threading.Thread(target=look_on, args=(shared, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    own = Reader(tmp_path)
    stale: list[str] = []
    try:
        for number in range(1, ROUNDS + 1):
            write(bench, number)
            made = bench.ingest().generation
            if number % 3 == 0:
                bench.index.optimize()
            if number % 4 == 0:
                # As if the policy's days were over; readers of a moment ago are spared by the grace the policy gives them.
                compact(
                    bench.library,
                    bench.index,
                    Policy(generations=3, days=0),
                    now=datetime.now(UTC) + timedelta(minutes=9),
                )
            if number % 5 == 0:
                bench.library.switch(made - 1)
                own.look()
                bench.library.switch(made)
            texts = {passage.text for passage in own.store.passages(Scope(), own.library.in_force())}
            if f"The counter stands at {number}." not in texts:
                stale.append(f"{number}: {sorted(texts)}")
            time.sleep(0.05)
    finally:
        stop.touch()
        for thread in threads:
            thread.join()
        ended = [process.communicate(timeout=60) for process in processes]
    assert stale == []
    assert shared.wrong == []
    assert shared.looks > ROUNDS
    for out, err in ended:
        looks, wrong = json.loads(out or "null") or (0, [err])
        assert wrong == []
        assert looks > 0
