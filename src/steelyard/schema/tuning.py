"""What language models are taught, and the jobs that teach them at a provider."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from steelyard.schema.generation import Message

RUNNING = frozenset({"validating_files", "queued", "running", "paused"})
"""States of a provider's job that is not over."""


@dataclass(frozen=True, kw_only=True)
class ChatPair:
    """One row to learn from: a conversation, and what should be said next. `row` is the line of the file it came from, 0 without."""

    messages: tuple[Message, ...]
    completion: str
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class TuningEstimate:
    """What a tuning will take, before it is started: rows, tokens of one pass, tokens over all passes, USD, minutes.

    `basis` says where the figures come from.
    """

    model: str
    rows: int
    tokens: int
    epochs: float
    trained_tokens: int
    usd: float
    minutes: float
    basis: str

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """One job at a provider, as it was seen last. `key` names its data and settings.

    `status` is the provider's word (`queued`, `running`, `succeeded`, `failed`, `cancelled`, ...), and `starting` before it has an id.
    `tuned` is the resulting model, `trained_tokens` what it was billed for, `ends` the day on which the model or its base is switched off.
    """

    key: str
    base: str
    place: str
    status: str = "starting"
    job: str | None = None
    training_file: str | None = None
    validation_file: str | None = None
    tuned: str | None = None
    trained_tokens: int = 0
    usd: float = 0.0
    rows: int = 0
    error: str = ""
    ends: str | None = None
    created: str = ""
    finished: str | None = None
    purpose: str = ""
    estimate: dict[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether the provider works on it no more."""
        return self.status not in RUNNING and self.status != "starting"

    @property
    def ends_on(self) -> date | None:
        """The day the model is switched off, None where nobody said."""
        return date.fromisoformat(self.ends) if self.ends else None

    def to_json(self) -> dict[str, Any]:
        """The job as JSON."""
        return asdict(self)
