"""A corpus behind a real index, asked through every way in: what each finds of a generation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from corpus_bench import HashEncoder

from steelyard.components.enforcement import EnforcedStore
from steelyard.components.retriever import Retriever
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.sources import SourceRule
from steelyard.schema.corpus import IngestReport, Passage
from steelyard.schema.scope import Scope
from steelyard.stores.interface import Store
from steelyard.stores.lance import LanceStore

DEEP = 10_000
STAFF = Scope(user="ada", groups=frozenset({"staff"}))
Held = set[tuple[str, str]]
"""(document, text) of passages."""


class Searched:
    """A workspace folder with its library and an index that all searches go through; `pool` may be shared by many."""

    def __init__(self, root: Path, pool: ParsePool, store: Store | None = None) -> None:
        self.root = root
        self.rules = [SourceRule(path="docs", allow=("everyone",)), SourceRule(path="docs-staff", allow=("staff",))]
        for rule in self.rules:
            (root / rule.path).mkdir(parents=True, exist_ok=True)
        self.library = Library(root / ".steelyard" / "corpus.sqlite")
        self.inner = store or LanceStore(root / ".steelyard" / "index")
        self.store = EnforcedStore(self.inner, self.library.control)
        self.encoder = HashEncoder()
        self.pool = pool

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def ingest(self) -> IngestReport:
        settings = IngestSettings(limits=Limits())
        return ingest(
            self.rules,
            self.library,
            self.store,
            self.encoder,
            root=self.root,
            settings=settings,
            parsers=self.pool,
        )

    def found(self, scope: Scope = STAFF, word: str = "common", generation: int | None = None) -> dict[str, Held]:
        """What each way in finds, with a word that every document holds and room for all."""
        number = generation or self.library.in_force()
        search = Retriever(self.store, self.encoder, number, collapse=False)
        vector = np.ones(self.encoder.dim, dtype=np.float32) / np.sqrt(self.encoder.dim, dtype=np.float32)
        stored = [passage for passage in self.library.passages(number) if passage.access.permits(scope)]
        every = [passage.id for one in self.library.generations() for passage in self.library.passages(one.number)]
        by_id = {p.id: p for one in self.library.generations() for p in self.library.passages(one.number)}
        pool = self.store.pool(word, vector, scope, DEEP, number)
        return {
            "library": held(stored),
            "passages": held(self.store.passages(scope, number)),
            "lexical": held([hit.passage for hit in search.lexical(word, scope, DEEP)]),
            "dense": held([hit.passage for hit in search.dense(word, scope, DEEP)]),
            "fused": held([hit.passage for hit in search.fused(word, scope, DEEP, 0.5)]),
            "named": held(self.store.named(every, scope, number)),
            "similarities": held([by_id[name] for name in self.store.similarities(vector, every, scope, number)]),
            "pool": held([by_id[name] for name in {*pool.lexical, *pool.dense}]),
        }

    def close(self) -> None:
        self.library.close()


def held(passages: list[Passage]) -> Held:
    return {(passage.document, passage.text) for passage in passages}
