"""What is kept of an answer so that it can be explained, and shown to be what was given, long afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.schema.corpus import Citation
from steelyard.schema.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Cited:
    """A place that an answer cited. `quote` is the SHA-256 of the quoted characters; the document's `version` is one of its bytes."""

    document: str
    version: str
    start: int
    end: int
    quote: str

    @classmethod
    def of(cls, citation: Citation) -> Cited:
        """What is kept of a citation."""
        return cls(
            document=citation.document,
            version=citation.version,
            start=citation.start,
            end=citation.end,
            quote=digest(citation.quote),
        )


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """One answer: who asked as whom, what answered from what, and what it cost. It holds no text of documents or answers.

    `kind` is what was asked (`pipeline`, `answer`, `classify`, `write`, `search`). `versions` are the candidates that took part, as
    `COMPONENT/CANDIDATE@VERSION`. `passages` are ids of what was retrieved, best first; an id holds the hash of the document's
    version and the span. `question` is its salted SHA-256 (`question_hash`), `text` its words where the settings keep them.
    `answer` is the SHA-256 of the answer. `as_of` is the date that was asked for (ISO 8601), None for now.
    """

    trace_id: str
    at: str
    kind: str
    key_id: str
    name: str
    user: str | None
    groups: tuple[str, ...]
    release: int | None
    generation: int
    versions: tuple[str, ...]
    passages: tuple[str, ...]
    citations: tuple[Cited, ...]
    question: str
    answer: str
    cost_usd: float
    latency_ms: float
    tokens: tuple[int, int, int] = (0, 0, 0)
    abstained: bool = False
    handoff: bool = False
    label: str | None = None
    as_of: str | None = None
    text: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """Whose documents were looked at."""
        return Scope(user=self.user, groups=frozenset(self.groups))

    def to_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            **self.__dict__,
            "groups": list(self.groups),
            "versions": list(self.versions),
            "passages": list(self.passages),
            "citations": [dict(one.__dict__) for one in self.citations],
            "tokens": list(self.tokens),
            "more": dict(self.more),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> AnswerRecord:
        """The record that `to_json` wrote."""
        lists = {name: tuple(raw[name]) for name in ("groups", "versions", "passages", "tokens")}
        return cls(**{**raw, **lists, "citations": tuple(Cited(**one) for one in raw["citations"])})


def digest(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def question_hash(trace_id: str, question: str) -> str:
    """What is kept of a question: its hash, salted with the answer's id, so that equal questions cannot be told to be equal.

    Who guesses the question can check the guess: short questions are not secret by this, only unreadable.
    """
    return digest(f"{trace_id}\n{question}")
