"""The freshness benchmark: from an edited file to the right answer in another process, in a corpus of 100,000 passages."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.corpus.ingest import ingest
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.made_documents import made_sections
from steelyard.models.interface import Encoder
from steelyard.models.loading import load_encoder
from steelyard.stores.lance import LanceStore

Progress = Callable[[int, int], None]

PASSAGES = 100_000
SECTIONS = 10
"""Sections a document, each of the length of one passage."""
EDITS = 15
UNCHANGED_DOCUMENTS = 20_000
LOOKS = 5
ENCODER = "minilm"
SEED = 11
VARIABLE = "STEELYARD_BENCH_PASSAGES"
"""Another number of passages, for a quick look."""
PEER_VARIABLE = "STEELYARD_PEER_PYTHON"
"""An interpreter that has llama-index-core; by default this one."""
PEER_EDITS = 5


class PlantedEncoder:
    """An encoder's name and shape with vectors drawn from the text's hash: what 100,000 real embeddings would add is an hour."""

    def __init__(self, real: Encoder) -> None:
        self.name = real.name
        self.dim = real.dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, the same for the same text."""
        rows = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            row[:] = np.random.default_rng(seed).standard_normal(self.dim, dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


def bench_freshness(_data_root: Path | None, _cache: Path, progress: Progress) -> dict[str, Any]:
    """Edits in a large corpus and a look at a folder that did not change; the result is `{"name": "freshness", "rows": [...]}`.

    The corpus is made up: documents of random words, their vectors planted; the edited passages and the questions are embedded for real.
    `followed`: the file is replaced while `steelyard ingest --watch` runs; the clock stops when a reader in a third process has the new
    passage first and no older version among its hits. `command`: the same with one `steelyard ingest` started after the edit.
    `llama_index`: its `refresh_ref_docs` on the same folder, in memory, without embedding or a second process; `ratio` is its median
    to that of `followed`. `unchanged`: `steelyard ingest` on 20,000 documents that it knows; `ingest_s` without the start of the process.
    """
    passages = int(os.environ.get(VARIABLE, PASSAGES))
    documents = passages // SECTIONS
    with tempfile.TemporaryDirectory(prefix="steelyard-freshness-") as folder:
        root = Path(folder)
        progress(0, 4)
        _lay_out(root, documents)
        made = _first_ingest(root)
        progress(1, 4)
        with _reader(root) as ask:
            followed = _followed(root, documents, ask)
            progress(2, 4)
            command = _commands(root, documents, ask)
            peer = _peer(root, documents)
            progress(3, 4)
        shutil.rmtree(root / "docs")
        shutil.rmtree(root / ".steelyard")
        unchanged = _unchanged(root)
        progress(4, 4)
    size = {"passages": made, "documents": documents}
    if "median_s" in peer:
        peer["ratio"] = round(peer["median_s"] / followed["median_s"], 1)
    rows = [
        {"case": "followed", **size, **followed},
        {"case": "command", **size, **command},
        {"case": "llama_index", **size, **peer},
        unchanged,
    ]
    return {"name": "freshness", "rows": rows}


def _document(number: int, fact: str = "") -> str:
    draw = random.Random(SEED * 1_000_003 + number)
    sections = made_sections(draw, SECTIONS)
    if fact:
        sections[SECTIONS // 2] += f"\n\n{fact}"
    return f"# Document {number}\n\n" + "\n\n".join(sections) + "\n"


def _lay_out(root: Path, documents: int) -> None:
    for number in range(documents):
        path = _path(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_document(number), encoding="utf-8")
    settings = f'[workspace]\nname = "freshness"\n\n[[sources]]\npath = "docs"\nallow = ["everyone"]\n\n[models]\nencoder = "{ENCODER}"\n'
    (root / "steelyard.toml").write_text(settings, encoding="utf-8")


def _path(root: Path, number: int) -> Path:
    return root / "docs" / f"{number // 200:03}" / f"{number:05}.md"


def _first_ingest(root: Path) -> int:
    state = root / ".steelyard"
    library, store = Library(state / "corpus.sqlite"), LanceStore(state / "index")
    rules = [SourceRule(path="docs", allow=("everyone",))]
    done = ingest(rules, library, store, PlantedEncoder(load_encoder(ENCODER)), root=root)
    store.optimize()
    library.close()
    return done.passages


@contextlib.contextmanager
def _reader(root: Path) -> Iterator[Callable[[dict[str, str]], dict[str, Any]]]:
    command = [sys.executable, "-m", "steelyard.evaluation.freshness_reader", str(root / ".steelyard"), ENCODER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, sink = process.stdout, process.stdin
        source.readline()

        def ask(wanted: dict[str, str]) -> dict[str, Any]:
            sink.write(json.dumps(wanted) + "\n")
            sink.flush()
            found: dict[str, Any] = json.loads(source.readline())
            return found

        yield ask
        sink.close()


def _edit(
    root: Path, documents: int, number: int, ask: Callable[[dict[str, str]], dict[str, Any]], then: Callable[[], None]
) -> dict[str, Any]:
    """Replace a document, do `then`, and wait for the reader; the reader's answer with `seconds` since the edit."""
    chosen = random.Random(SEED + number).randrange(documents)
    path = _path(root, chosen)
    answer = f"{number + 100} crowns"
    beside = path.with_suffix(".new")
    beside.write_text(_document(chosen, f"The quince tariff of document {chosen} is {answer}."), encoding="utf-8")
    begun = time.monotonic()
    os.replace(beside, path)
    then()
    found = ask(
        {
            "question": f"What is the quince tariff of document {chosen}?",
            "answer": answer,
            "document": path.relative_to(root).as_posix(),
        }
    )
    return found | {"seconds": None if found["at"] is None else found["at"] - begun}


def _summary(edits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = [one["seconds"] for one in edits if one["seconds"] is not None]
    return {
        "edits": len(edits),
        "answered": len(seconds),
        "stale": sum(bool(one.get("stale")) for one in edits),
        "median_s": round(statistics.median(seconds), 3) if seconds else None,
        "worst_s": round(max(seconds), 3) if seconds else None,
        "search_ms": round(1000 * statistics.median(one["search_s"] for one in edits if "search_s" in one), 1),
    }


def _followed(root: Path, documents: int, ask: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
    command = [sys.executable, "-m", "steelyard", "-w", str(root), "ingest", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while json.loads(process.stdout.readline())["event"] != "ingested":
                pass
            edits = []
            # The first edit pays for what is loaded once; it is not left out.
            for number in range(EDITS):
                edits.append(_edit(root, documents, number, ask, lambda: None))
                time.sleep(0.5)
        finally:
            process.terminate()
    return _summary(edits)


def _commands(root: Path, documents: int, ask: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
    def run() -> None:
        _ingest_command(root)

    return _summary([_edit(root, documents, EDITS + number, ask, run) for number in range(LOOKS)])


def _peer(root: Path, documents: int) -> dict[str, Any]:
    """The peer's times, or what is missing."""
    draw = random.Random(SEED)
    edits = []
    for number in range(PEER_EDITS):
        chosen = draw.randrange(documents)
        text = _document(chosen, f"The quince tariff of document {chosen} is {number} crowns.")
        name = _path(root, chosen).relative_to(root / "docs").as_posix()
        edits.append({"document": name, "text": text, "question": f"What is the quince tariff of document {chosen}?"})
    script = Path(__file__).with_name("freshness_peer.py")
    command = [os.environ.get(PEER_VARIABLE, sys.executable), str(script), str(root / "docs")]
    done = subprocess.run(command, input=json.dumps(edits), capture_output=True, text=True, check=False)
    if done.returncode:
        return {"missing": done.stderr.strip().rpartition("\n")[2]}
    found = json.loads(done.stdout)
    return {
        "edits": PEER_EDITS,
        "median_s": round(statistics.median(found["seconds"]), 3),
        "worst_s": round(max(found["seconds"]), 3),
        "build_s": round(found["built_s"], 1),
    }


def _ingest_command(root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "steelyard", "-w", str(root), "ingest", "--json"]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"command_s": time.monotonic() - begun}


def _unchanged(root: Path) -> dict[str, Any]:
    for number in range(UNCHANGED_DOCUMENTS):
        path = _path(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Document {number}\n\nOne paragraph of document {number}.\n", encoding="utf-8")
    _first_ingest(root)
    time.sleep(3)  # what changed within two seconds is read again, whatever its times say
    _ingest_command(root)
    looks = [_ingest_command(root) for _ in range(LOOKS)]
    return {
        "case": "unchanged",
        "documents": UNCHANGED_DOCUMENTS,
        "looks": LOOKS,
        "parsed": sum(one["parsed"] for one in looks),
        "embedded": sum(one["embedded"] for one in looks),
        "ingest_s": round(statistics.median(one["seconds"] for one in looks), 3),
        "command_s": round(statistics.median(one["command_s"] for one in looks), 3),
    }
