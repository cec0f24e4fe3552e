"""Other libraries' hybrid search as contenders, each as its documentation shows it: run by a Python that has them installed.

`PYTHON peer_searches.py NAME FOLDER QUESTIONS`. Knows nothing of the product, so that it runs without it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

K = 10
Search = Callable[[str, list[float], str], list[str]]
"""Ids found for (question, vector, scope)."""

PEERS = ("llamaindex", "llamaindex+chroma", "haystack", "langchain+faiss")
INSTALL = {
    "llamaindex": "llama-index-core llama-index-retrievers-bm25",
    "llamaindex+chroma": "llama-index-core llama-index-retrievers-bm25 llama-index-vector-stores-chroma",
    "haystack": "haystack-ai",
    "langchain+faiss": "langchain-community langchain-classic faiss-cpu rank-bm25",
}


def how(name: str) -> str:
    """How to install a peer."""
    return f"pip install {INSTALL[name]}"


def llamaindex(passages: list[dict[str, Any]], vectors: Any, folder: Path, *, chroma: bool = False) -> Search:
    """Vectors and BM25, both with a metadata filter, joined by reciprocal rank."""
    from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import QueryBundle, TextNode
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
    from llama_index.retrievers.bm25 import BM25Retriever

    def node(passage: dict[str, Any], vector: Any) -> Any:
        seen = {f"sees {name}": "yes" for name in passage["seen"]}
        return TextNode(id_=passage["id"], text=passage["text"], embedding=vector.tolist(), metadata=seen)

    nodes = [node(passage, vector) for passage, vector in zip(passages, vectors, strict=True)]
    embedding = MockEmbedding(embed_dim=vectors.shape[1])
    if chroma:
        import chromadb
        from llama_index.vector_stores.chroma import ChromaVectorStore

        collection = chromadb.PersistentClient(str(folder / "chroma")).get_or_create_collection("bench")
        store = ChromaVectorStore(chroma_collection=collection)
        if collection.count() < len(nodes):
            for start in range(0, len(nodes), 5000):
                store.add(nodes[start : start + 5000])
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    else:
        index = VectorStoreIndex(nodes, embed_model=embedding, storage_context=StorageContext.from_defaults())
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

    def search(text: str, vector: list[float], scope: str) -> list[str]:
        found = retriever(scope).retrieve(QueryBundle(query_str=text, embedding=vector))
        return [hit.node.node_id for hit in found]

    return search


def haystack(passages: list[dict[str, Any]], vectors: Any, _folder: Path) -> Search:
    """The document store in memory: vectors and BM25, both filtered, joined by reciprocal rank."""
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    def flags(passage: dict[str, Any]) -> dict[str, bool]:
        return {f"sees {name}": True for name in passage["seen"]}

    store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
    store.write_documents(
        [
            Document(id=passage["id"], content=passage["text"], embedding=vector.tolist(), meta=flags(passage))
            for passage, vector in zip(passages, vectors, strict=True)
        ]
    )
    meaning, words = InMemoryEmbeddingRetriever(store), InMemoryBM25Retriever(store)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=K)

    def search(text: str, vector: list[float], scope: str) -> list[str]:
        filters = {"field": f"meta.sees {scope}", "operator": "==", "value": True}
        dense = meaning.run(query_embedding=vector, filters=filters, top_k=K)["documents"]
        lexical = words.run(query=text, filters=filters, top_k=K)["documents"]
        return [document.id for document in joiner.run(documents=[dense, lexical])["documents"]]

    return search


def langchain(passages: list[dict[str, Any]], vectors: Any, _folder: Path) -> Search:
    """FAISS with its metadata filter (applied to the twenty nearest) and BM25 filtered afterwards, joined by reciprocal rank."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    class Given(Embeddings):  # type: ignore[misc]
        vector: list[float] = []  # noqa: RUF012

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [self.vector for _ in texts]

        def embed_query(self, text: str) -> list[float]:
            assert text
            return self.vector

    given = Given()
    documents = [
        Document(page_content=one["text"], id=one["id"], metadata={"id": one["id"], "seen": one["seen"]})
        for one in passages
    ]
    pairs = [(one["text"], vector.tolist()) for one, vector in zip(passages, vectors, strict=True)]
    faiss = FAISS.from_embeddings(pairs, given, metadatas=[one.metadata for one in documents])
    words = BM25Retriever.from_documents(documents, k=K)

    def search(text: str, vector: list[float], scope: str) -> list[str]:
        given.vector = vector

        def visible(metadata: dict[str, Any]) -> bool:
            return scope in metadata["seen"]

        meaning = faiss.as_retriever(search_kwargs={"k": K, "filter": visible})
        joined = EnsembleRetriever(retrievers=[meaning, words], weights=[0.5, 0.5], id_key="id").invoke(text)
        return [one.metadata["id"] for one in joined if visible(one.metadata)][:K]

    return search


def main() -> int:
    """Make the index of one peer, then answer commands from standard input until it ends."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    questions = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    try:
        import numpy as np

        begin = perf_counter()
        with (folder / "passages.jsonl").open(encoding="utf-8") as lines:
            passages = [json.loads(line) for line in lines]
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        if name.startswith("llamaindex"):
            search = llamaindex(passages, vectors, folder, chroma=name.endswith("chroma"))
        else:
            search = {"haystack": haystack, "langchain+faiss": langchain}[name](passages, vectors, folder)
    except ImportError as error:
        say({"missing": f"no module '{error.name}' there: {how(name)}"})
        return 0
    seen = {passage["id"]: set(passage["seen"]) for passage in passages}
    say({"passages": len(passages), "open_s": perf_counter() - begin})
    for line in sys.stdin:
        command = json.loads(line)
        scope, spent, hits = command["scope"], [], []
        for question in questions[scope][command["first"] : command["first"] + command["count"]]:
            begin = perf_counter()
            found = search(question["text"], question["vector"], scope)
            spent.append((perf_counter() - begin) * 1000)
            hits.append(sum(scope in seen[one] for one in found))
        say({"ms": spent, "hits": hits})
    return 0


def say(answer: dict[str, Any]) -> None:
    """One answer, one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
