"""How long work reports where it is."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called with a stage's name, how many units are done, and how many there are; at least once per stage when it is done."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
