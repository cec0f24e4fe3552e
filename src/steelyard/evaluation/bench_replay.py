"""The replay benchmark: how long two years of a documentation of some 250 pages take on two cores."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.evaluation.bench_backtest import LAST_DAY, STEPS, lay_out_history, rows_of_file, steelyard

Progress = Callable[[int, int], None]
Row = dict[str, Any]

REPLAYED = "docs_electron"
"""The history of about 250 pages and 300 questions whose pages change at an ordinary rate."""
CORES = 2
CASES = ("whole", "half", "again")


def bench_replay(data: Path, _cache: Path, progress: Progress) -> dict[str, Any]:
    """One history replayed three times on two cores; the result is `{"name": "replay", "rows": [...]}`.

    From nothing with all that a replay does (reading, embedding, training, asking, judging); with the answers of half of its steps taken
    away, as after a stop; and with nothing left to do. `seconds` are those of the whole command. Nothing of other runs is used.
    """
    source = data / REPLAYED
    if not source.is_dir():
        return {"name": "replay", "rows": [{"set": REPLAYED, "missing": "the data set is not here"}]}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as held, _two_cores() as cores:
        folder = Path(held)
        lay_out_history(folder, REPLAYED, source)
        about = _size(source) | {"cores": cores, "threads": CORES}
        for done, case in enumerate(CASES):
            if case == "half":
                _take_away(folder)
            found, seconds = _timed(folder, source, _within(progress, done))
            rows.append(
                {
                    "case": case,
                    **about,
                    "steps": len(found["steps"]),
                    "asked": found["facts"],
                    "ways": len(found["approaches"]),
                    "seconds": round(seconds, 1),
                    **(_work(found) if case == "whole" else {}),
                }
            )
    progress(len(CASES) * STEPS, len(CASES) * STEPS)
    return {"name": "replay", "rows": rows}


def _size(source: Path) -> Row:
    """How large a history is: pages at its ends, pages changed after its first day, and questions."""
    pages: set[str] = set()
    first, begun, changes = 0, "", 0
    for row in rows_of_file(source / "changes.jsonl.gz"):
        begun = begun or row["date"]
        if row["date"] == begun:
            first += 1
        else:
            changes += 1
        (pages.discard if row["op"] == "delete" else pages.add)(row["path"])
    facts = {row["fact_id"] for row in rows_of_file(source / "probes.jsonl.gz")}
    return {
        "history": source.name,
        "pages_first": first,
        "pages_last": len(pages),
        "page_changes": changes,
        "questions": len(facts),
    }


def _work(found: Mapping[str, Any]) -> Row:
    """How many passages were embedded for the first step and for all later ones, and the seconds until the first index stood."""
    work = [step["candidates"]["rag-bm25"]["work"] for step in found["steps"]]
    return {
        "passages_first": work[0]["passages"],
        "passages_later": sum(step["passages"] for step in work[1:]),
        "first_index_s": round(work[0]["seconds"], 1),
    }


def _take_away(folder: Path) -> None:
    """Leave the answers of the first half of the steps, as a stop would."""
    for answers in folder.glob(".steelyard/backtest/*/*/answers/*"):
        files = sorted(answers.glob("*.json"))
        for file in files[len(files) // 2 :]:
            file.unlink()


def _timed(folder: Path, source: Path, steps: Callable[[int], None]) -> tuple[Mapping[str, Any], float]:
    """What the command printed, and its seconds."""

    def tick() -> None:
        steps(len(list(folder.glob(".steelyard/backtest/*/*/answers/rag-bm25/*.json"))))

    begin = perf_counter()
    history = f"docs={source / 'changes.jsonl.gz'}"
    printed = steelyard("-w", str(folder), "backtest", "--history", history, "--to", LAST_DAY, "--json", tick=tick)
    return json.loads(printed), perf_counter() - begin


def _within(progress: Progress, before: int) -> Callable[[int], None]:
    return lambda steps: progress(before * STEPS + min(steps, STEPS - 1), len(CASES) * STEPS)


@contextmanager
def _two_cores() -> Iterator[int]:
    """Commands that are started have two threads, and two cores where the system can say so; how many cores they have."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(CORES)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        if allowed is None:
            yield os.cpu_count() or 1
            return
        chosen = set(sorted(allowed)[:CORES])
        os.sched_setaffinity(0, chosen)
        yield len(chosen)
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
