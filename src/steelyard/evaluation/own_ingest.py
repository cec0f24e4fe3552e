"""The product's own ingest as a contender: `python -m steelyard.evaluation.own_ingest DOCUMENTS PRECISION`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, thread_time
from typing import Any, Literal, cast

import numpy as np

from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.interface import Encoder
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.own_search import say
from steelyard.models.interface import Vectors
from steelyard.models.loading import load_minilm
from steelyard.schema.corpus import IngestReport
from steelyard.stores.lance import LanceStore

LOOK_S = 0.02  # between two looks at the memory of a process
PLANTED = "planted"


class PlantedEncoder:
    """Vectors drawn from the text's hash: for measuring everything but the encoder."""

    name = "planted-384"
    dim = 384

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, the same for the same text."""
        seeds = (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") for text in texts)
        rows = np.array([np.random.default_rng(seed).standard_normal(self.dim, dtype=np.float32) for seed in seeds])
        made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return made


def main() -> int:
    """Answer commands from standard input until it ends; each is one whole ingest into a new index.

    With a third argument: one ingest into the index that is there, and what it took of memory.
    """
    folder, precision = Path(sys.argv[1]), sys.argv[2]
    encoder: Encoder = PlantedEncoder()
    if len(sys.argv) > 3:
        with looking() as memory:
            once(folder, Path(sys.argv[3]), encoder)
        say(memory)
        return 0
    if precision != PLANTED:
        encoder = load_minilm(precision=cast(Literal["fp32", "int8"], precision))
        encoder.encode(["warm up"] * 32)
    with tempfile.TemporaryDirectory(prefix="steelyard-ingest-") as place:
        # What the first ingest of a process imports is no part of an ingest; the peers ingest one text beforehand as well.
        (Path(place) / "warm.txt").write_text("warm up", encoding="utf-8")
        whole(Path(place), encoder)
    say({"encoder": encoder.name})
    for line in sys.stdin:
        command = json.loads(line)
        say(question(encoder, command["texts"]) if "texts" in command else whole(folder, encoder, **command))
    return 0


def whole(folder: Path, encoder: Encoder, edits: int = 0) -> dict[str, Any]:
    """One ingest of a folder, from files to the generation that answers.

    After `edits` of its files one more follows, in a process of its own that reads what the first wrote: `edited_mb` is its peak.
    """
    with tempfile.TemporaryDirectory(prefix="steelyard-ingest-") as place:
        with looking() as memory:
            begin, before = perf_counter(), processor_s()
            report = once(folder, Path(place), encoder)
            spent = {"seconds": perf_counter() - begin, "cpu_s": processor_s() - before}
        if edits:
            files = sorted(folder.iterdir())
            for file in files[:: max(1, len(files) // edits)][:edits]:
                file.write_text(f"{file.read_text(encoding='utf-8')}\nEdited.\n", encoding="utf-8")
            told = subprocess.run(
                [sys.executable, "-m", "steelyard.evaluation.own_ingest", str(folder), PLANTED, place],
                capture_output=True,
                text=True,
                check=True,
            )
            spent["edited_mb"] = json.loads(told.stdout)["own_mb"]
    return {**spent, "passages": report.passages, "embedded": report.embedded, **memory}


def once(folder: Path, place: Path, encoder: Encoder) -> IngestReport:
    """Ingest a folder into the library and the index in `place`."""
    library, store = Library(place / "corpus.sqlite"), LanceStore(place / "index")
    rule = SourceRule(path=folder.name, allow=("everyone",))
    report = ingest([rule], library, store, encoder, root=folder.parent, settings=IngestSettings())
    store.optimize()
    library.close()
    return report


def question(encoder: Encoder, texts: Sequence[str]) -> dict[str, Any]:
    """Milliseconds of encoding each text alone, by the clock and of work on its thread."""
    spent, work = [], []
    for text in texts:
        begin, before = perf_counter(), thread_time()
        encoder.encode([text])
        work.append((thread_time() - before) * 1000)
        spent.append((perf_counter() - begin) * 1000)
    return {"ms": spent, "work_ms": work}


def processor_s() -> float:
    """Seconds that this process and those it has started have used of all cores."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@contextmanager
def looking() -> Iterator[dict[str, float]]:
    """Looks at the memory of this process and of those it started, all the while; the peaks in megabytes, without mapped files."""
    peaks = {"own_mb": 0.0, "workers_mb": 0.0}
    ended = Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            peaks["own_mb"] = max(peaks["own_mb"], _own_mb("self"))
            peaks["workers_mb"] = max(peaks["workers_mb"], sum(map(_own_mb, _children())))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _own_mb(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    fields: Mapping[str, str] = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1024 if "RssAnon" in fields else 0.0


def _children() -> list[str]:
    try:
        return [one for path in Path("/proc/self/task").glob("*/children") for one in path.read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
