"""One immutable state of an index, and the searches in it; every backend that keeps its own rows searches here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.errors import StoreError
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Pool, Staged, Vectors
from steelyard.stores.postings import bm25
from steelyard.stores.rows import Holder, Mask, Numbers, Rows, View
from steelyard.stores.segments import Segment, starts

GATHER_BELOW = 0.4  # share of visible rows below which multiplying a copy of them beats multiplying all
GATHERED = 4096  # rows copied and multiplied at a time: 6 MB of 384 numbers, which stay in the cache

EXACT_VISIBLE = 20_000
"""Visible rows of a clustered segment up to which all of them are compared with the query: full recall."""

PROBED = 32_000
"""Visible rows compared at least where a segment is searched by its clusters, the nearest clusters first."""
PROBED_SHARE = 0.08  # and at least this share of the visible rows
PROBED_FOR_A_HIT = 160  # and at least so many for each hit wanted


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All rows of all generations, with their vectors, words and texts in segments that stand one behind the other."""

    rows: Rows = field(default_factory=Rows)
    segments: tuple[Segment, ...] = ()

    @property
    def dim(self) -> int | None:
        """Length of a vector; None while no row was ever added."""
        return int(self.segments[0].vectors.shape[1]) if self.segments else None

    def before(self, generation: int) -> Snapshot:
        """The state before anything was staged for `generation` or a later one."""
        rows = self.rows.before(generation)
        kept: list[Segment] = []
        for first, segment in self._placed():
            if first + len(segment) <= len(rows):
                kept.append(segment)
            elif first < len(rows):
                kept.append(segment.only(np.arange(len(segment)) < len(rows) - first))
        return Snapshot(rows, tuple(kept))

    def only(self, kept: Mask) -> Snapshot:
        """The state of the rows where `kept` is true, numbered anew; nothing of the others is left in memory of it."""
        parts = [segment.only(kept[first : first + len(segment)]) for first, segment in self._placed()]
        return Snapshot(self.rows.only(kept), tuple(part for part in parts if len(part)))

    def staged(self, generation: int, add: Staged, retire: Sequence[str]) -> Snapshot:
        """The state with `add` and `retire` in `generation`, the last there is; what is added is a segment of its own."""
        vectors = checked_vectors(add, self.dim)
        rows = self.rows.staged(generation, add.passages, retire)
        fresh = (Segment.of(Staged(add.passages, vectors)),) if len(add.passages) else ()
        return Snapshot(rows, (*self.segments, *fresh))

    def restricted(self, access: Mapping[str, Access], withheld: Collection[Holder]) -> Snapshot:
        """The state under the access of now; see `Store.restrict`."""
        return replace(self, rows=self.rows.restricted(access, withheld))

    def pool(self, text: str, vector: Vectors, scope: Scope, k: int, generation: int) -> Pool:
        """See `Store.pool`."""
        view = self.rows.view(scope, generation)
        by_words = self._by_words(text, view, k, ordered=False)
        by_meaning = self._by_meaning(vector, view, k, ordered=False)
        known = {row for row, _ in by_meaning}
        ids = self.rows.ids
        # In one order: the last bit of a product depends on the rows that are multiplied beside it.
        unknown = sorted(((-score, ids[row]), row) for row, score in by_words if row not in known)
        others = [row for _, row in unknown]
        by_meaning += zip(others, self._cosines(vector, others), strict=True)
        return Pool(
            lexical={ids[row]: score for row, score in by_words}, dense={ids[row]: score for row, score in by_meaning}
        )

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.dense`."""
        found = self._by_meaning(vector, self.rows.view(scope, generation), k)
        return [self._hit(row, score, "dense") for row, score in found]

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.lexical`."""
        found = self._by_words(text, self.rows.view(scope, generation), k)
        return [self._hit(row, score, "bm25") for row, score in found]

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """See `Store.similarities`."""
        named = self.rows.find(passage_ids, self.rows.view(scope, generation).mask)
        if not named:
            return {}
        return dict(zip(named, self._cosines(vector, list(named.values())), strict=True))

    def named(self, passage_ids: Sequence[str], scope: Scope, generation: int) -> list[Passage]:
        """See `Store.named`."""
        found = self.rows.find(passage_ids, self.rows.view(scope, generation).mask)
        return [self.passage(found[name]) for name in passage_ids if name in found]

    def visible(self, scope: Scope, generation: int) -> list[Passage]:
        """See `Store.passages`."""
        ids = self.rows.ids
        rows = sorted(self.rows.view(scope, generation).rows.tolist(), key=lambda row: ids[row])
        return [self.passage(row) for row in rows]

    def passage(self, row: int) -> Passage:
        """The passage of a row, with the access that holds now."""
        for first, segment in self._placed():
            if row < first + len(segment):
                return segment.texts.passage(row - first, self.rows.ids[row], self.rows.access(row))
        raise IndexError(row)

    def _placed(self) -> Iterable[tuple[int, Segment]]:
        return self._places

    @cached_property
    def _places(self) -> tuple[tuple[int, Segment], ...]:
        """Each segment with its first row; computed once, for every passage of every search is found by it."""
        return tuple(zip(starts(self.segments).tolist(), self.segments, strict=False))

    def _hit(self, row: int, score: float, part: str) -> Hit:
        return Hit(passage=self.passage(row), score=score, parts=((part, score),))

    def _by_words(self, text: str, view: View, k: int, *, ordered: bool = True) -> list[tuple[int, float]]:
        if k <= 0 or not len(view.rows):
            return []
        found, scores = bm25(text, [(first, segment.postings) for first, segment in self._placed()], view)
        return self.rows.best(found, scores, k, ordered=ordered)

    def _by_meaning(self, vector: Vectors, view: View, k: int, *, ordered: bool = True) -> list[tuple[int, float]]:
        if k <= 0 or not len(view.rows):
            return []
        check_dim(vector, self.dim)
        rows, scores = [], []
        for first, segment in self._placed():
            own, cosines = _compared(segment, first, vector, view, k)
            rows.append(own + first)
            scores.append(cosines)
        return self.rows.best(np.concatenate(rows), np.concatenate(scores), k, ordered=ordered)

    def _cosines(self, vector: Vectors, rows: Sequence[int]) -> list[float]:
        """Cosine of `vector` to each of `rows`, rounded like every score."""
        if not rows:
            return []
        check_dim(vector, self.dim)
        wanted = np.asarray(rows, dtype=np.int64)
        found = np.zeros(len(wanted), dtype=np.float32)
        for first, segment in self._placed():
            own = np.flatnonzero((wanted >= first) & (wanted < first + len(segment)))
            if len(own):
                found[own] = segment.of_rows(wanted[own] - first) @ vector
        return [float(score) for score in self.rows.rounded(found)]


class Searching(ABC):
    """The searches of a `Store` that keeps its state as a `Snapshot`."""

    @abstractmethod
    def _state(self, generation: int, /) -> Snapshot:
        """The state in which `generation` is searched."""

    def pool(self, text: str, vector: Vectors, scope: Scope, k: int, generation: int) -> Pool:
        """See `Store.pool`."""
        return self._state(generation).pool(text, vector, scope, k, generation)

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.dense`."""
        return self._state(generation).dense(vector, scope, k, generation)

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.lexical`."""
        return self._state(generation).lexical(text, scope, k, generation)

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """See `Store.similarities`."""
        return self._state(generation).similarities(vector, passage_ids, scope, generation)

    def named(self, passage_ids: Sequence[str], scope: Scope, generation: int) -> list[Passage]:
        """See `Store.named`."""
        return self._state(generation).named(passage_ids, scope, generation)

    def passages(self, scope: Scope, generation: int) -> list[Passage]:
        """See `Store.passages`."""
        return self._state(generation).visible(scope, generation)

    def count(self, generation: int) -> int:
        """See `Store.count`."""
        return int(self._state(generation).rows.in_force(generation).sum())


def _compared(segment: Segment, first: int, vector: Vectors, view: View, k: int) -> tuple[Numbers, NDArray[np.float32]]:
    """Rows of a segment and their cosine: all visible ones where they are few or nothing is clustered, else the nearest clusters'."""
    mask = view.mask[first : first + len(segment)]
    key = ("visible", first, len(segment), segment.clusters is not None)
    known = view.memo.get(key)
    if segment.clusters is None:
        positions: Numbers = np.flatnonzero(mask) if known is None else known
        view.memo[key] = positions
        return positions, _products(segment.vectors, positions, vector)
    positions, bounds = view.memo[key] = segment.clusters.visible(mask) if known is None else known
    if len(positions) > EXACT_VISIBLE:
        wanted = max(PROBED, k * PROBED_FOR_A_HIT, int(PROBED_SHARE * len(positions)))
        near = segment.clusters.near(vector, bounds, wanted)
        parts = [positions[bounds[cluster] : bounds[cluster + 1]] for cluster in np.sort(near).tolist()]
        positions = np.concatenate(parts)
    return segment.clusters.order[positions].astype(np.int64), _products(segment.vectors, positions, vector)


def _products(vectors: Vectors, places: Numbers, vector: Vectors) -> NDArray[np.float32]:
    """Products of `vector` with the vectors at `places`, ascending."""
    products = np.empty(len(places), dtype=np.float32)
    for start in range(0, len(places), GATHERED):
        some = places[start : start + GATHERED]
        low, high = int(some[0]), int(some[-1]) + 1
        if len(some) > GATHER_BELOW * (high - low):
            # Nearly all between the first and the last: reading them in place is cheaper than copying them out.
            products[start : start + GATHERED] = (vectors[low:high] @ vector)[some - low]
        else:
            products[start : start + GATHERED] = vectors[some] @ vector
    return products


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


def check_dim(vector: Vectors, dim: int | None) -> None:
    """Refuse a query vector of another encoder.

    Raises:
        StoreError: its length is not `dim`.
    """
    if vector.shape != (dim,):
        raise _other_encoder(vector.shape[-1], dim)


def _other_encoder(found: int, expected: int | None) -> StoreError:
    return StoreError(
        f"a vector has {found} numbers, the index holds vectors of {expected}: they come from different encoders.",
        remedy="Use the encoder the index was built with, or ingest again into an empty index.",
        code="stores.other_encoder",
    )
