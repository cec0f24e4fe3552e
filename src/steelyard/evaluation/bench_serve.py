"""The serving benchmark: answers a second of the example workspace over HTTP, its latency at half of that, and a long soak."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.corpus.library import Library
from steelyard.evaluation import peer_service
from steelyard.evaluation.load_client import Call, Load, distinct, flood, paced
from steelyard.evaluation.served_workspace import ServedProcess, example_workspace, free_port, new_key, running, served
from steelyard.evaluation.soak import BEFORE_S, BETWEEN_S, TIMED_MOVES, prepare, releases_under_streams, soak
from steelyard.models.loading import minilm_source
from steelyard.schema.scope import EVERYONE, Scope

Progress = Callable[[int, int], None]

WORKERS = 2
CONNECTIONS = 32
FLOOD_S, PACED_S = 12.0, 15.0
SECONDS_VARIABLE = "STEELYARD_BENCH_SECONDS"
"""Seconds of each measurement, where the usual ones are too long."""
ROUNDS = 2
RELEASES_S = BEFORE_S + TIMED_MOVES * (BETWEEN_S + 3.0)
"""About how long the timed releases take."""
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

AGAIN = "search, asked before"
"""The search with the example's own questions over and over: their vectors are remembered. All others ask what nobody asked before: the
example's questions, mistyped in ever another way."""


def bench_serve(
    data_root: Path, cache: Path, progress: Progress, peers: Path | None = None, minutes: float = 0.0
) -> dict[str, Any]:
    """Answers a second with every connection busy, then latency at half that rate; beside it a plain service of a peer's.

    Two worker processes each, one client process, all on the cores this process may use. Every question has words of its own (see
    `distinct`), so no memory of earlier ones helps; but for AGAIN. Rounds alternate between the contenders, and the peer is asked at our
    half rate, too. Then releases are timed under streaming clients, and `minutes` of soak follow: see `soak`. `progress` is told seconds.
    """
    del data_root  # the example workspace is in the package
    folder = example_workspace(cache / "serve-workspace")
    missing = "name a Python that has it with --peers" if peers is None else _missing(peers)
    prepare(folder)
    contest = _Contest(folder, with_peer=missing is None)
    total = contest.seconds + RELEASES_S + 60.0 * minutes
    with ExitStack() as running:
        ours = running.enter_context(served(folder, WORKERS))
        theirs = running.enter_context(_peer(peers, folder, cache / "serve-peer")) if peers and not missing else None
        rows = contest.rows(ours, theirs, lambda done: progress(int(done), int(total)))
    if missing is not None:
        rows.append({"contender": peer_service.NAME, "asked": "search", "skipped": missing})
    base = contest.seconds
    rows.append(releases_under_streams(folder, lambda done: progress(int(base + min(done, RELEASES_S)), int(total))))
    base += RELEASES_S
    if minutes:
        rows.append(soak(folder, minutes * 60, lambda done: progress(int(base + done), int(total))))
    progress(int(total), int(total))
    return {"name": "serve", "rows": rows}


class _Contest:
    """Who is asked what in which order; `seconds` is about how long that takes."""

    def __init__(self, folder: Path, *, with_peer: bool) -> None:
        own = float(os.environ.get(SECONDS_VARIABLE, 0))
        self._flood_s, self._paced_s = own or FLOOD_S, own or PACED_S
        self._key, self._questions = new_key(folder, groups=(GROUP,)), _questions(folder)
        self._asked = count()
        once = WARM_S + self._flood_s + self._paced_s
        self.seconds = ROUNDS * ((len(CALLS) + 1) * once + (once + self._paced_s if with_peer else 0.0))

    def rows(
        self, ours: ServedProcess, theirs: ServedProcess | None, ahead: Callable[[float], None]
    ) -> list[dict[str, Any]]:
        """Every round of every contender, in turn."""
        kept: dict[tuple[str, str], list[Round]] = {}
        begun = perf_counter()
        for number in range(ROUNDS):
            order = ["ours", "theirs"] if number % 2 == 0 else ["theirs", "ours"]
            for who in order:
                if who == "ours":
                    for name, ask in {**CALLS, AGAIN: CALLS["search"]}.items():
                        calls = cycle(map(ask, self._questions)) if name == AGAIN else self._new(ask)
                        kept.setdefault(("steelyard", name), []).append(self._measured(ours, calls))
                        ahead(min(self.seconds, perf_counter() - begun))
                elif theirs is not None:
                    own = [one.half_rate for one in kept.get(("steelyard", "search"), [])]
                    calls = self._new(_peer_search)
                    found = self._measured(theirs, calls, at=own[-1] if own else None)
                    kept.setdefault((peer_service.NAME, "search"), []).append(found)
                    ahead(min(self.seconds, perf_counter() - begun))
        return [_row(contender, name, rounds) for (contender, name), rounds in kept.items()]

    def _new(self, ask: Callable[[str], Call]) -> Iterator[Call]:
        return distinct(self._questions, ask, self._asked)

    def _measured(self, server: ServedProcess, calls: Iterator[Call], at: float | None = None) -> Round:
        """As fast as it answers, then at half that rate, then at the rate `at` where one is named."""
        flood(server.url, self._key, calls, connections=CONNECTIONS, seconds=WARM_S)
        before = server.cpu_s()
        full = flood(server.url, self._key, calls, connections=CONNECTIONS, seconds=self._flood_s)
        cpu_ms = (server.cpu_s() - before) * 1000 / max(1, len(full.ms))

        def at_rate(rate: float) -> Load:
            many = 4 * CONNECTIONS
            return paced(server.url, self._key, calls, connections=many, seconds=self._paced_s, rate=rate)

        half_rate = max(1.0, full.per_second / 2)
        return Round(full, at_rate(half_rate), cpu_ms, half_rate, None if at is None else at_rate(at))


def _peer_search(text: str) -> Call:
    return Call(path="/search", body={"query": text, "scope": GROUP})


@dataclass(frozen=True)
class Round:
    """One contender asked one thing: as fast as it answers, at half that rate, and at our half rate; the processor time of an answer."""

    full: Load
    half: Load
    cpu_ms: float
    half_rate: float
    at_our_half_rate: Load | None = None


def _row(contender: str, asked: str, rounds: list[Round]) -> dict[str, Any]:
    """The round of the middle rate (of two the lower one)."""
    middle = sorted(rounds, key=lambda one: one.full.per_second)[(len(rounds) - 1) // 2]
    full, half, other = (
        middle.full,
        middle.half,
        next((one.at_our_half_rate for one in rounds if one.at_our_half_rate), None),
    )
    same_rate = (
        {
            "at_our_half_rate_per_s": round(other.per_second, 1),
            "at_our_half_rate_p50_ms": round(other.quantile_ms(0.5), 1),
            "at_our_half_rate_p99_ms": round(other.quantile_ms(0.99), 1),
        }
        if other is not None
        else {}
    )
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
        **same_rate,
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
