"""A budgeted search over retrieval configurations: what was tried and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """How documents are cut (characters) and how words and meaning are weighed (`dense_weight` 0 to 1)."""

    size: int
    overlap: int
    dense_weight: float

    @property
    def cut(self) -> tuple[int, int]:
        """Size and overlap: what decides whether documents must be indexed anew."""
        return self.size, self.overlap


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The outcome: the best configuration found and its mean nDCG@10 on all questions asked, beside the one in use.

    `current` is the cut in use with the best weight that was found for it: weights are chosen by every fit anyway. `evaluations` counts
    (configuration, question) pairs scored, its own included; `grid` what the full grid would have taken. `broken` are the
    configurations that broke a constraint, with the reason; none of them is ever the best. `skipped` are cuts that the time did not allow.
    """

    best: Configuration
    ndcg: float
    current: Configuration
    current_ndcg: float
    questions: int
    evaluations: int
    grid: int
    seconds: float
    broken: tuple[tuple[Configuration, str], ...] = ()
    skipped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "best": dict(self.best.__dict__),
            "ndcg_at_10": round(self.ndcg, 4),
            "current": dict(self.current.__dict__),
            "current_ndcg_at_10": round(self.current_ndcg, 4),
            "questions": self.questions,
            "evaluations": self.evaluations,
            "grid": self.grid,
            "seconds": round(self.seconds, 2),
            "broken": [{**one.__dict__, "because": why} for one, why in self.broken],
            "skipped": list(self.skipped),
        }
