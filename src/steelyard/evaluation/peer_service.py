"""Another library's search as an HTTP service, as its documentation shows it, behind the same server as ours: FastAPI and uvicorn.

`PYTHON peer_service.py prepare FOLDER MODEL` embeds the passages, then `PYTHON peer_service.py serve FOLDER MODEL PORT WORKERS` answers;
with the libraries of `INSTALL`. Knows nothing of the product, so that it runs without it. FOLDER holds `passages.jsonl`: id, text, and the
groups that may see it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

NAME = "llamaindex"
INSTALL = "llama-index-core llama-index-retrievers-bm25 llama-index-embeddings-huggingface sentence-transformers fastapi uvicorn"
NEEDED = ("llama_index", "llama_index.embeddings.huggingface", "fastapi", "uvicorn")
VECTORS = "vectors.json"
K = 10
EMBED_BATCH = 32

FOLDER_VARIABLE, MODEL_VARIABLE = "PEER_FOLDER", "PEER_MODEL"


def embedding(model: str) -> Any:
    """The library's own encoder of questions and passages."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(model, device="cpu", embed_batch_size=EMBED_BATCH, normalize=True)


def read(folder: Path) -> list[dict[str, Any]]:
    """The passages."""
    return [json.loads(line) for line in (folder / "passages.jsonl").read_text(encoding="utf-8").splitlines()]


def prepare(folder: Path, model: str) -> None:
    """Embed the passages once, for all workers."""
    vectors = embedding(model).get_text_embedding_batch([one["text"] for one in read(folder)])
    (folder / VECTORS).write_text(json.dumps(vectors), encoding="utf-8")


def make_app() -> Any:
    """The service: vectors and BM25, both with a metadata filter, joined by reciprocal rank; the model embeds each question."""
    from fastapi import FastAPI
    from llama_index.core import MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import QueryBundle, TextNode
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
    from llama_index.retrievers.bm25 import BM25Retriever

    folder, model = Path(os.environ[FOLDER_VARIABLE]), embedding(os.environ[MODEL_VARIABLE])
    passages = read(folder)
    vectors = json.loads((folder / VECTORS).read_text(encoding="utf-8"))
    nodes = [
        TextNode(
            id_=one["id"],
            text=one["text"],
            embedding=vector,
            metadata={f"sees {name}": "yes" for name in one["seen"]},
        )
        for one, vector in zip(passages, vectors, strict=True)
    ]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=len(vectors[0])))
    retrievers: dict[str, Any] = {}

    def retriever(scope: str) -> Any:
        if scope not in retrievers:
            filters = MetadataFilters(filters=[MetadataFilter(key=f"sees {scope}", value="yes")])
            words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=K, filters=filters)
            meaning = index.as_retriever(similarity_top_k=K, filters=filters)
            retrievers[scope] = QueryFusionRetriever(
                [meaning, words],
                similarity_top_k=K,
                num_queries=1,
                use_async=False,
                mode="reciprocal_rerank",
                llm=MockLLM(),
            )
        return retrievers[scope]

    app = FastAPI()

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/search")
    def search(body: dict[str, Any]) -> dict[str, Any]:
        vector = model.get_query_embedding(body["query"])
        found = retriever(body["scope"]).retrieve(QueryBundle(query_str=body["query"], embedding=vector))
        return {"hits": [{"id": hit.node.node_id, "text": hit.node.text, "score": hit.score} for hit in found]}

    retriever("everyone")
    return app


def main() -> int:
    """Say what is missing, embed the passages, or serve until told to stop."""
    if sys.argv[1] == "check":
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        sys.stdout.write(json.dumps({"missing": missing}) + "\n")
        return 0
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), sys.argv[3])
        return 0
    import uvicorn

    os.environ[FOLDER_VARIABLE], os.environ[MODEL_VARIABLE] = sys.argv[2], sys.argv[3]
    sys.path.insert(0, str(Path(__file__).parent))
    uvicorn.run(
        "peer_service:make_app",
        factory=True,
        port=int(sys.argv[4]),
        workers=int(sys.argv[5]),
        log_level="warning",
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
