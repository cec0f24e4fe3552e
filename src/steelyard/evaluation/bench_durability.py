"""The durability benchmark: what rollback, compaction, erasure, examination and rebuilding take in a large corpus."""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.components.enforcement import EnforcedStore
from steelyard.corpus.doctor import check_library
from steelyard.corpus.doctor_index import check_index
from steelyard.corpus.erasing import close, find_targets, remove
from steelyard.corpus.ingest import ingest
from steelyard.corpus.library import Library
from steelyard.corpus.rebuild import rebuild
from steelyard.corpus.retention import Policy, compact
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.made_documents import made_sections
from steelyard.schema.scope import Scope
from steelyard.stores.lance import LanceStore

PASSAGES = 100_000
SECTIONS = 10
"""Sections a document, each of the length of one passage."""
GENERATIONS = 6
EDITED_SHARE = 0.01
"""Share of the documents that each generation after the first edits."""
ROLLBACKS = 15
SEED = 17
VARIABLE = "STEELYARD_BENCH_PASSAGES"
"""Another number of passages, for a quick look."""


class PlantedEncoder:
    """Unit vectors of 384 numbers drawn from the text's hash: real embeddings would add an hour and change nothing here."""

    name = "planted-384"
    dim = 384

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same vector for the same text."""
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            row[:] = np.random.default_rng(seed).standard_normal(self.dim, dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


def bench_durability(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Seconds of each operation on a corpus that is made up; the result is `{"name": "durability", "rows": [...]}`.

    `rollback` is measured in a reader that has library and index open: from before the switch until a search in the generation that
    answers then has come back. `erase` has two times: until nobody is answered from it, and until every file is clean. `compact` says
    what the state folder weighed before and after.
    """
    del data_root, cache
    documents = int(os.environ.get(VARIABLE, PASSAGES)) // SECTIONS
    with tempfile.TemporaryDirectory(prefix="steelyard-durability-") as folder:
        bench = _Bench(Path(folder), documents)
        steps = (bench.build, bench.rollback, bench.examine, bench.compact, bench.erase, bench.rebuild)
        rows = []
        for done, step in enumerate(steps, start=1):
            rows.append({"passages": documents * SECTIONS, **step()})
            progress(done, len(steps))
    return {"name": "durability", "rows": rows}


class _Bench:
    def __init__(self, root: Path, documents: int) -> None:
        self.root = root
        self.documents = documents
        self.draw = random.Random(SEED)
        self.library = Library(root / ".steelyard" / "corpus.sqlite")
        self.index = LanceStore(root / ".steelyard" / "index")
        self.encoder = PlantedEncoder()
        self.rules = [SourceRule(path="docs", allow=("everyone",))]

    def build(self) -> dict[str, Any]:
        """The first generation, then some that edit a share of the documents."""
        for number in range(self.documents):
            self._write(number)
        begin = time.perf_counter()
        self._ingest()
        seconds = time.perf_counter() - begin
        for _ in range(GENERATIONS - 1):
            for number in self.draw.sample(range(self.documents), max(1, int(self.documents * EDITED_SHARE))):
                self._write(number)
            self._ingest()
        self.index.optimize()
        return {"case": "first ingest", "s": round(seconds, 2)}

    def rollback(self) -> dict[str, Any]:
        """To the generation before and forth again, as a reader beside sees it."""
        library = Library(self.library.path)
        reader = EnforcedStore(LanceStore(self.root / ".steelyard" / "index"), library.control)
        [vector] = self.encoder.encode(["question"])
        reader.dense(vector, Scope(), 10, library.in_force())
        took = []
        for number in range(ROLLBACKS):
            target = GENERATIONS - 1 + number % 2
            begin = time.perf_counter()
            self.library.switch(target)
            found = reader.dense(vector, Scope(), 10, library.in_force())
            took.append(time.perf_counter() - begin)
            assert len(found) == 10
            assert library.in_force() == target
        self.library.switch(GENERATIONS)
        library.close()
        return {
            "case": "rollback",
            "s": round(statistics.median(took), 4),
            "most_s": round(max(took), 4),
            "runs": ROLLBACKS,
        }

    def examine(self) -> dict[str, Any]:
        """`doctor` over library and index; nothing may be found."""
        begin = time.perf_counter()
        library = check_library(self.library)
        index = check_index(self.library, LanceStore(self.root / ".steelyard" / "index"), self.encoder)
        seconds = time.perf_counter() - begin
        assert (library.findings, index.findings) == ((), ())
        return {"case": "doctor", "s": round(seconds, 2)}

    def compact(self) -> dict[str, Any]:
        """Down to the newest generation."""
        later = datetime.now(UTC) + timedelta(days=1)
        done = compact(self.library, self.index, Policy(generations=1, days=0), now=later)
        return {
            "case": "compact",
            "s": round(done.seconds, 2),
            "removed": done.passages,
            "mib_before": round(done.bytes_before / 2**20, 1),
            "mib_after": round(done.bytes_after / 2**20, 1),
        }

    def erase(self) -> dict[str, Any]:
        """One document."""
        begin = time.perf_counter()
        close(self.library.control, find_targets(self.library, ["docs/00000.md"]), by="bench", why="")
        closed = time.perf_counter() - begin
        removed = remove(self.library, self.index, self.library.control)
        return {
            "case": "erase",
            "s": round(time.perf_counter() - begin, 2),
            "closed_s": round(closed, 4),
            "removed": removed,
        }

    def rebuild(self) -> dict[str, Any]:
        """The index from the library and the cache of vectors."""
        begin = time.perf_counter()
        made = rebuild(self.library, LanceStore(self.root / ".steelyard" / "new"), self.encoder)
        assert made
        return {"case": "index made again", "s": round(time.perf_counter() - begin, 2)}

    def _write(self, number: int) -> None:
        path = self.root / "docs" / f"{number:05d}.md"
        path.parent.mkdir(exist_ok=True)
        sections = "\n\n".join(made_sections(self.draw, SECTIONS))
        path.write_text(f"# Document {number}\n\n{sections}\n", encoding="utf-8")

    def _ingest(self) -> None:
        ingest(self.rules, self.library, self.index, self.encoder, root=self.root)
