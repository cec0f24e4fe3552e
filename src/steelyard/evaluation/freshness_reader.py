"""A reader in a process of its own: keeps asking, as a server would, until the answer is the new one. Started by the freshness benchmark.

Requests on standard input and answers on standard output are JSON, one a line: a question, the words its answer must hold and its document
in; the monotonic clock when the first answer was right, the time of that search, and whether an older version was still among the hits out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from steelyard.components.enforcement import EnforcedStore
from steelyard.components.retriever import Retriever
from steelyard.corpus.library import Library
from steelyard.models.loading import load_encoder
from steelyard.schema.scope import Scope
from steelyard.stores.lance import LanceStore

POLL_S = 0.02
GIVE_UP_S = 120.0
DEPTH = 5
DENSE_WEIGHT = 0.5


def main(folder: Path, encoder_name: str) -> None:
    """Serve requests until standard input ends; `folder` is the `.steelyard` of a workspace."""
    library = Library(folder / "corpus.sqlite")
    store = EnforcedStore(LanceStore(folder / "index"), library.control)
    encoder = load_encoder(encoder_name)
    Retriever(store, encoder, library.in_force()).fused("warm up", Scope(), DEPTH, DENSE_WEIGHT)
    print_line({"ready": True})
    for line in sys.stdin:
        wanted = json.loads(line)
        begun = time.monotonic()
        while time.monotonic() - begun < GIVE_UP_S:
            start = time.monotonic()
            search = Retriever(store, encoder, library.in_force())
            hits = search.fused(wanted["question"], Scope(), DEPTH, DENSE_WEIGHT)
            if hits and hits[0].passage.document == wanted["document"] and wanted["answer"] in hits[0].passage.text:
                versions = {hit.passage.version for hit in hits if hit.passage.document == wanted["document"]}
                now = time.monotonic()
                print_line({"at": now, "search_s": now - start, "stale": len(versions) > 1})
                break
            time.sleep(POLL_S)
        else:
            print_line({"at": None})


def print_line(value: object) -> None:
    """One JSON line on standard output, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
