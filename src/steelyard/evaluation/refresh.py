"""How long until a change is answered from: the time from an edited document or label to the right answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Protocol

from steelyard.schema.corpus import Passage
from steelyard.schema.scope import Access, Scope

MARK = "The reference of this correction is quince-4711."
ASKED = "What is the reference of this correction?"


class Stages(Protocol):
    """The part of an index that a refresh needs: put one edited passage in, find it, take it out."""

    def put(self, passage: Passage) -> None:
        """Embed and index the passage in a generation of its own."""

    def finds(self, question: str, scope: Scope) -> list[str]:
        """Ids of the best passages for a question in that generation."""

    def undo(self) -> None:
        """Drop that generation."""


def index_refresh_seconds(stages: Stages, passage: Passage, group: str) -> float | None:
    """Seconds from an edited passage to an answer from it; None when the edit was not found (then nothing may be claimed).

    The edit is a sentence added to `passage`; `group` may see it. The index is left as it was.
    """
    access = Access(allow=(group,))
    text = f"{passage.text}\n\n{MARK}"
    edited = replace(
        passage, id=passage.id + ":edited", text=text, end=passage.start + len(text), access=access, version="0" * 64
    )
    start = perf_counter()
    try:
        stages.put(edited)
        found = edited.id in stages.finds(ASKED, Scope(groups=frozenset({group})))
        seconds = perf_counter() - start
    finally:
        stages.undo()
    return seconds if found else None


def refit_seconds(refit: Callable[[], None]) -> float:
    """Seconds of fitting again, saving and loading, with what did not change taken from the cache: what an edited label costs."""
    start = perf_counter()
    refit()
    return perf_counter() - start
