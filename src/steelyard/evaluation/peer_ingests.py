"""Other libraries' ingest as contenders, each as its documentation shows it: run by a Python that has them installed.

`PYTHON peer_ingests.py NAME FOLDER MODEL`. Knows nothing of the product, so that it runs without it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

Texts = list[tuple[str, str]]
"""(id, text) pairs."""

Ingest = Callable[[Texts], int]
"""Embeds and stores the texts as they are, and says how many pieces that made."""

PEERS = ("llamaindex", "haystack")
INSTALL = {
    "llamaindex": "llama-index-core llama-index-embeddings-huggingface",
    "haystack": "haystack-ai sentence-transformers-haystack",
}


def llamaindex(model: str) -> tuple[Ingest, Ingest]:
    """A vector index with the library's own batch size; ready-made nodes, or documents cut by its own splitter."""
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.schema import TextNode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    embedding = HuggingFaceEmbedding(model_name=model, device="cpu")
    embedding.get_text_embedding("warm up")

    def given(texts: Texts) -> int:
        index = VectorStoreIndex([TextNode(id_=name, text=text) for name, text in texts], embed_model=embedding)
        return len(index.index_struct.nodes_dict)

    def own(texts: Texts) -> int:
        documents = [Document(id_=name, text=text) for name, text in texts]
        return len(VectorStoreIndex.from_documents(documents, embed_model=embedding).index_struct.nodes_dict)

    return given, own


def haystack(model: str) -> tuple[Ingest, Ingest]:
    """Embedder and writer with the library's own batch size; ready-made documents, or cut by its own splitter."""
    from haystack import Document
    from haystack.components.preprocessors import DocumentSplitter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder

    embedder = SentenceTransformersDocumentEmbedder(
        model=model, device=ComponentDevice.from_str("cpu"), progress_bar=False
    )
    embedder.warm_up()
    splitter = DocumentSplitter()
    splitter.warm_up()

    def given(texts: Texts) -> int:
        return _written([Document(id=name, content=text) for name, text in texts])

    def own(texts: Texts) -> int:
        return _written(splitter.run(documents=[Document(id=name, content=text) for name, text in texts])["documents"])

    def _written(documents: list[Any]) -> int:
        written: int = InMemoryDocumentStore().write_documents(embedder.run(documents=documents)["documents"])
        return written

    return given, own


def how(name: str) -> str:
    """How to install a peer."""
    return f"pip install {INSTALL[name]}"


def main() -> int:
    """Load the model, then answer commands from standard input until it ends; each is one whole ingest."""
    name, folder, model = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    try:
        given, own = {"llamaindex": llamaindex, "haystack": haystack}[name](model)
    except ImportError as error:
        say({"missing": f"no module '{error.name}' there: {how(name)}"})
        return 0
    given([("warm-up", "warm up")])
    say({"encoder": "sentence-transformers"})
    for line in sys.stdin:
        chunks = json.loads(line).get("chunks", "given")
        texts: Texts = json.loads((folder / f"{chunks}.json").read_text(encoding="utf-8"))
        begin, before = perf_counter(), os.times()
        passages = (given if chunks == "given" else own)([(one, text) for one, text in texts])
        after = os.times()
        spent = after.user + after.system - before.user - before.system
        say({"seconds": perf_counter() - begin, "cpu_s": spent, "passages": passages})
    return 0


def say(answer: dict[str, Any]) -> None:
    """One answer, one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
