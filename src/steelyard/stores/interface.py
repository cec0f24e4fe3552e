"""What an index backend must do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Access, Scope

Vectors = NDArray[np.float32]
"""float32, (rows, dim), rows of length 1."""


@dataclass(frozen=True)
class Staged:
    """Passages to add, with one vector each, in the same order."""

    passages: Sequence[Passage]
    vectors: Vectors


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Passages found for one question by words or by meaning, by id: what fusion needs of them.

    `lexical` has the BM25 scores of the best by words, `dense` the cosines of the best by meaning and of all in `lexical`.
    """

    lexical: Mapping[str, float]
    dense: Mapping[str, float]


@dataclass(frozen=True)
class StoredRows:
    """Rows as a store's files hold them: passage i with vector i, in force from generation `added[i]` until before `retired[i]`."""

    passages: Sequence[Passage]
    vectors: Vectors
    added: Sequence[int]
    retired: Sequence[int]


class Store(Protocol):
    """Passages with vectors and words, in numbered generations.

    A row is in force in generation g when it was added at or before g and not retired at or before g. Searches name
    the generation they read; what is staged for a later one is invisible to them, so a reader never sees half an
    update.
    """

    def stage(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """Prepare `generation`: add rows, and retire rows by passage id from it on.

        Invisible to searches of earlier generations. Staging the same generation again first discards what was staged
        for it. The same passage id may be added again in the generation that retires it (its access changed).
        """

    def extend(self, generation: int, add: Staged) -> None:
        """Add more rows to `generation`, which was staged last: a large update need not be in memory at once."""

    def discard(self, generation: int) -> None:
        """Undo what was staged for `generation` and any later one; harmless when nothing was."""

    @property
    def epoch(self) -> int:
        """The number of the last `restrict` that its searches follow; 0 before the first.

        It may be lower than another process's: whoever searches compares it with the control plane's first.
        """

    def restrict(self, access: Mapping[str, Access], epoch: int, withheld: Collection[tuple[str, str]] = ()) -> None:
        """Set who may see the rows of these documents, in every generation, from the next search on.

        Rows of other documents stay as they are; a document that is not there is passed over. Nobody sees the rows of a `withheld`
        (document, version); an empty document stands for any. `epoch` is the state of the control plane that the call brings the
        store to. Doing it again is harmless. What is staged later carries the access it is staged with.
        """

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """Best `k` passages by cosine among those visible to `scope`, best first.

        `vector` is float32, (dim,), of length 1. Exactly `k` hits whenever `k` are visible, else all visible ones.
        Equal scores stand in passage-id order. `parts` carries `dense`. An empty corpus or k = 0 gives [].
        """

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """Best passages by BM25 among those visible to `scope` that share a term with `text`, best first, at most `k`.

        Equal scores stand in passage-id order. `parts` carries `bm25`. Stop words alone give [].
        """

    def pool(self, text: str, vector: Vectors, scope: Scope, k: int, generation: int) -> Pool:
        """The scores of what `lexical` and `dense` find, without the passages, and the cosines that `lexical` leaves open."""

    def named(self, passage_ids: Sequence[str], scope: Scope, generation: int) -> list[Passage]:
        """The named passages in the order given, without those that `scope` may not see or that are not there."""

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """Cosine of `vector` to each named passage that is visible to `scope`; others are left out."""

    def passages(self, scope: Scope, generation: int) -> list[Passage]:
        """All passages in force that `scope` may see, in passage-id order."""

    def count(self, generation: int) -> int:
        """How many passages are in force, visible to anyone or not (for operators, never for askers)."""

    def purge(self, keep: Collection[int], erased: Collection[tuple[str, str]] = ()) -> int:
        """Remove for good the rows that no generation of `keep` holds, and all rows of what is erased; how many were removed.

        `erased` names (document, version) as `restrict` does; an empty document or version stands for any. Searches of the
        generations in `keep` find what they found, without what is erased. Afterwards no file of the store holds
        what was removed: no text, vector, word or older version of a file. Nobody may stage meanwhile. What was staged for a
        generation that is not in `keep` goes too. Interrupted, it has happened or not, and is done again by the next call.
        """

    def stored(self) -> Iterator[StoredRows]:
        """Every row as the files hold it now, some thousands at a time, in force or not, whoever may see it: for checks alone.

        Access is that of the rows, which may be behind `epoch` until `optimize`.

        Raises:
            StoreError: a file cannot be read.
        """

    def faults(self, *, mend: bool = False) -> list[str]:
        """The files that the store derives from its rows and that are not what it wrote, by name; `mend` has them made again."""

    def optimize(self) -> None:
        """Build or refresh indexes and compact files; changes no result of an exact search."""
