"""How documents changed, and what was asked of them when: the records of a backtest's input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """One document that came, changed, moved or went.

    `at` is UTC. `path` has forward slashes. `key` names the bytes it holds from then on in its history; None: it was deleted.
    `before` is the path it had until then, when it moved.
    """

    at: datetime
    path: str
    key: str | None
    before: str | None = None

    @property
    def deleted(self) -> bool:
        """Whether the document is gone from then on."""
        return self.key is None
