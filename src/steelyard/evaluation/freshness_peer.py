"""The freshness benchmark's peer, run by an interpreter that has `llama-index-core`: its `refresh_ref_docs` on the same files.

It embeds nothing (vectors come from the text's hash), keeps all in memory and writes nothing to disk: what is timed is reading the
folder, comparing it with what is known, updating, and one search. Prints one JSON line.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

DIM = 384


def main(root: Path, edits: list[dict[str, str]]) -> None:
    """Index every file below `root`, then do the edits one by one and say how long each took."""
    from llama_index.core import Document, Settings, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.schema import NodeRelationship, TextNode, TransformComponent

    class Planted(BaseEmbedding):  # type: ignore[misc]
        def _vector(self, text: str) -> list[float]:
            digest = hashlib.sha256(text.encode()).digest()
            return [(digest[place % 32] + place) / 640 for place in range(DIM)]

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._vector(text)

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._vector(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._vector(query)

    class Sections(TransformComponent):  # type: ignore[misc]
        def __call__(self, nodes: Any, **_named: Any) -> Any:
            out = []
            for node in nodes:
                for part in node.text.split("\n## "):
                    made = TextNode(text=part)
                    made.relationships = {NodeRelationship.SOURCE: node.as_related_node_info()}
                    out.append(made)
            return out

    def read() -> list[Any]:
        return [
            Document(text=path.read_text(encoding="utf-8"), doc_id=path.relative_to(root).as_posix())
            for path in sorted(root.rglob("*.md"))
        ]

    Settings.embed_model = Planted()
    Settings.transformations = [Sections()]
    begun = time.monotonic()
    index = VectorStoreIndex.from_documents(read())
    built_s = time.monotonic() - begun
    seconds = []
    for edit in edits:
        path = root / edit["document"]
        beside = path.with_suffix(".new")
        beside.write_text(edit["text"], encoding="utf-8")
        begun = time.monotonic()
        os.replace(beside, path)
        index.refresh_ref_docs(read())
        index.as_retriever(similarity_top_k=5).retrieve(edit["question"])
        seconds.append(time.monotonic() - begun)
    sys.stdout.write(json.dumps({"seconds": seconds, "built_s": built_s}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.stdin.read()))
