"""What requests and answers look like: the models that OpenAPI shows and that every request is checked against."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_TEXT = 20_000
"""Characters of a message, a question or a slot value."""

MAX_NAME = 200

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


def _whole(value: object) -> object:
    # JSON knows one kind of number, and its schemas call 26.0 an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(written: str) -> str:
    if RFC3339.fullmatch(written) is None:
        raise ValueError("write a moment as RFC 3339 does, e.g. 2026-03-01T12:00:00Z")
    moment_of(written)
    return written


Moment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
"""A date and a time with its offset; read by `moment_of`."""


def moment_of(written: str | None) -> datetime | None:
    """The moment that a checked `Moment` names, in UTC."""
    if written is None:
        return None
    told = datetime.fromisoformat(written.upper())
    try:
        return told.astimezone(UTC)
    except OverflowError:  # its offset leads out of the calendar
        return (datetime.min if told.year == 1 else datetime.max).replace(tzinfo=UTC)


Count = Annotated[int, BeforeValidator(_whole)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Slots = Annotated[dict[str, Annotated[str, Field(max_length=MAX_TEXT)]], Field(max_length=50)]


class Body(BaseModel):
    """A request body: unknown keys and values of another type are refused, as a misspelt key would be ignored otherwise."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asker(Body):
    """Somebody else to ask as; only operators may."""

    user: Name | None = Field(default=None, description="The user's name.")
    groups: list[Name] = Field(default_factory=list, max_length=200, description="Their groups, besides `everyone`.")


class AskBody(Body):
    """A question to the documents."""

    question: Text
    component: Name | None = Field(default=None, description="The answer component, where there are several.")
    asker: Asker | None = None
    as_of: Moment | None = Field(default=None, description="Answer from the documents of this moment (RFC 3339).")
    # The bounds stand inside: on the whole of `... | None` they would hold and not be told in the document.
    generation: Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(_whole)] | None = Field(
        default=None, description="Answer from this generation of the documents."
    )


class RouteBody(Body):
    """A message to classify."""

    text: Text
    component: Name | None = Field(default=None, description="The classify component, where there are several.")


class WriteBody(Body):
    """A message to reply to with an approved reply; the values of `slots` stand in it verbatim."""

    text: Text
    slots: Slots = Field(default_factory=dict)
    label: Name | None = Field(default=None, description="The kind of reply that is preferred.")
    component: Name | None = Field(default=None, description="The write component, where there are several.")


class RespondBody(Body):
    """A message for the whole pipeline: routed, looked up, written."""

    text: Text
    slots: Slots = Field(default_factory=dict)
    asker: Asker | None = None


class SearchBody(Body):
    """A search among the passages that the asker may see."""

    query: Text
    k: Count = Field(default=10, ge=1, le=50)
    mode: Literal["fused", "lexical", "dense"] = "fused"
    asker: Asker | None = None


class Place(BaseModel):
    """Where a quoted answer stands: characters [start:end) of the stored version's text."""

    document: str
    version: str
    start: int
    end: int
    quote: str
    heading: list[str]
    page: int | None
    supports: list[int] | None = Field(description="The part [start, end) of the answer that the quote supports.")
    copies: list[Place] = Field(description="The same words in other places that the asker may see.")


class Part(BaseModel):
    """One part's share of an answer: which version, how long, how much, and what it decided (`details`)."""

    name: str = Field(description="COMPONENT/CANDIDATE@VERSION.")
    component: str
    task: Literal["classify", "answer", "write"]
    candidate: str
    version: int
    dataset: str
    latency_ms: float
    cost_usd: float
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    passages: list[str] = Field(description="Ids of the passages that were read.")
    details: dict[str, Any]


class Traced(BaseModel):
    """What every answer carries: what made it, in what time, for how much, and the id to ask for it by."""

    trace_id: str
    release: int | None = Field(description="The release that answered; null before the first.")
    generation: int = Field(description="The state of the documents that was asked; 0 without documents.")
    latency_ms: float
    cost_usd: float
    component_trace: list[Part]


class AskAnswer(Traced):
    """An answer quoted from the documents, or none (`abstained`)."""

    answer: str
    abstained: bool
    citations: list[Place]
    candidate: str
    version: int


class RouteAnswer(Traced):
    """A classification; `probability` is calibrated, 0 to 1."""

    label: str
    probability: float
    out_of_scope: bool
    candidate: str
    version: int


class WriteAnswer(Traced):
    """A reply, or none that fits the slots (`abstained`)."""

    text: str
    abstained: bool
    candidate: str
    version: int


class RespondAnswer(Traced):
    """The reply of the whole pipeline. `handoff`: a person should answer, as the message is out of scope or no answer was found."""

    text: str
    handoff: bool
    label: str | None
    probability: float | None
    out_of_scope: bool
    citations: list[Place]


class Found(BaseModel):
    """A passage that was found."""

    id: str
    document: str
    version: str
    title: str
    start: int
    end: int
    text: str
    heading: list[str]
    page: int | None
    valid_from: str
    score: float
    scores: dict[str, float] = Field(description="Its parts: bm25 and dense.")
    copies: int = Field(description="Passages that say the same and are left out; the asker may see them all.")


class SearchAnswer(Traced):
    """The best passages that the asker may see, best first. How many there are in all is not told."""

    hits: list[Found]


class Source(BaseModel):
    """A stored version of a document, with the characters that were asked for."""

    document: str
    version: str
    title: str
    media_type: str
    text: str
    start: int
    end: int
    valid_from: str
    valid_to: str | None


class Failure(BaseModel):
    """What went wrong and what to do; `code` is stable."""

    code: str
    message: str
    remedy: str


class FailureAnswer(BaseModel):
    """Every error has this shape."""

    error: Failure


class OpenAIFailure(Failure):
    """An error with the fields that OpenAI's clients read."""

    type: str
    param: str | None


class OpenAIFailureAnswer(BaseModel):
    """Every error under /v1/ has this shape."""

    error: OpenAIFailure


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """The release in force is loaded; `failure` says why a newer one is not answering, when it cannot be loaded."""

    status: Literal["ready"]
    release: int | None
    generation: int
    failure: bool
