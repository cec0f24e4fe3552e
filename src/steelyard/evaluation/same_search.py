"""A search that is asked the same by several candidates of one step."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from steelyard.candidates.interface import Search
from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Scope


class SameSearch:
    """A `Search` of one generation that remembers what it found for a question and asker, as long as it is used.

    Safe for several threads. Whoever changes the documents or the rules makes a new one.
    """

    def __init__(self, inner: Search) -> None:
        self.inner = inner
        self._found: dict[Hashable, tuple[Hit, ...]] = {}

    def lexical(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """See `Search.lexical`."""
        return self._once(("lexical", text, scope, k), lambda: self.inner.lexical(text, scope, k))

    def dense(self, text: str, scope: Scope, k: int) -> list[Hit]:
        """See `Search.dense`."""
        return self._once(("dense", text, scope, k), lambda: self.inner.dense(text, scope, k))

    def fused(self, text: str, scope: Scope, k: int, dense_weight: float) -> list[Hit]:
        """See `Search.fused`."""
        key = ("fused", text, scope, k, dense_weight)
        return self._once(key, lambda: self.inner.fused(text, scope, k, dense_weight))

    def visible(self, scope: Scope) -> list[Passage]:
        """See `Search.visible`."""
        return self.inner.visible(scope)

    def _once(self, key: Hashable, find: Callable[[], list[Hit]]) -> list[Hit]:
        found = self._found.get(key)
        if found is None:
            # Two threads that ask the same at the same time find the same.
            found = self._found[key] = tuple(find())
        return list(found)
