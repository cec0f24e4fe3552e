"""The audit benchmark: how many answers a second get a sealed record on the disk, from two processes at once."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.registry.answers_audit import AnswersAudit
from steelyard.schema.audit import AnswerRecord, Cited, digest, question_hash

PROCESSES = 2
THREADS = (1, 8, 25)
"""Answers that one process has under way at a time; 2 x 25 are the 50 clients of the load test."""
SECONDS = 10.0
ROUNDS = 3
WAYS = ("shared commits", "one commit a record", "one synced line a record")
"""Ours; the same chain without sharing a commit; and the least there is, a line appended to a file and synced, which is no chain."""

VARIABLE = "STEELYARD_BENCH_SECONDS"
"""Other seconds a cell, for a quick look."""


def bench_audit(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Records a second and latency for each way of keeping them; the result is `{"name": "audit", "rows": [...]}`.

    Every cell runs for SECONDS, ROUNDS times, the ways in turn and in alternating order; shown are medians over the rounds. `lost` counts
    records that were acknowledged and are not in the file. Latency is from the call to its return, at which the record is on the disk.
    """
    del data_root, cache
    seconds = float(os.environ.get(VARIABLE, SECONDS))
    cells: dict[tuple[int, str], list[dict[str, float]]] = {}
    done, total = 0, ROUNDS * len(THREADS) * len(WAYS)
    for turn in range(ROUNDS):
        for threads in THREADS:
            for way in WAYS if turn % 2 == 0 else reversed(WAYS):
                cells.setdefault((threads, way), []).append(_cell(way, threads, seconds))
                done += 1
                progress(done, total)
    rows = [
        {
            "way": way,
            "processes": PROCESSES,
            "threads_a_process": threads,
            "records_per_s": statistics.median(one["per_s"] for one in found),
            "p50_ms": statistics.median(one["p50_ms"] for one in found),
            "p99_ms": statistics.median(one["p99_ms"] for one in found),
            "lost": sum(int(one["lost"]) for one in found),
            "whole": all(one["whole"] for one in found),
            "rounds": len(found),
            "seconds_a_round": seconds,
        }
        for (threads, way), found in sorted(cells.items(), key=lambda cell: (cell[0][0], WAYS.index(cell[0][1])))
    ]
    return {"name": "audit", "rows": rows}


def _cell(way: str, threads: int, seconds: float) -> dict[str, float]:
    """One way under load from PROCESSES processes, which begin together."""
    with tempfile.TemporaryDirectory() as folder:
        code = "import sys; from steelyard.evaluation.bench_audit import work; work(*sys.argv[1:])"
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", code, folder, way, str(threads), str(seconds), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(PROCESSES)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()  # loaded
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        times = sorted(float(line) for worker in workers for line in worker.communicate()[0].splitlines())
        kept, whole = _kept(Path(folder), way)
    return {
        "per_s": len(times) / seconds,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "lost": len(times) - kept,
        "whole": whole,
    }


def work(folder: str, way: str, threads: str, seconds: str, number: str) -> None:
    """One process of a cell: prints a line when it is ready, then the seconds that each record took."""
    note, close = _noter(Path(folder), way)
    first = int(number) * 10**9
    taken: list[list[float]] = [[] for _ in range(int(threads))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    ends = perf_counter() + float(seconds)

    def answer(at: int) -> None:
        count = 0
        while (began := perf_counter()) < ends:
            count += 1
            note(_record(first + at * 10**7 + count))
            taken[at].append(perf_counter() - began)

    running = [threading.Thread(target=answer, args=(at,)) for at in range(int(threads))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    close()
    sys.stdout.write("".join(f"{one:.7f}\n" for own in taken for one in own))


def _noter(folder: Path, way: str) -> tuple[Callable[[AnswerRecord], None], Callable[[], None]]:
    if way == WAYS[2]:
        file, guard = (folder / "lines.jsonl").open("ab"), threading.Lock()

        def append(record: AnswerRecord) -> None:
            with guard:
                file.write(f"{record.to_json()}\n".encode())
                file.flush()
                os.fsync(file.fileno())

        return append, file.close
    audit = AnswersAudit(folder / "audit.sqlite", "bench")
    if way == WAYS[0]:
        return audit.note, audit.close
    guard = threading.Lock()

    def alone(record: AnswerRecord) -> None:
        with guard:
            audit.note(record)

    return alone, audit.close


def _kept(folder: Path, way: str) -> tuple[int, bool]:
    if way == WAYS[2]:
        with suppress(FileNotFoundError), (folder / "lines.jsonl").open("rb") as file:
            return sum(1 for _ in file), True
        return 0, False
    found = AnswersAudit(folder / "audit.sqlite").verify()
    return found.entries, found.whole


def _record(number: int) -> AnswerRecord:
    """A record of the usual size: ten passages, two citations; about 2 kB."""
    trace = f"{number:032x}"
    cited = Cited(document="docs/guild/sla.md", version=digest("a"), start=120, end=240, quote=digest("b"))
    return AnswerRecord(
        trace_id=trace,
        at="2026-11-22T10:00:00.000+00:00",
        kind="pipeline",
        key_id="k0123456789",
        name="helpdesk",
        user="ada",
        groups=("guild", "staff"),
        release=3,
        generation=12,
        versions=("intent/linear@3", "answer/rag-hybrid@2", "reply/exemplar@1"),
        passages=tuple(f"docs/guild/sla.md@0123456789ab:{at * 800}-{at * 800 + 800}" for at in range(10)),
        citations=(cited, cited),
        question=question_hash(trace, "How long may the priority line take?"),
        answer=digest("An hour."),
        cost_usd=0.00012,
        latency_ms=21.5,
    )
