"""Runs one kind of work on a corpus in children and kills them at random moments; prints what was found afterwards, as JSON.

A process of its own: it imports everything, uses nothing, and forks, so that a child costs milliseconds and starts clean.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lancedb  # noqa: F401 - loaded once, here, for every child
from corpus_bench import Bench
from edit_histories import ENCODER, State, put, started

from steelyard.corpus.erasing import close, find_targets, is_due, remove
from steelyard.corpus.removal import is_unfinished
from steelyard.corpus.retention import Policy, compact
from steelyard.schema.scope import Scope
from steelyard.stores.lance import LanceStore

SEVERAL: list[State] = [
    {"a.md": (0, ""), "b.md": (0, ""), "c.md": (2, ""), "more/d.md": (5, "guild")},
    {"a.md": (1, ""), "b.md": (0, ""), "c.md": (2, ""), "more/d.md": (5, "guild")},
    {"a.md": (1, ""), "b.md": (0, ""), "c.md": (3, ""), "more/e.md": (4, "")},
]
"""Generations 1 to 3 of every workspace that is not new."""

NEXT: State = {"a.md": (0, "staff"), "more/b.md": (0, ""), "c.md": (2, ""), "more/d.md": (5, ""), "more/e.md": (3, "")}
"""What an update brings: edits, a rename, a change of access, a document that comes back, one that goes."""

ALL = Scope(user="ada", groups=frozenset({"guild", "staff"}))


def opened(root: Path) -> Bench:
    """The workspace as a process finds it."""
    bench = Bench(root)
    bench.index.close()
    (root / ".steelyard" / "index.sqlite").unlink()
    bench.index = LanceStore(root / ".steelyard" / "index")
    bench.encoder = ENCODER
    return bench


def template(root: Path, states: list[State], last: State) -> None:
    """A workspace with a generation for each state, and sources that have moved on to `last`."""
    bench = started(root, LanceStore(root / ".steelyard" / "index"))
    for state in states:
        put(bench.docs, state)
        bench.ingest()
    put(bench.docs, last)
    bench.library.close()


def do_ingest(bench: Bench) -> None:
    bench.ingest()


def do_compact(bench: Bench) -> None:
    policy = Policy(generations=1, days=0)
    compact(bench.library, bench.index, policy, now=datetime.now(UTC) + timedelta(days=1))


def do_rollback(bench: Bench) -> None:
    bench.library.switch(1)


def do_erase(bench: Bench) -> None:
    control = bench.library.control
    if any(version.document == "docs/b.md" for number in held(bench) for version in bench.library.versions(number)):
        close(control, find_targets(bench.library, ["docs/b.md"]), by="ada", why="")
    remove(bench.library, bench.index, control)


def held(bench: Bench) -> list[int]:
    return [generation.number for generation in bench.library.generations()]


def names(bench: Bench, number: int) -> list[str]:
    return [version.document for version in bench.library.versions(number)]


def listed(state: State) -> list[str]:
    return sorted(f"docs/{name}" for name in state)


def whole(bench: Bench) -> None:
    """In every generation the index has exactly the library's passages: none lost, doubled or half there."""
    for number in held(bench):
        expected = {passage.id: passage.text for passage in bench.library.passages(number)}
        assert bench.library.generation(number).passages == len(expected)
        found = bench.index.passages(ALL, number)
        assert len(found) == len(expected) == bench.index.count(number), (number, len(found), len(expected))
        assert {passage.id: passage.text for passage in found} == expected


def after_ingest(bench: Bench, old: int, last: State) -> None:
    number = bench.library.in_force()
    assert number in (old, old + 1)
    if number:
        assert names(bench, number) == listed(SEVERAL[-1] if number == old else last)
    whole(bench)
    assert bench.ingest().generation == old + 1
    assert names(bench, old + 1) == listed(last)
    whole(bench)


def after_compact(bench: Bench) -> None:
    # A generation whose rows may be half removed is no longer listed: what is listed is whole.
    assert held(bench) in ([1, 2, 3], [3])
    assert names(bench, 3) == listed(SEVERAL[2])
    whole(bench)
    do_compact(bench)
    assert held(bench) == [3]
    assert not is_unfinished(bench.library)
    whole(bench)
    put(bench.docs, NEXT)
    assert bench.ingest().generation == 4
    whole(bench)


def after_rollback(bench: Bench) -> None:
    number = bench.library.in_force()
    assert number in (1, 3)
    assert names(bench, number) == listed(SEVERAL[number - 1])
    whole(bench)
    do_rollback(bench)
    assert bench.library.in_force() == 1
    bench.ingest()
    whole(bench)


def after_erase(bench: Bench) -> None:
    control = bench.library.control
    closed = bool(control.erasures())
    present = "docs/b.md" in names(bench, 3)
    assert present or closed  # never gone without a record of it
    if present:
        assert names(bench, 3) == listed(SEVERAL[2])
    else:
        assert names(bench, 3) == [name for name in listed(SEVERAL[2]) if name != "docs/b.md"]
    do_erase(bench)
    assert not is_due(bench.library, control)
    for number in (1, 2, 3):
        assert names(bench, number) == [name for name in listed(SEVERAL[number - 1]) if name != "docs/b.md"]
    assert LanceStore(bench.root / ".steelyard" / "index").count(3) == bench.library.generation(3).passages
    whole(bench)


Work = tuple[list[State], State, Callable[[Bench], None], Callable[[Bench], None]]

WORK: dict[str, Work] = {
    "first": ([], SEVERAL[0], do_ingest, lambda bench: after_ingest(bench, 0, SEVERAL[0])),
    "update": (SEVERAL, NEXT, do_ingest, lambda bench: after_ingest(bench, 3, NEXT)),
    "compact": (SEVERAL, SEVERAL[2], do_compact, after_compact),
    "rollback": (SEVERAL, SEVERAL[2], do_rollback, after_rollback),
    "erase": (SEVERAL, SEVERAL[2], do_erase, after_erase),
}


def child(action: Callable[[], None]) -> int:
    """A fork that does this and ends, 0 when it went well; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        action()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(moment: float, action: Callable[[], None]) -> tuple[bool, float]:
    """Whether the child was still at work when it was killed after `moment` seconds, and how long it ran."""
    begin = time.perf_counter()
    pid = child(action)
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    code = ended(pid)
    assert code in (0, -signal.SIGKILL), code
    return code != 0, time.perf_counter() - begin


def main(kind: str, seed: int, count: int, folder: Path) -> dict[str, object]:
    """Kill `count` children that were at work; what was wrong afterwards."""
    states, last, work, verify = WORK[kind]
    draw = random.Random(seed)
    base = folder / "template"
    assert ended(child(lambda: template(base, states, last))) == 0
    failures: list[str] = []
    took: list[float] = []
    kills = point = 0
    while kills < count and point < 15 * count:
        point += 1
        root = folder / f"{point}"
        shutil.copytree(base, root)
        begin = time.perf_counter()
        if point <= 3 or not point % 25:
            # How long the work takes, on this machine as it is now.
            assert ended(child(lambda root=root: work(opened(root)))) == 0
            took.append(time.perf_counter() - begin)
            took = took[-5:]
        else:
            moment = draw.uniform(0, statistics.median(took))
            killed, _ = killed_at(moment, lambda root=root: work(opened(root)))
            kills += killed
            if killed and ended(child(lambda root=root: verify(opened(root)))) != 0:
                failures.append(f"{kind} {seed} point {point} at {moment:.4f} s")
        shutil.rmtree(root)
    return {"kills": kills, "points": point, "work_s": round(statistics.median(took), 4), "failures": failures}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
