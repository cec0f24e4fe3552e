"""The serving benchmark: answers a second of the example workspace over HTTP, its latency at half of that, and a long soak."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.corpus.library import Library
from steelyard.evaluation import peer_service
from steelyard.evaluation.load_client import Call, Load, distinct, flood, paced
from steelyard.evaluation.served_workspace import ServedProcess, example_workspace, free_port, new_key, running, served
from steelyard.evaluation.soak import soak
from steelyard.models.loading import minilm_source
from steelyard.schema.scope import EVERYONE, Scope

Progress = Callable[[int, int], None]

WORKERS = 2
CONNECTIONS = 32
FLOOD_S, PACED_S = 15.0, 20.0
SECONDS_VARIABLE = "STEELYARD_BENCH_SECONDS"
"""Seconds of each measurement, where the usual ones are too long."""
ROUNDS = 2
WARM_S = 3.0

GROUP = "staff"

CALLS: dict[str, Callable[[str], Call]] = {
    "search": lambda text: Call(path="/api/search", body={"query": text, "k": 10}),
    "answer": lambda text: Call(path="/api/ask", body={"question": text}),
    "pipeline": lambda text: Call(
        path="/v1/chat/completions",
        body={
            "model": "steelyard",
            "messages": [{"role": "user", "content": text}],
            "steelyard": {"slots": {"name": "Kim", "agent": "Lee"}},
        },
    ),
}
"""What is asked, by its name in the table."""


def bench_serve(
    data_root: Path, cache: Path, progress: Progress, peers: Path | None = None, minutes: float = 0.0
) -> dict[str, Any]:
    """Answers a second with every connection busy, then latency at half that rate; beside it a plain service of a peer's.

    Two worker processes each, one client process, all on the cores this process may use. Every question has words of its own, so no
    memory of earlier ones helps. Rounds alternate between the contenders. `minutes` of soak follow: see `soak`.
    """
    del data_root  # the example workspace is in the package
    folder = example_workspace(cache / "serve-workspace")
    key, questions = new_key(folder, groups=(GROUP,)), _questions(folder)
    steps = len(CALLS) * ROUNDS + 2
    progress(1, steps)
    kept: dict[tuple[str, str], list[Round]] = {}
    missing = None
    with served(folder, WORKERS) as ours:
        for number in range(ROUNDS):
            for at, (name, ask) in enumerate(CALLS.items()):
                kept.setdefault(("steelyard", name), []).append(_measure(ours, key, distinct(questions, ask)))
                progress(1 + number * len(CALLS) + at + 1, steps)
    missing = "name a Python that has it with --peers" if peers is None else _missing(peers)
    if peers is not None and missing is None:
        with _peer(peers, folder, cache / "serve-peer") as theirs:
            for _ in range(ROUNDS):
                calls = distinct(questions, lambda text: Call(path="/search", body={"query": text, "scope": GROUP}))
                kept.setdefault((peer_service.NAME, "search"), []).append(_measure(theirs, key, calls))
    rows = [_row(contender, name, rounds) for (contender, name), rounds in kept.items()]
    if missing is not None:
        rows.append({"contender": peer_service.NAME, "asked": "search", "skipped": missing})
    if minutes:
        rows += soak(folder, minutes * 60, progress)
    progress(steps, steps)
    return {"name": "serve", "rows": rows}


@dataclass(frozen=True)
class Round:
    """One contender asked one thing: as fast as it answers, then at half that rate; and the processor time of an answer."""

    full: Load
    half: Load
    cpu_ms: float


def _measure(server: ServedProcess, key: str, calls: Iterator[Call]) -> Round:
    flood_s = paced_s = float(os.environ.get(SECONDS_VARIABLE, 0))
    url = server.url
    flood(url, key, calls, connections=CONNECTIONS, seconds=WARM_S)
    before = server.cpu_s()
    full = flood(url, key, calls, connections=CONNECTIONS, seconds=flood_s or FLOOD_S)
    cpu_ms = (server.cpu_s() - before) * 1000 / max(1, len(full.ms))
    rate = max(1.0, full.per_second / 2)
    half = paced(url, key, calls, connections=4 * CONNECTIONS, seconds=paced_s or PACED_S, rate=rate)
    return Round(full, half, cpu_ms)


def _row(contender: str, asked: str, rounds: list[Round]) -> dict[str, Any]:
    """The round of the middle rate (of two the lower one)."""
    middle = sorted(rounds, key=lambda one: one.full.per_second)[(len(rounds) - 1) // 2]
    full, half = middle.full, middle.half
    return {
        "contender": contender,
        "asked": asked,
        "answers_per_s": round(full.per_second, 1),
        "cpu_ms": round(middle.cpu_ms, 2),
        "p50_ms": round(full.quantile_ms(0.5), 1),
        "p99_ms": round(full.quantile_ms(0.99), 1),
        "half_rate_per_s": round(half.per_second, 1),
        "half_rate_p50_ms": round(half.quantile_ms(0.5), 1),
        "half_rate_p99_ms": round(half.quantile_ms(0.99), 1),
        "answers": sum(len(load.ms) for one in rounds for load in (one.full, one.half)),
        "failed": sum(len(load.failed) for one in rounds for load in (one.full, one.half)),
        "workers": WORKERS,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _questions(folder: Path) -> list[str]:
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines if line.strip()]


def _missing(peers: Path) -> str | None:
    """How to install what the peer's Python lacks; None when it lacks nothing."""
    done = subprocess.run(
        [str(peers), str(Path(peer_service.__file__)), "check"], capture_output=True, text=True, check=False
    )
    lacks = json.loads(done.stdout)["missing"] if done.returncode == 0 else ["a Python that runs"]
    return f"{', '.join(lacks)} is missing there: pip install {peer_service.INSTALL}" if lacks else None


def _peer(peers: Path, folder: Path, made: Path) -> AbstractContextManager[ServedProcess]:
    """The peer's service over the same passages, with the same model and as many workers."""
    made.mkdir(parents=True, exist_ok=True)
    library = Library(folder / ".steelyard" / "corpus.sqlite")
    scopes = {EVERYONE: Scope(), GROUP: Scope(groups=frozenset({GROUP}))}
    with (made / "passages.jsonl").open("w", encoding="utf-8") as lines:
        for one in library.passages(library.in_force()):
            seen = [name for name, scope in scopes.items() if one.access.permits(scope)]
            lines.write(json.dumps({"id": one.id, "text": one.search_text, "seen": seen}) + "\n")
    library.close()

    script, model = str(Path(peer_service.__file__)), str(minilm_source())
    subprocess.run([str(peers), script, "prepare", str(made), model], check=True, capture_output=True)

    @contextmanager
    def service() -> Iterator[ServedProcess]:
        port = free_port()
        command = [str(peers), script, "serve", str(made), model, str(port), str(WORKERS)]
        with running(command, f"http://127.0.0.1:{port}", "/ready") as process:
            yield process

    return service()
