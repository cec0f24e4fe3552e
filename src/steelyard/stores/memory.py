"""Exact search in memory: the reference every other backend is compared with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from threading import Lock

import numpy as np

from steelyard.schema.scope import Access
from steelyard.stores.interface import Staged, StoredRows
from steelyard.stores.rows import Holder
from steelyard.stores.segments import due, one
from steelyard.stores.snapshot import Searching, Snapshot


class MemoryStore(Searching):
    """A `Store` that lives and dies with the process. Searches see one immutable state each and never wait for staging."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot or Snapshot()
        self._epoch = 0
        self._writing = Lock()

    def stage(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """See `Store.stage`; what was staged for later generations is discarded as well."""
        with self._writing:
            self._snapshot = _gathered(self._snapshot.before(generation).staged(generation, add, retire))

    def extend(self, generation: int, add: Staged) -> None:
        """See `Store.extend`."""
        with self._writing:
            self._snapshot = _gathered(self._snapshot.staged(generation, add, ()))

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

    def purge(self, keep: Collection[int], erased: Collection[Holder] = ()) -> int:
        """See `Store.purge`."""
        with self._writing:
            state = self._snapshot
            kept = state.rows.needed(keep, erased)
            self._snapshot = state.only(kept)
            return len(kept) - int(kept.sum())

    def stored(self) -> Iterator[StoredRows]:
        """See `Store.stored`."""
        state = self._snapshot
        if len(state.rows):
            passages = [state.passage(row) for row in range(len(state.rows))]
            vectors = np.concatenate([block for part in state.segments for block in part.blocks()])
            yield StoredRows(passages, vectors, state.rows.added.tolist(), state.rows.retired.tolist())

    def faults(self, *, mend: bool = False) -> list[str]:
        """See `Store.faults`; there are no files."""
        del mend
        return []

    def optimize(self) -> None:
        """Nothing to do: the index is always exact and whole."""

    def _state(self, _generation: int) -> Snapshot:
        return self._snapshot


def _gathered(snapshot: Snapshot) -> Snapshot:
    parts = snapshot.segments
    at = due([len(part) for part in parts])
    return snapshot if at == len(parts) else Snapshot(snapshot.rows, (*parts[:at], one(parts[at:])))
