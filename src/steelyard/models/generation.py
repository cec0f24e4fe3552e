"""What a generator must do, and how one is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from steelyard.schema.generation import Completion, Message

Schema = Mapping[str, Any]
"""A JSON Schema."""


class Generator(Protocol):
    """A language model that continues conversations. Safe for several threads."""

    @property
    def name(self) -> str:
        """Kind, model and what pins it: `openai:MODEL@HOST`, or `transformers:FOLDER@` with the hash of its weights.

        Answers of different names are never taken for each other.
        """

    @property
    def context_tokens(self) -> int:
        """Most tokens that prompt and answer may have together."""

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> Completion:
        """The answer to a conversation of at least one message.

        At most `max_tokens` tokens come back; `finish` says whether that cut it. `temperature` 0 takes the likeliest token each time.
        With `schema` the text is JSON that is valid under it.

        Raises:
            GeneratorError: this call failed for good, after its retries; the code says how.
            StoppedError: no call can succeed until the user acts: no key, a refused key, an unknown model, no server, the spend cap.
        """

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> list[Completion]:
        """As `complete` for each prompt, in order, several at a time. No prompts give [].

        When one fails, its error is raised after those in flight have ended.
        """

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        """Pieces of the answer as they come; the last item is the `Completion`, whose text is the pieces joined.

        Raises:
            GeneratorError: as `complete`; after a piece was given, with code `generator.cut`.
            StoppedError: as `complete`.
        """

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt: exact with a local tokenizer, else an estimate from characters."""
