"""A soak of the server: clients stream while it is released, rolled back, fed, restarted and its workers are killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

from steelyard.corpus.library import Library
from steelyard.evaluation.load_client import ANSWER_S, Call, Connection
from steelyard.evaluation.served_workspace import ServedProcess, new_key, running, serve_command, steelyard
from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.releases import Releases
from steelyard.registry.versions import Registry
from steelyard.schema.scope import Scope

CLIENTS = 50
WORKERS = 2
EVENTS = ("release", "ingest", "kill a worker", "rollback", "ingest", "restart")
"""What happens to the server, in turn, all the time."""

TARGETS = (("intent/knn", "answer/rag-hybrid"), ("intent/linear", "answer/rag-bm25"))
"""What is released, in turn."""

PAUSE_S = (1.0, 4.0)
"""Shortest and longest time between two of them."""

CALM_S = 15.0
"""How long after a kill or a restart a broken connection is put down to it."""

EDITED = "docs/opening-hours-of-the-soak.md"
SLOTS = {"name": "Kim", "agent": "Lee"}
INSIDE = ("staff",)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One answer that a client read to its end."""

    trace: str
    groups: tuple[str, ...]
    release: int | None
    generation: int
    parts: tuple[str, ...]
    cited: tuple[str, ...]


@dataclass(kw_only=True)
class Seen:
    """What the clients and the watcher saw."""

    told: list[Told] = field(default_factory=list)
    broken: list[tuple[float, str]] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    shocks: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def unexplained(self) -> list[str]:
        """Failures that no kill and no restart explains: those before one, or long after."""
        return [
            why
            for at, why in self.broken
            if not any(-ANSWER_S <= shock - at <= 0 and at - shock <= CALM_S for shock in self.shocks)
        ]


def soak(folder: Path, seconds: float, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """50 clients stream for `seconds` while one of `EVENTS` follows the other; the row counts what must be 0.

    Half of the clients are staff. An answer that cites what its asker may not see is of the wrong scope; one whose id the audit does not
    know is lost to it; one whose parts are not those of its release is mixed. `memory_growth` is the median of the workers' own memory
    in the last third over that of the second: 1 is flat.
    """
    questions = [json.loads(line)["question"] for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]
    keys = [(new_key(folder, groups=groups), groups) for groups in (INSIDE, ())]
    before = set(_releases(folder))
    seen, stop = Seen(), threading.Event()
    port, command = serve_command(folder, WORKERS)
    url = f"http://127.0.0.1:{port}"
    operator = threading.Thread(target=_operate, args=(folder, command, url, seen, stop, seconds, progress))
    operator.start()
    try:
        asyncio.run(_ask_all(url, keys, questions, seen, stop))
    finally:
        stop.set()
        operator.join()
        (folder / EDITED).unlink(missing_ok=True)
        steelyard("-w", str(folder), "ingest")
    return [_row(folder, seen, seconds, before)]


def _operate(
    folder: Path,
    command: list[str],
    url: str,
    seen: Seen,
    stop: threading.Event,
    seconds: float,
    progress: Callable[[int, int], None],
) -> None:
    draw, end, events = random.Random(7), monotonic() + seconds, cycle(EVENTS)
    try:
        while monotonic() < end:
            with running(command, url, "/readyz") as server:
                stop_at_restart = False
                while monotonic() < end and not stop_at_restart:
                    event = next(events)
                    stop_at_restart = event == "restart"
                    _do(event, folder, server, seen, draw)
                    progress(int(seconds - max(0.0, end - monotonic())), int(seconds))
                    seen.memory_mb.append(server.memory_mb())
                    sleep(draw.uniform(*PAUSE_S))
                if monotonic() >= end:
                    stop.set()
                    sleep(2)  # let what runs be answered
                seen.shocks.append(monotonic())
    finally:
        stop.set()


def _do(event: str, folder: Path, server: ServedProcess, seen: Seen, draw: random.Random) -> None:
    seen.events[event] = seen.events.get(event, 0) + 1
    if event == "release":
        steelyard("-w", str(folder), "release", *TARGETS[seen.events[event] % 2], "--force", "--why", "for the soak")
    elif event == "rollback":
        steelyard("-w", str(folder), "rollback")
    elif event == "ingest":
        (folder / EDITED).write_text(
            f"# Opening hours\n\nWe open at {draw.randint(6, 11)} o'clock.\n", encoding="utf-8"
        )
        steelyard("-w", str(folder), "ingest")
    elif event == "kill a worker" and server.workers():
        seen.shocks.append(monotonic())
        os.kill(draw.choice(server.workers()), signal.SIGKILL)


def _releases(folder: Path) -> dict[int, set[str]]:
    """The versions of every release, as `COMPONENT/CANDIDATE@VERSION`."""
    found = Releases(Registry(folder / ".steelyard" / "registry.sqlite")).all()
    return {one.number: set(one.to_json()["versions"]) for one in found}


async def _ask_all(
    url: str, keys: Sequence[tuple[str, tuple[str, ...]]], questions: Sequence[str], seen: Seen, stop: threading.Event
) -> None:
    asked = cycle(questions)
    clients = (keys[number % len(keys)] for number in range(CLIENTS))
    await asyncio.gather(*(_client(url, key, groups, asked, seen, stop) for key, groups in clients))


async def _client(
    url: str, key: str, groups: tuple[str, ...], asked: Iterator[str], seen: Seen, stop: threading.Event
) -> None:
    connection, answered = Connection(url, key), False
    while not stop.is_set():
        body = {
            "model": "steelyard",
            "stream": True,
            "messages": [{"role": "user", "content": next(asked)}],
            "steelyard": {"slots": SLOTS},
        }
        begun = monotonic()
        try:
            status, payload = await asyncio.wait_for(
                connection.post(Call(path="/v1/chat/completions", body=body)), ANSWER_S
            )
            seen.told.append(_told(status, payload, groups))
            answered = True
        except (OSError, EOFError, ValueError, KeyError, TimeoutError) as error:
            if answered and not stop.is_set():  # the server has not started yet before the first answer
                seen.broken.append((max(begun, monotonic()), repr(error)))
            await asyncio.sleep(0.2)
    connection.close()


def _told(status: int, payload: bytes, groups: tuple[str, ...]) -> Told:
    if status != 200:
        raise ValueError(f"{status} {payload[:200]!r}")
    events = [line[6:] for line in payload.decode().splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        raise ValueError("the stream was cut")
    extra = json.loads(events[-2])["steelyard"]
    return Told(
        trace=extra["trace_id"],
        groups=groups,
        release=extra["release"],
        generation=extra["generation"],
        parts=tuple(part["name"] for part in extra["parts"]),
        cited=tuple(place["document"] for place in extra["citations"]),
    )


def _row(folder: Path, seen: Seen, seconds: float, before: set[int]) -> dict[str, Any]:
    state = folder / ".steelyard"
    library = Library(state / "corpus.sqlite")
    access = {name: library.access_now(name) for name in {name for one in seen.told for name in one.cited}}
    library.close()
    kept = {json.loads(line)["evidence"].get("trace_id") for line in AnswersAudit(state / "audit.sqlite").lines()}
    verified = AnswersAudit(state / "audit.sqlite").verify()
    made = _releases(folder)
    wrong = sum(
        1
        for one in seen.told
        for name in one.cited
        if name != EDITED and not access[name].permits(Scope(groups=frozenset(one.groups)))
    )
    third = len(seen.memory_mb) // 3
    flat = median(seen.memory_mb[-third:]) / median(seen.memory_mb[third : 2 * third]) if third else None
    return {
        "contender": "steelyard",
        "asked": "soak",
        "minutes": round(seconds / 60, 1),
        "clients": CLIENTS,
        "answers": len(seen.told),
        "answers_per_s": round(len(seen.told) / seconds, 1),
        "events": dict(seen.events),
        "new_releases": len(set(made) - before),
        "generations": len({one.generation for one in seen.told}),
        "wrong_scope": wrong,
        "mixed": sum(1 for one in seen.told if one.release and not set(one.parts) <= made[one.release]),
        "lost_audit_records": sum(1 for one in seen.told if one.trace not in kept),
        "audit_broken": len(verified.broken),
        "cut_by_kill_or_restart": len(seen.broken) - len(seen.unexplained()),
        "failed": len(seen.unexplained()),
        "failures": sorted(set(seen.unexplained()))[:3],
        "memory_mb": round(max(seen.memory_mb), 1) if seen.memory_mb else None,
        "memory_growth": round(flat, 3) if flat else None,
    }
