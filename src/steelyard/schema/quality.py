"""How well one generation of the corpus is searched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GenerationQuality:
    """Retrieval quality of one generation on the gold questions of one component that hold at its date.

    `recall_at_5` and `ndcg_at_10` are means over `questions`, 0 to 1, with 95 % intervals clustered by source document.
    `gold` names the set of questions: figures of different sets do not compare. `as_of` and `measured` are UTC, ISO 8601.
    """

    component: str
    generation: int
    as_of: str
    passages: int
    gold: str
    questions: int
    recall_at_5: float
    recall_low: float
    recall_high: float
    ndcg_at_10: float
    ndcg_low: float
    ndcg_high: float
    measured: str

    def to_json(self) -> dict[str, Any]:
        """The record as JSON, by its field names."""
        return asdict(self)
