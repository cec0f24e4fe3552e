"""The ingest benchmark: from files to an index that answers, with peers that embed the same passages in the same run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.corpus.passages import split
from steelyard.evaluation import peer_ingests
from steelyard.evaluation.contenders import Contender, in_turn
from steelyard.evaluation.made_corpus import BLOCK, MadeCorpus
from steelyard.evaluation.own_ingest import PLANTED
from steelyard.evaluation.retrieval_sets import load_retrieval_set
from steelyard.models.encoder import usable_cores
from steelyard.models.loading import minilm_source
from steelyard.schema.errors import UserError

Progress = Callable[[int, int], None]

SET = "postgresql15_docs"
EVERY = 16
"""Every so manieth document of the set: all of them take an hour for each contender."""
EVERY_VARIABLE = "STEELYARD_BENCH_EVERY"
"""Another step through the documents; 1 takes all."""

PARTS = ("speed", "threads", "questions", "memory")
PARTS_VARIABLE = "STEELYARD_BENCH_PARTS"
"""Parts to run, comma-separated; all of them take ten minutes."""

ROUNDS = 2
CORES = (1, 2, 4)
FILES = (1_000, 5_000, 10_000)
FILE_PASSAGES = 3
EDITS = 100
QUESTIONS = 200
SCRIPT = "steelyard.evaluation.own_ingest"


def bench_ingest(data_root: Path, cache: Path, progress: Progress, peers: Path | None = None) -> dict[str, Any]:
    """Ingest of documents of SET, how it scales with cores, the encoder's time for one question, and memory over many files.

    Ours reads, parses, cuts, embeds and stages files. Peers are given the passages that ours makes of them and embed and store these
    (`given`); a second row has their own splitting. `core_s` are seconds of processor, of all threads and processes, so figures are
    those of one core whatever else runs. Models are loaded beforehand; turns alternate.
    """
    folder = cache / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    files = folder / "docs"
    files.mkdir(parents=True)
    wanted = _wanted()
    step = int(os.environ.get(EVERY_VARIABLE, EVERY))
    data = load_retrieval_set(data_root / SET)
    chosen = data.versions[::step]
    for version in chosen:
        (files / f"{version.document.replace('/', '-')}.txt").write_text(version.text, encoding="utf-8")
    given = [(passage.id, passage.search_text) for version in chosen for passage in split(version)]
    _write(folder / "given.json", given)
    _write(folder / "own.json", [(version.document, version.text) for version in chosen])
    # More threads than cores would measure the machine's scheduler.
    scaled = [cores for cores in CORES[1:] if cores <= usable_cores()]
    questions = list(data.queries.values())[:QUESTIONS]
    steps: list[tuple[str, Callable[[], Sequence[dict[str, Any]]]]] = [
        ("speed", lambda: _one_core(files, folder, peers)),
        *(("threads", partial(_scaling, files, cores)) for cores in scaled),
        ("questions", lambda: [_questions(files, precision, questions) for precision in ("fp32", "int8")]),
        *(("memory", partial(_memory, folder, count)) for count in FILES),
    ]
    steps = [(part, run) for part, run in steps if part in wanted]
    rows: list[dict[str, Any]] = []
    for done, (part, run) in enumerate(steps, start=1):
        rows += [{"part": part} | row for row in run()]
        progress(done, len(steps))
    return {"name": "ingest", "rows": rows}


def _wanted() -> set[str]:
    """The parts to run.

    Raises:
        UserError: one is named that does not exist.
    """
    named = {name.strip() for name in os.environ.get(PARTS_VARIABLE, ",".join(PARTS)).split(",")}
    unknown = sorted(named - set(PARTS))
    if unknown:
        raise UserError(
            f"'{unknown[0]}' is no part of this benchmark.",
            where=PARTS_VARIABLE,
            remedy=f"There are: {', '.join(PARTS)}.",
            code="bench.unknown_part",
        )
    return named


def _one_core(files: Path, folder: Path, peers: Path | None) -> list[dict[str, Any]]:
    """Ours and the peers on one thread, in turn."""
    missing = {name: f"name a Python that has it with --peers: {peer_ingests.how(name)}" for name in peer_ingests.PEERS}
    rows: list[dict[str, Any]] = []
    with ExitStack() as running:
        contenders = [running.enter_context(_own(files, "fp32", 1))]
        if peers is not None:
            script = Path(peer_ingests.__file__)
            rivals = [
                running.enter_context(Contender(name, [peers, script, name, folder, minilm_source()], 1))
                for name in peer_ingests.PEERS
            ]
            missing = {one.name: one.missing for one in rivals if one.missing is not None}
            contenders += [one for one in rivals if one.missing is None]
        spent = in_turn(contenders, [{}] * ROUNDS)
        ours = _middle(spent["steelyard"])
        rows.append(_row("steelyard", "own", 1, ours, ours))
        for one in contenders[1:]:
            rows.append(_row(one.name, "given", 1, _middle(spent[one.name]), ours))
            rows.append(_row(one.name, "own", 1, one.ask(chunks="own"), ours))
    with _own(files, "int8", 1) as quick:
        rows.append(_row("steelyard, int8", "own", 1, quick.ask(), ours))
    rows += [{"contender": name, "missing": why} for name, why in missing.items()]
    return rows


def _own(files: Path, precision: str, threads: int) -> Contender:
    return Contender("steelyard", [sys.executable, "-m", SCRIPT, files, precision], threads)


def _middle(answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    names = ("seconds", "cpu_s", "passages")
    return {name: float(np.median([answer[name] for answer in answers])) for name in names}


def _row(name: str, chunks: str, cores: int, spent: Mapping[str, float], ours: Mapping[str, float]) -> dict[str, Any]:
    def speed(one: Mapping[str, float]) -> float:
        return one["passages"] / one["cpu_s"]

    return {
        "contender": name,
        "chunks": chunks,
        "threads": cores,
        "passages": int(spent["passages"]),
        "seconds": round(spent["seconds"], 1),
        "core_s": round(spent["cpu_s"], 1),
        "passages_per_core_s": round(speed(spent), 2),
        "ours_times": round(speed(ours) / speed(spent), 2),
        "ours_times_whole": round(spent["cpu_s"] / ours["cpu_s"], 2),
    }


def _scaling(files: Path, cores: int) -> list[dict[str, Any]]:
    """The same ingest on one thread and on `cores`, in turn."""
    with ExitStack() as running:
        alone, several = (running.enter_context(_own(files, "fp32", threads)) for threads in (1, cores))
        spent: dict[int, list[Mapping[str, Any]]] = {1: [], cores: []}
        for _ in range(ROUNDS):
            spent[1].append(alone.ask())
            spent[cores].append(several.ask())
    one, more = _middle(spent[1]), _middle(spent[cores])
    return [
        {
            "contender": "steelyard",
            "threads": cores,
            "passages": int(more["passages"]),
            "seconds": round(more["seconds"], 1),
            "times_one_thread": round(one["seconds"] / more["seconds"], 2),
        }
    ]


def _questions(files: Path, precision: str, texts: Sequence[str]) -> dict[str, Any]:
    """Milliseconds to encode one question on one thread."""
    with _own(files, precision, 1) as own:
        own.ask(texts=texts[:20])
        spent = own.ask(texts=list(texts))
    clock, work = spent["ms"], spent["work_ms"]
    return {
        "encoder": own.ready["encoder"],
        "threads": 1,
        "questions": len(clock),
        "p50_ms": round(float(np.median(clock)), 2),
        "p95_ms": round(float(np.quantile(clock, 0.95)), 2),
        "work_p50_ms": round(float(np.median(work)), 2),
    }


def _memory(folder: Path, count: int) -> list[dict[str, Any]]:
    """Peak memory of an ingest of `count` made files, and of one after EDITS of them were edited; the vectors are made up."""
    files = folder / f"files-{count}"
    files.mkdir()
    corpus = MadeCorpus(count * FILE_PASSAGES)
    for number in range(-(-count * FILE_PASSAGES // BLOCK)):
        passages = corpus.block(number).passages
        for start in range(0, len(passages) - FILE_PASSAGES + 1, FILE_PASSAGES):
            parts = [f"## Part {at}\n\n{passages[start + at].text}\n" for at in range(FILE_PASSAGES)]
            (files / f"{number:03d}-{start:05d}.md").write_text(
                f"# {passages[start].title}\n\n" + "\n".join(parts), encoding="utf-8"
            )
    held = len(list(files.iterdir()))
    with _own(files, PLANTED, 1) as own:
        spent = own.ask(edits=EDITS)
    shutil.rmtree(files)
    return [
        {
            "files": held,
            "passages": spent["passages"],
            "seconds": round(spent["seconds"], 1),
            "parent_mb": round(spent["own_mb"]),
            "workers_mb": round(spent["workers_mb"]),
            "edited_mb": round(spent["edited_mb"]),
        }
    ]


def _write(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    path.write_text(json.dumps(pairs), encoding="utf-8")
