"""A score, or the reason there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Unscored:
    """A score that could not be made, and why; it stays out of every mean. A failed prediction is a 0.0, not this."""

    reason: str


Score = float | Unscored


def scored(scores: Mapping[str, Score]) -> dict[str, float]:
    """The scores that exist, by name.

    >>> scored({"f1": 0.5, "recall": Unscored("nothing to find")})
    {'f1': 0.5}
    """
    return {name: score for name, score in scores.items() if not isinstance(score, Unscored)}
