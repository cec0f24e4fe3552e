"""What goes into a candidate and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from steelyard.schema.corpus import Citation, Hit
from steelyard.schema.items import NO_SLOTS


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to a candidate: the message, slot values for a writer, and the time the answer must hold at.

    `at` None means now. `label` is what a router made of the message, for a writer that prefers replies of that kind.
    """

    text: str
    slots: Mapping[str, str] = field(default_factory=lambda: NO_SLOTS)
    at: datetime | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one call used.

    Tokens by class; seconds are wall time; `encoder_tokens` went through an embedded encoder; `generator_s` is the part of them spent on
    a generator's calls and `usd` what those cost, both as when they were made, also where their answers were kept from then.
    """

    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    encoder_tokens: int = 0
    seconds: float = 0.0
    generator_s: float = 0.0
    usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Both uses together."""
        return Usage(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_cached=self.tokens_cached + other.tokens_cached,
            tokens_out=self.tokens_out + other.tokens_out,
            encoder_tokens=self.encoder_tokens + other.encoder_tokens,
            seconds=self.seconds + other.seconds,
            generator_s=self.generator_s + other.generator_s,
            usd=self.usd + other.usd,
        )


@dataclass(frozen=True, kw_only=True)
class Grounding:
    """What the check of a generated answer found.

    Its sentences, those that no cited passage says, and citations of passages that were never given.
    """

    sentences: int
    unsupported: int = 0
    foreign_citations: int = 0


@dataclass(frozen=True, kw_only=True)
class Output:
    """One candidate's output for one request.

    classify fills `label`, `probability` (calibrated, 0 to 1), `out_of_scope`. answer fills `text`, `abstained` and
    `citations`; `hits` are the passages that were used, all visible to the asker. write fills `text` (finished reply)
    and `template` (the reply before its slots were filled). `text` is "" when the candidate declined.

    Where a generator took part, `well_formed` says whether its output was of the form that was asked for, and `grounding` what the check
    of a generated answer found.
    """

    text: str = ""
    label: str | None = None
    probability: float | None = None
    out_of_scope: bool = False
    abstained: bool = False
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    template: str | None = None
    usage: Usage = Usage()
    trace: tuple[tuple[str, str], ...] = ()
    well_formed: bool | None = None
    grounding: Grounding | None = None
