"""A soak of the server: clients stream while it is released, rolled back, fed, restarted and its workers are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from steelyard.corpus.library import Library
from steelyard.evaluation.release_moves import Moves, swap_figures
from steelyard.evaluation.served_workspace import ServedProcess, new_key, running, serve_command, served, steelyard
from steelyard.evaluation.streaming_clients import CLIENTS, Cited, Key, Seen, stream_on
from steelyard.evaluation.worker_memory import Memory, Sample
from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.releases import Releases
from steelyard.registry.versions import Registry
from steelyard.schema.scope import Scope

WORKERS = 2
EVENTS = ("release", "ingest", "kill a worker", "rollback", "ingest")
"""What happens to the server, in turn, all the time."""

RESTARTS = (0.1, 0.2, 0.3, 0.4)
"""When in the soak the server is restarted; in the rest of it a worker lives on, so that what it never gives back shows."""

TARGETS = (("intent/knn", "answer/rag-hybrid"), ("intent/linear", "answer/rag-bm25"))
"""What is released, in turn."""

PAUSE_S = (1.0, 4.0)
"""Shortest and longest time between two events."""

BEFORE_S, BETWEEN_S = 4.0, 3.0
"""How long clients stream before the first of the releases that are timed, and between two."""

TIMED_MOVES = 6
LAST_S = 2.0
"""How long what runs at the end may take to be answered."""

SAMPLE_S = 2.0
OPENED = 200
"""Cited places that are opened again at the most."""

EDITED = "docs/opening-hours-of-the-soak.md"
INSIDE = ("staff",)

Ahead = Callable[[float], None]
"""Told how many seconds are done."""


def prepare(folder: Path) -> None:
    """Release each of TARGETS once: what a gate measures is kept, so that later releases take the time of a release and no more."""
    for targets in TARGETS:
        steelyard("-w", str(folder), "release", *targets, "--force", "--why", "for the soak")


def releases_under_streams(folder: Path, ahead: Ahead) -> dict[str, Any]:
    """Releases and rollbacks while CLIENTS clients stream: how long each took, what failed or was mixed, and whether old citations open."""
    keys, seen, stop = _keys(folder), Seen(), threading.Event()
    begun = monotonic()
    with served(folder, WORKERS) as server, Moves(folder / ".steelyard" / "registry.sqlite") as moves:

        def operate() -> None:
            try:
                sleep(BEFORE_S)
                for number in range(TIMED_MOVES):
                    if number % 2 == 0:
                        _release(folder)
                    else:
                        _roll_back(folder)
                    sleep(BETWEEN_S)
                    ahead(monotonic() - begun)
            finally:
                stop.set()

        operator = threading.Thread(target=operate)
        operator.start()
        try:
            stream_on(server.url, keys, _questions(folder), seen, stop)
        finally:
            stop.set()
            operator.join()
        opened = _opened(server.url, keys[0][0], seen.places)
    return {
        "contender": "steelyard",
        "asked": "releases",
        "clients": CLIENTS,
        "answers": len(seen.told),
        "answers_per_s": round(len(seen.told) / (monotonic() - begun), 1),
        **swap_figures(moves.found, seen.told),
        **_counts(folder, seen),
        **opened,
    }


@dataclass(kw_only=True)
class _Course:
    """One soak under way: the server's folder, command and address, and what came of it so far."""

    folder: Path
    command: list[str]
    url: str
    seconds: float
    ahead: Ahead
    begun: float = field(default_factory=monotonic)
    draw: random.Random = field(default_factory=lambda: random.Random(7))
    seen: Seen = field(default_factory=Seen)
    stop: threading.Event = field(default_factory=threading.Event)
    memory: Memory = field(default_factory=lambda: Memory(workers=WORKERS))
    events: dict[str, int] = field(default_factory=dict)
    broken: Exception | None = None

    @property
    def passed(self) -> float:
        return monotonic() - self.begun


def soak(folder: Path, seconds: float, ahead: Ahead) -> dict[str, Any]:
    """CLIENTS clients stream for `seconds` while one of EVENTS follows the other and the server is restarted; counts what must be 0.

    Half of the clients are staff. An answer that cites what its asker may not see is of the wrong scope; one whose id the audit does not
    know is lost to it; one whose parts are not those of its release is mixed. Memory: see `Memory.figures`.
    """
    keys, before = _keys(folder), set(_releases(folder))
    port, command = serve_command(folder, WORKERS)
    course = _Course(folder=folder, command=command, url=f"http://127.0.0.1:{port}", seconds=seconds, ahead=ahead)
    operator = threading.Thread(target=_operate, args=(course,))
    with Moves(folder / ".steelyard" / "registry.sqlite") as moves:
        operator.start()
        try:
            stream_on(course.url, keys, _questions(folder), course.seen, course.stop)
        finally:
            course.stop.set()
            operator.join()
            (folder / EDITED).unlink(missing_ok=True)
            steelyard("-w", str(folder), "ingest")
    if course.broken is not None:
        raise course.broken
    told = course.seen.told
    return {
        "contender": "steelyard",
        "asked": "soak",
        "minutes": round(seconds / 60, 1),
        "clients": CLIENTS,
        "answers": len(told),
        "answers_per_s": round(len(told) / seconds, 1),
        "events": dict(course.events),
        "new_releases": len(set(_releases(folder)) - before),
        "generations": len({one.generation for one in told}),
        **_counts(folder, course.seen),
        **swap_figures(moves.found, told),
        **course.memory.figures(),
    }


def _operate(course: _Course) -> None:
    events, restarts, down = cycle(EVENTS), [course.seconds * share for share in RESTARTS], monotonic()
    try:
        while course.passed < course.seconds:
            until = next((at for at in restarts if at > course.passed), course.seconds)
            with running(course.command, course.url, "/readyz") as server, _sampled(server, course):
                course.seen.shocks.append((down, monotonic()))
                while course.passed < until:
                    event = next(events)
                    course.events[event] = course.events.get(event, 0) + 1
                    _do(event, server, course)
                    course.ahead(min(course.seconds, course.passed))
                    sleep(max(0.0, min(course.draw.uniform(*PAUSE_S), until - course.passed)))
                if until >= course.seconds:
                    course.stop.set()
                    sleep(LAST_S)
                else:
                    course.events["restart"] = course.events.get("restart", 0) + 1
                down = monotonic()
        course.seen.shocks.append((down, monotonic()))
    except Exception as error:
        course.broken = error
    finally:
        course.stop.set()


@contextmanager
def _sampled(server: ServedProcess, course: _Course) -> Iterator[None]:
    """Look at the workers' memory every SAMPLE_S while the block runs."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_S):
            own, resident = server.memory_mb()
            course.memory.samples.append(Sample(at=course.passed, own=own, resident=resident))

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield
    finally:
        ended.set()
        looker.join()


def _do(event: str, server: ServedProcess, course: _Course) -> None:
    if event == "release":
        _release(course.folder)
    elif event == "rollback":
        _roll_back(course.folder)
    elif event == "ingest":
        hour = course.draw.randint(6, 11)
        (course.folder / EDITED).write_text(f"# Opening hours\n\nWe open at {hour} o'clock.\n", encoding="utf-8")
        steelyard("-w", str(course.folder), "ingest")
    elif server.workers():
        course.seen.shocks.append((monotonic(), monotonic()))
        os.kill(server.workers()[-1], signal.SIGKILL)  # the youngest: the eldest shows what a long life costs


def _release(folder: Path) -> None:
    """Release those of TARGETS that do not answer now: the same again would be no release."""
    found = Releases(Registry(folder / ".steelyard" / "registry.sqlite")).in_force()
    now = {f"{name}/{candidate}" for name, (candidate, _) in found.versions.items()} if found else set()
    wanted = next(targets for targets in TARGETS if not set(targets) <= now)
    steelyard("-w", str(folder), "release", *wanted, "--force", "--why", "for the soak")


def _roll_back(folder: Path) -> None:
    steelyard("-w", str(folder), "rollback")


def _keys(folder: Path) -> Sequence[Key]:
    return [(new_key(folder, groups=groups), groups) for groups in (INSIDE, ())]


def _questions(folder: Path) -> list[str]:
    return [json.loads(line)["question"] for line in (folder / "questions.jsonl").read_text("utf-8").splitlines()]


def _releases(folder: Path) -> Mapping[int, set[str]]:
    """The versions of every release, as `COMPONENT/CANDIDATE@VERSION`."""
    found = Releases(Registry(folder / ".steelyard" / "registry.sqlite")).all()
    return {one.number: set(one.to_json()["versions"]) for one in found}


def _counts(folder: Path, seen: Seen) -> dict[str, Any]:
    """What must be 0, counted over every answer that a client read."""
    state, made = folder / ".steelyard", _releases(folder)
    library = Library(state / "corpus.sqlite")
    access = {name: library.access_now(name) for name in {name for one in seen.told for name in one.cited}}
    library.close()
    audit = AnswersAudit(state / "audit.sqlite")
    kept = {json.loads(line)["evidence"].get("trace_id") for line in audit.lines()}
    unexplained = seen.unexplained()
    return {
        "wrong_scope": sum(
            1
            for one in seen.told
            for name in one.cited
            if name != EDITED and not access[name].permits(Scope(groups=frozenset(one.groups)))
        ),
        "mixed": sum(1 for one in seen.told if one.release and not set(one.parts) <= made[one.release]),
        "lost_audit_records": sum(1 for one in seen.told if one.trace not in kept),
        "audit_broken": len(audit.verify().broken),
        "cut_by_kill_or_restart": len(seen.broken) - len(unexplained),
        "failed": len(unexplained),
        "failures": sorted(set(unexplained))[:3],
    }


def _opened(url: str, key: str, places: set[Cited]) -> dict[str, int]:
    """How many of the cited places were opened again, and how many of them did not show their quote."""
    some = random.Random(7).sample(sorted(places), min(OPENED, len(places)))
    wrong = 0
    for document, version, start, end, quote in some:
        asked = urlencode({"document": document, "version": version, "start": start, "end": end})
        request = Request(f"{url}/api/source?{asked}", headers={"Authorization": f"Bearer {key}"})
        try:
            with urlopen(request, timeout=60) as answer:
                wrong += json.load(answer)["text"] != quote
        except HTTPError:
            wrong += 1
    return {"citations_opened": len(some), "citations_lost": wrong}
