"""An index under the control plane: whoever searches it sees what may be seen now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from threading import Lock

from steelyard.corpus.control import Control
from steelyard.corpus.enforcing import catch_up
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Pool, Staged, Store, StoredRows, Vectors


class EnforcedStore:
    """A `Store` that follows the control plane before it ranks, in every process that has it open.

    Each search reads the plane's epoch once. When it moved, what changed is applied to the rows of all generations first; and the
    asker's groups are those that the directory gives now. So a revocation counts from the next query, and one that was committed
    before a crash counts from the first query after it.
    """

    def __init__(self, store: Store, control: Control) -> None:
        self.inner = store
        self._control = control
        self._following = Lock()

    def _ready(self, scope: Scope) -> Scope:
        """Bring the store up to date, and resolve the asker."""
        epoch = self._control.epoch()
        if self.inner.epoch != epoch:
            with self._following:
                catch_up(self.inner, self._control)
        return self._control.resolve(scope, epoch)

    def dense(self, vector: Vectors, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.dense`."""
        asker = self._ready(scope)
        return self.inner.dense(vector, asker, k, generation)

    def lexical(self, text: str, scope: Scope, k: int, generation: int) -> list[Hit]:
        """See `Store.lexical`."""
        asker = self._ready(scope)
        return self.inner.lexical(text, asker, k, generation)

    def pool(self, text: str, vector: Vectors, scope: Scope, k: int, generation: int) -> Pool:
        """See `Store.pool`."""
        asker = self._ready(scope)
        return self.inner.pool(text, vector, asker, k, generation)

    def named(self, passage_ids: Sequence[str], scope: Scope, generation: int) -> list[Passage]:
        """See `Store.named`."""
        asker = self._ready(scope)
        return self.inner.named(passage_ids, asker, generation)

    def similarities(
        self, vector: Vectors, passage_ids: Sequence[str], scope: Scope, generation: int
    ) -> dict[str, float]:
        """See `Store.similarities`."""
        asker = self._ready(scope)
        return self.inner.similarities(vector, passage_ids, asker, generation)

    def passages(self, scope: Scope, generation: int) -> list[Passage]:
        """See `Store.passages`."""
        asker = self._ready(scope)
        return self.inner.passages(asker, generation)

    # What only operators and ingest call.

    def stage(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """See `Store.stage`."""
        self.inner.stage(generation, add, retire)

    def extend(self, generation: int, add: Staged) -> None:
        """See `Store.extend`."""
        self.inner.extend(generation, add)

    def discard(self, generation: int) -> None:
        """See `Store.discard`."""
        self.inner.discard(generation)

    @property
    def epoch(self) -> int:
        """See `Store.epoch`."""
        return self.inner.epoch

    def restrict(self, access: Mapping[str, Access], epoch: int, withheld: Collection[tuple[str, str]] = ()) -> None:
        """See `Store.restrict`."""
        self.inner.restrict(access, epoch, withheld)

    def count(self, generation: int) -> int:
        """See `Store.count`."""
        return self.inner.count(generation)

    def purge(self, keep: Collection[int], erased: Collection[tuple[str, str]] = ()) -> int:
        """See `Store.purge`."""
        return self.inner.purge(keep, erased)

    def stored(self) -> Iterator[StoredRows]:
        """See `Store.stored`."""
        return self.inner.stored()

    def faults(self, *, mend: bool = False) -> list[str]:
        """See `Store.faults`."""
        return self.inner.faults(mend=mend)

    def optimize(self) -> None:
        """See `Store.optimize`."""
        self.inner.optimize()
