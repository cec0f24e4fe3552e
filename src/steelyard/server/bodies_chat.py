"""The chat API that stock OpenAI clients speak, as far as a pipeline of measured parts can mean it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from steelyard.server.bodies import MAX_TEXT, Asker, Body, Name, Part, Place, Slots


class Loose(BaseModel):
    """A body of the chat API: other keys (temperature, tools, ...) are read over, as measured parts do not turn by them."""

    model_config = ConfigDict(extra="ignore", strict=True)


class ContentPart(Loose):
    """A piece of a message; pieces of text are joined, others are read over."""

    type: Annotated[str, Field(min_length=1, max_length=50)]
    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None


class ChatMessage(Loose):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[str, Field(max_length=MAX_TEXT)] | Annotated[list[ContentPart], Field(max_length=100)] | None = (
        None
    )

    @property
    def said(self) -> str:
        """Its text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(Loose):
    """`include_usage`: one more piece at the end carries the usage."""

    include_usage: bool | None = None


class ChatExtra(Body):
    """What Steelyard takes beside OpenAI's keys: values for the places of approved replies, and for operators who asks."""

    slots: Slots = Field(default_factory=dict)
    asker: Asker | None = None


class ChatBody(Loose):
    """A chat request. The last message of the user is what is answered: parts were measured on single messages."""

    model: Name = Field(
        description="`steelyard` for the whole pipeline, `steelyard/COMPONENT` for one part.", examples=["steelyard"]
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    steelyard: ChatExtra | None = None

    @property
    def question(self) -> str:
        """The text of the user's last message; without one, of the last message."""
        asked = [message for message in self.messages if message.role == "user"]
        return (asked or self.messages)[-1].said


class ChatReply(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """The one choice."""

    index: int
    message: ChatReply
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class CachedTokens(BaseModel):
    """Prompt tokens that a provider read from its cache."""

    cached_tokens: int


class ChatUsage(BaseModel):
    """Tokens of the generator where one took part, else of the message and the reply as the embedded encoder counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class ChatTrace(BaseModel):
    """Steelyard's own field: what the answer rests on, what made it, what it cost, and the id to ask for it by."""

    trace_id: str
    release: int | None
    generation: int
    handoff: bool = Field(description="A person should answer: out of scope, or no answer was found.")
    label: str | None
    probability: float | None
    out_of_scope: bool
    citations: list[Place]
    parts: list[Part]
    latency_ms: float
    cost_usd: float


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    system_fingerprint: str
    steelyard: ChatTrace


class ModelCard(BaseModel):
    """A name that `model` takes; `parts` are the versions behind it now."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    parts: list[str]


class ModelList(BaseModel):
    """Every name that `model` takes."""

    object: Literal["list"]
    data: list[ModelCard]
