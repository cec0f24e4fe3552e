"""The store benchmark: hybrid search for people who see a part of a large corpus, with peers in the same run."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.evaluation import peer_searches
from steelyard.evaluation.contenders import Contender, in_turn
from steelyard.evaluation.made_corpus import BLOCK, SCOPES, MadeCorpus
from steelyard.evaluation.own_search import GENERATION
from steelyard.stores.interface import Staged
from steelyard.stores.lance import LanceStore

Progress = Callable[[int, int], None]

SIZE, LARGE_SIZE = 100_000, 1_000_000
MADE = 3  # version of the corpus and of the index made from it: raise it when either changes
QUESTIONS = 200  # for each asker
ROUND = 10  # questions in a row before it is the next contender's turn
SHARED = 30  # questions that peers answer too: the slowest takes seconds for each
NEAREST = 50  # found by brute force for each question, to hold the index to
THREADS = 1
OURS = "steelyard"
PEERS_SEE = ("8 %", "100 %")


def bench_store(_data: Path | None, cache: Path, progress: Progress, peers: Path | None = None) -> dict[str, Any]:
    """100,000 passages of 384 numbers, and the peers that `peers`, a Python interpreter, has installed.

    There is one row for each asker and contender (milliseconds of a hybrid search for ten passages, vector given, and how many came
    back), one for each asker with the recall of dense search, and one for opening. Everybody gets the same texts, vectors and
    questions in processes of their own with one thread, opened beforehand; turns alternate by ten questions.
    """
    return {"name": "store", "rows": measure(SIZE, cache, progress, peers)}


def bench_store_large(
    _data: Path | None,
    cache: Path,
    progress: Progress,
    peers: Path | None = None,  # noqa: ARG001 - they would take hours
) -> dict[str, Any]:
    """1,000,000 passages: as `bench_store`, without peers. Needs 8 GB of disk and, the first time, ten minutes to make the index."""
    return {"name": "store-large", "rows": measure(LARGE_SIZE, cache, progress, None)}


def measure(size: int, cache: Path, progress: Progress, peers: Path | None) -> list[dict[str, Any]]:
    """The rows for a corpus of `size` passages, made in `cache` when it is not there yet."""
    folder = cache / f"store-{size}-{MADE}"
    if not (folder / "made.json").is_file():
        _make(size, folder, progress)
    made = json.loads((folder / "made.json").read_text(encoding="utf-8"))
    script = [sys.executable, "-m", "steelyard.evaluation.own_search"]
    with Contender(OURS, [*script, folder / "index", folder / "questions.json"], THREADS) as own:
        rows = [_opening(size, own, made) | {"disk_mb": round(disk_mb(folder / "index"))}]
        for done, name in enumerate(SCOPES, start=1):
            own.ask(scope=name, first=0, count=ROUND)  # what an asker sees is worked out at the first question
            alone = [own.ask(scope=name, first=at, count=ROUND) for at in range(0, QUESTIONS, ROUND)]
            rows.append(_row(size, name, OURS, alone, None) | _recall(own, folder, name))
            progress(done, len(SCOPES) + len(peer_searches.PEERS))
        for done, name in enumerate(peer_searches.PEERS if size == SIZE else (), start=len(SCOPES) + 1):
            rows += _beside(name, own, peers, folder)
            progress(done, len(SCOPES) + len(peer_searches.PEERS))
    return rows


def _beside(name: str, own: Contender, python: Path | None, folder: Path) -> list[dict[str, Any]]:
    """The rows of one peer, in turn with ours; one at a time, because each holds gigabytes."""
    if python is None:
        why = f"name a Python that has it with --peers: {peer_searches.how(name)}"
        return [{"passages": SIZE, "contender": name, "missing": why}]
    exported = folder / "peers"
    if not (exported / "vectors.npy").is_file():
        _export(exported)
    rows = []
    words: list[str | Path] = [python, Path(peer_searches.__file__), name, exported, folder / "questions.json"]
    with Contender(name, words, THREADS) as peer:
        if peer.missing is not None:
            return [{"passages": SIZE, "contender": name, "missing": peer.missing}]
        for scope in PEERS_SEE:
            commands = [{"scope": scope, "first": at, "count": ROUND} for at in range(0, SHARED, ROUND)]
            in_turn([own, peer], [{**commands[0], "count": 1}])
            spent = in_turn([own, peer], commands)
            rows.append(_row(SIZE, scope, name, spent[name], spent[OURS]))
    return rows


def _make(size: int, folder: Path, progress: Progress) -> None:
    """The index, the questions, and what brute force finds for them, from one pass over the corpus."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    corpus = MadeCorpus(size)
    questions = corpus.questions(QUESTIONS)
    best = {name: _Best(np.array([one.vector for one in asked])) for name, asked in questions.items()}
    store = LanceStore(folder / "index")
    spent = 0.0
    for number, block in enumerate(corpus.blocks()):
        begin = perf_counter()
        if number:
            store.extend(GENERATION, block)
        else:
            store.stage(GENERATION, block, [])
        spent += perf_counter() - begin
        for name, (_, scope) in SCOPES.items():
            best[name].look([entry.access.permits(scope) for entry in block.passages], block)
        progress(number + 1, -(-size // BLOCK) + 1)
    begin = perf_counter()
    store.optimize()
    laid = perf_counter() - begin
    asked = {
        name: [
            {"text": one.text, "vector": [float(value) for value in one.vector], "nearest": nearest}
            for one, nearest in zip(questions[name], best[name].ids(), strict=True)
        ]
        for name in questions
    }
    (folder / "questions.json").write_text(json.dumps(asked), encoding="utf-8")
    (folder / "made.json").write_text(json.dumps({"stage_s": spent, "optimize_s": laid}), encoding="utf-8")
    progress(1, 1)


class _Best:
    """The nearest passages to each of some vectors, found by comparing with all: the truth that recall is measured against."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors
        self._scores = np.full((len(vectors), NEAREST), -np.inf, dtype=np.float32)
        self._ids = np.full((len(vectors), NEAREST), "", dtype=object)

    def look(self, visible: Iterable[bool], block: Staged) -> None:
        """Take one more block into account."""
        rows = np.flatnonzero(np.fromiter(visible, dtype=bool))
        names = np.array([block.passages[row].id for row in rows.tolist()], dtype=object)
        scores = np.concatenate([self._scores, self._vectors @ block.vectors[rows].T], axis=1)
        ids = np.concatenate([self._ids, np.broadcast_to(names, (len(scores), len(names)))], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]
        self._scores = np.take_along_axis(scores, order, axis=1)
        self._ids = np.take_along_axis(ids, order, axis=1)

    def ids(self) -> list[list[str]]:
        """The passages of each vector, nearest first; fewer than NEAREST when fewer are visible."""
        return [[name for name in row if name] for row in self._ids.tolist()]


def _export(folder: Path) -> None:
    """The corpus as plain files, for processes that know nothing of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = []
    with (folder / "passages.jsonl").open("w", encoding="utf-8") as lines:
        for block in MadeCorpus(SIZE).blocks():
            vectors.append(block.vectors)
            for entry in block.passages:
                seen = [name for name, (_, scope) in SCOPES.items() if entry.access.permits(scope)]
                lines.write(json.dumps({"id": entry.id, "text": entry.search_text, "seen": seen}) + "\n")
    np.save(folder / "vectors.npy", np.concatenate(vectors))


def _opening(size: int, own: Contender, made: Mapping[str, Any]) -> dict[str, Any]:
    ready = own.ready
    return {
        "passages": size,
        "contender": OURS,
        "process_to_first_hit_s": round(own.start_s, 2),
        "open_s": round(ready["open_s"], 2),
        "first_search_s": round(ready["first_search_s"], 2),
        "own_mb": round(ready.get("own_mb", 0.0)),
        "all_mb": round(ready.get("all_mb", 0.0)),
        **{name: round(value, 1) for name, value in made.items()},
    }


def _row(
    size: int, scope: str, name: str, answers: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    spent = [value for answer in answers for value in answer["ms"]]
    hits = [value for answer in answers for value in answer["hits"]]
    row = {
        "passages": size,
        "sees": scope,
        "contender": name,
        "p50_ms": round(float(np.median(spent)), 2),
        "p99_ms": round(float(np.quantile(spent, 0.99)), 2),
        "hits": round(float(np.mean(hits)), 2),
        "fewest_hits": min(hits),
        "questions": len(spent),
        "threads": THREADS,
    }
    if ours is not None:
        own = float(np.median([value for answer in ours for value in answer["ms"]]))
        row["times_ours"] = round(row["p50_ms"] / own, 1)
    for name in ("own_mb", "all_mb"):
        if name in answers[-1]:
            row[name] = round(answers[-1][name])
    return row


def _recall(own: Contender, folder: Path, scope: str) -> dict[str, float]:
    """Share of what brute force finds that dense search finds, at ten and at NEAREST."""
    questions = json.loads((folder / "questions.json").read_text(encoding="utf-8"))[scope]
    shares = {}
    for k in (10, NEAREST):
        found = own.ask(scope=scope, first=0, count=QUESTIONS, nearest=k)["ids"]
        pairs = zip(found, (one["nearest"][:k] for one in questions), strict=True)
        shares[f"recall_at_{k}"] = round(
            float(np.mean([len(set(ids) & set(best)) / len(best) for ids, best in pairs])), 4
        )
    return shares


def disk_mb(folder: Path) -> float:
    """Megabytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
