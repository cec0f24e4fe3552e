"""The product's own search as a contender: `python -m steelyard.evaluation.own_search FOLDER QUESTIONS`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from steelyard.components.retriever import Retriever
from steelyard.evaluation.made_corpus import SCOPES
from steelyard.models.interface import Vectors
from steelyard.schema.scope import Scope
from steelyard.stores.lance import LanceStore

GENERATION = 1
DENSE_WEIGHT = 0.6


class Given:
    """An encoder that was told the question's vector: the search is measured without the encoder."""

    name = "given"
    dim = 0

    def __init__(self) -> None:
        self.vector: Vectors = np.zeros(0, dtype=np.float32)

    def encode(self, _texts: object) -> Vectors:
        """The vector of the question at hand."""
        return self.vector[None]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Not counted."""
        return [0] * len(texts)


def main() -> int:
    """Answer commands from standard input until it ends."""
    folder, questions = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    begin = perf_counter()
    store = LanceStore(folder)
    encoder = Given()
    retriever = Retriever(store, encoder, GENERATION)
    passages = store.count(GENERATION)
    opened = perf_counter() - begin
    scope = SCOPES["8 %"][1]
    encoder.vector = np.array(questions["8 %"][0]["vector"], dtype=np.float32)
    retriever.fused(questions["8 %"][0]["text"], scope, 10, DENSE_WEIGHT)
    first = perf_counter() - begin - opened
    say({"passages": passages, "open_s": opened, "first_search_s": first, **memory()})
    for line in sys.stdin:
        command = json.loads(line)
        asked = questions[command["scope"]][command["first"] : command["first"] + command["count"]]
        scope = SCOPES[command["scope"]][1]
        k = command.get("nearest")
        say(nearest(store, scope, asked, k) if k else search(retriever, encoder, scope, asked))
    return 0


def search(retriever: Retriever, encoder: Given, scope: Scope, asked: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Milliseconds and hits of each question; the vector is given."""
    spent, hits = [], []
    for question in asked:
        encoder.vector = np.array(question["vector"], dtype=np.float32)
        begin = perf_counter()
        found = retriever.fused(question["text"], scope, 10, DENSE_WEIGHT)
        spent.append((perf_counter() - begin) * 1000)
        hits.append([hit.passage.id for hit in found])
        assert all(hit.passage.access.permits(scope) for hit in found)
    return {"ms": spent, "hits": [len(one) for one in hits], **memory()}


def nearest(store: LanceStore, scope: Scope, asked: list[Mapping[str, Any]], k: int) -> dict[str, Any]:
    """Ids of the `k` passages that dense search finds for each question."""
    found = (store.dense(np.array(question["vector"], dtype=np.float32), scope, k, GENERATION) for question in asked)
    return {"ids": [[hit.passage.id for hit in hits] for hits in found]}


def memory() -> dict[str, float]:
    """Megabytes of this process: its own (`own_mb`), and with what it has mapped from files (`all_mb`)."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return {}
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    held = {name: int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS") if name in lines}
    return {"own_mb": held.get("RssAnon", 0.0), "all_mb": held.get("VmRSS", 0.0)}


def say(answer: Mapping[str, Any]) -> None:
    """One answer, one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
