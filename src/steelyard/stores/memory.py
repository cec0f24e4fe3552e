"""Exact search in memory: the reference every other backend is compared with, and the default's engine for small tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.errors import StoreError
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Staged, Vectors
from steelyard.stores.postings import Postings
from steelyard.stores.rows import Holder, Mask, Rows

GATHER_BELOW = 0.5  # share of visible rows below which multiplying a copy of them beats multiplying all


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One immutable state of an index: all rows of all generations, with their passages, vectors and words."""

    rows: Rows = field(default_factory=Rows)
    passages: tuple[Passage, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    postings: Postings = field(default_factory=Postings)

    def before(self, generation: int) -> Snapshot:
        """The state before anything was staged for `generation` or a later one."""
        rows = self.rows.before(generation)
        kept = len(rows)
        return Snapshot(rows, self.passages[:kept], self.vectors[:kept], self.postings.first(kept))

    def staged(self, generation: int, add: Staged, retire: Sequence[str]) -> Snapshot:
        """The state with `generation` staged; see `Store.stage`."""
        vectors = checked_vectors(add, self.vectors.shape[1] if len(self.rows) else None)
        passages = tuple(add.passages)
        return Snapshot(
            self.rows.staged(generation, passages, retire),
            (*self.passages, *passages),
            np.concatenate([self.vectors, vectors]) if len(self.rows) else vectors,
            self.postings.extended([entry.search_text for entry in passages]),
        )

    def restricted(self, access: Mapping[str, Access], withheld: Collection[Holder]) -> Snapshot:
        """The state under the access of now; see `Store.restrict`."""
        return replace(self, rows=self.rows.restricted(access, withheld))

    def only(self, kept: Mask) -> Snapshot:
        """The state of the rows where `kept` is true."""
        held = len(self.passages) == len(self.rows)
        passages = tuple(self.passages[row] for row in np.flatnonzero(kept).tolist()) if held else ()
        vectors = self.vectors[kept] if held else self.vectors
        return Snapshot(self.rows.only(kept), passages, vectors, self.postings.only(kept))

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.dense`."""
        view = self.rows.view(scope, generation)
        if k <= 0 or not len(view.rows):
            return []
        check_dim(vector, self.vectors.shape[1])
        few = len(view.rows) < GATHER_BELOW * len(self.rows)
        scores = self.vectors[view.rows] @ vector if few else (self.vectors @ vector)[view.rows]
        return [self._hit(row, score, "dense") for row, score in self.rows.best(view.rows, scores, k)]

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.lexical`."""
        found, scores = self.postings.bm25(text, self.rows.view(scope, generation))
        return [self._hit(row, score, "bm25") for row, score in self.rows.best(found, scores, k)]

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """See `Store.similarities`."""
        wanted = set(passage_ids)
        view = self.rows.view(scope, generation)
        named = [row for row in view.rows.tolist() if self.rows.ids[row] in wanted]
        if not named:
            return {}
        check_dim(vector, self.vectors.shape[1])
        scores = self.vectors[named] @ vector
        return {self.rows.ids[row]: float(score) for row, score in zip(named, scores, strict=True)}

    def visible(self, scope: Scope, generation: int) -> list[Passage]:
        """See `Store.passages`."""
        rows = self.rows.view(scope, generation).rows.tolist()
        return sorted((self._passage(row) for row in rows), key=lambda passage: passage.id)

    def _hit(self, row: int, score: float, part: str) -> Hit:
        return Hit(passage=self._passage(row), score=score, parts=((part, score),))

    def _passage(self, row: int) -> Passage:
        return under(self.passages[row], self.rows.access(row))


class MemoryStore:
    """A `Store` that lives and dies with the process. Searches see one immutable state each and never wait for staging."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot or Snapshot()
        self._epoch = 0
        self._writing = Lock()

    def stage(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """See `Store.stage`; what was staged for later generations is discarded as well."""
        with self._writing:
            self._snapshot = self._snapshot.before(generation).staged(generation, add, retire)

    def discard(self, generation: int) -> None:
        """See `Store.discard`."""
        with self._writing:
            self._snapshot = self._snapshot.before(generation)

    @property
    def epoch(self) -> int:
        """See `Store.epoch`."""
        return self._epoch

    def restrict(self, access: Mapping[str, Access], epoch: int, withheld: Collection[Holder] = ()) -> None:
        """See `Store.restrict`."""
        with self._writing:
            self._snapshot = self._snapshot.restricted(access, withheld)
            self._epoch = epoch

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.dense`."""
        return self._snapshot.dense(vector, scope, k, generation)

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.lexical`."""
        return self._snapshot.lexical(text, scope, k, generation)

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """See `Store.similarities`."""
        return self._snapshot.similarities(vector, passage_ids, scope, generation)

    def passages(self, scope: Scope, generation: int) -> list[Passage]:
        """See `Store.passages`."""
        return self._snapshot.visible(scope, generation)

    def count(self, generation: int) -> int:
        """See `Store.count`."""
        return int(self._snapshot.rows.in_force(generation).sum())

    def purge(self, keep: Collection[int], erased: Collection[Holder] = ()) -> int:
        """See `Store.purge`."""
        with self._writing:
            state = self._snapshot
            kept = state.rows.needed(keep, erased)
            self._snapshot = state.only(kept)
            return len(kept) - int(kept.sum())

    def optimize(self) -> None:
        """Nothing to do: the index is always exact and whole."""


def under(passage: Passage, access: Access) -> Passage:
    """The passage with the access that holds now."""
    return passage if passage.access == access else replace(passage, access=access)


def checked_vectors(add: Staged, dim: int | None) -> Vectors:
    """The staged vectors as float32, (passages, dim).

    Raises:
        StoreError: their number is not that of the passages, or their length not that of the vectors already there.
    """
    vectors = np.ascontiguousarray(add.vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(add.passages):
        raise StoreError(
            f"{len(add.passages)} passages were staged with vectors of shape {vectors.shape}.",
            remedy="Stage one vector for each passage.",
            code="stores.vector_count",
        )
    if dim is not None and not len(vectors):
        return np.zeros((0, dim), dtype=np.float32)
    if dim is not None and vectors.shape[1] != dim:
        raise _other_encoder(vectors.shape[1], dim)
    return vectors


def check_dim(vector: Vectors, dim: int) -> None:
    """Refuse a query vector of another encoder.

    Raises:
        StoreError: its length is not `dim`.
    """
    if vector.shape != (dim,):
        raise _other_encoder(vector.shape[-1], dim)


def _other_encoder(found: int, expected: int) -> StoreError:
    return StoreError(
        f"a vector has {found} numbers, the index holds vectors of {expected}: they come from different encoders.",
        remedy="Use the encoder the index was built with, or ingest again into an empty index.",
        code="stores.other_encoder",
    )
