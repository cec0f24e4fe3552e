"""The product's own ingest as a contender: `python -m steelyard.evaluation.own_ingest DOCUMENTS PRECISION`."""

from __future__ import annotations

import hashlib
import json
import os
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
    """Answer commands from standard input until it ends; each is one whole ingest into a new index."""
    folder, precision = Path(sys.argv[1]), sys.argv[2]
    encoder: Encoder = PlantedEncoder()
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
        say(question(encoder, command["texts"]) if "texts" in command else whole(folder, encoder))
    return 0


def whole(folder: Path, encoder: Encoder) -> dict[str, Any]:
    """One ingest of a folder, from files to the generation that answers."""
    with tempfile.TemporaryDirectory(prefix="steelyard-ingest-") as place, looking() as memory:
        library, store = Library(Path(place) / "corpus.sqlite"), LanceStore(Path(place) / "index")
        rule = SourceRule(path=folder.name, allow=("everyone",))
        begin, before = perf_counter(), processor_s()
        report = ingest([rule], library, store, encoder, root=folder.parent, settings=IngestSettings())
        store.optimize()
        spent = {"seconds": perf_counter() - begin, "cpu_s": processor_s() - before}
        library.close()
    return {**spent, "passages": report.passages, "embedded": report.embedded, **memory}


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
