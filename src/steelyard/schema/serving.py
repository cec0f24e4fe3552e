"""What a served request came to: which versions answered, from which documents, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from steelyard.schema.callers import Caller
from steelyard.schema.corpus import Citation, Hit
from steelyard.schema.items import Task
from steelyard.schema.scope import Scope

Kind = Literal["pipeline", "answer", "classify", "write", "search"]
"""What was asked: the whole pipeline, or one part of it alone."""

VersionName = tuple[str, str, int]
"""Component, candidate and version number."""


@dataclass(frozen=True, kw_only=True)
class InForce:
    """What should be answering: a release (None without one), a generation (0 without documents), a version per component.

    `pinned` when the release answers from one generation, whatever is ingested later.
    """

    release: int | None
    generation: int
    versions: tuple[VersionName, ...]
    pinned: bool = False


@dataclass(frozen=True, kw_only=True)
class PartUse:
    """One part's share of an answer: its version, its time and money, and what it decided."""

    component: str
    task: Task
    candidate: str
    version: int
    dataset: str
    latency_ms: float
    cost_usd: float
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    passages: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`COMPONENT/CANDIDATE@VERSION`."""
        return f"{self.component}/{self.candidate}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The part as JSON; `details` stay under their own key."""
        return {**self.__dict__, "name": self.name, "passages": list(self.passages), "details": dict(self.details)}


@dataclass(frozen=True, kw_only=True)
class Served:
    """One served request, made by one release on one generation from its first part to its last.

    `text` is what the asker reads; "" when nothing can be said. `handoff` says that a person should answer: the message is out of scope, or
    no answer was found. `hits` are the passages of a search. `cost_usd` is the machine's time and the generator's tokens.
    """

    id: str
    at: str
    kind: Kind
    text: str
    release: int | None
    generation: int
    parts: tuple[PartUse, ...]
    latency_ms: float
    cost_usd: float
    handoff: bool = False
    abstained: bool = False
    label: str | None = None
    probability: float | None = None
    out_of_scope: bool = False
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Tokens in, cached and out, of all parts."""
        return (
            sum(part.tokens_in for part in self.parts),
            sum(part.tokens_cached for part in self.parts),
            sum(part.tokens_out for part in self.parts),
        )


@dataclass(frozen=True, kw_only=True)
class AnswerNote:
    """A served request with who asked what: what the audit keeps of it.

    `scope` is whose documents were looked at: the caller's own, or the one that an operator asked for. `as_of` is the day that was asked
    about, where one was named.
    """

    served: Served
    caller: Caller
    scope: Scope
    question: str
    as_of: datetime | None = None
