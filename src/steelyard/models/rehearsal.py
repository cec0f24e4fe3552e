"""A generator that is only rehearsed: the same calls are made, counted and priced, and none is paid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from steelyard.models.generation import Schema
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.schema.generation import Completion, Message, TokenUse

CACHED_FROM = 1_024
"""Tokens from which providers keep the beginning of a prompt; it is billed as cached from the second prompt that shares it."""

USUAL_WORDS = 18
"""Words of a sentence that answers, where nothing tells how long answers are."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call that would be paid."""

    messages: tuple[Message, ...]
    max_tokens: int
    schema: Schema | None


class Rehearsal:
    """Stands in for a metered generator and counts what its calls would use. What is kept from earlier is answered from there.

    `calls` would be paid, with `characters` in their prompts and the tokens of `use`; `kept` would not. `waiting` are those that would be
    paid; `groups` how many of them are handed over with each other, in order. `aside_s` are seconds that only the rehearsal takes: what
    asks takes the others too when it asks in earnest.

    An answer that is not kept is made up: the plainest value that is valid under the schema, and as long as `typical` texts. So whatever
    asks goes the way it would go, as far as its next prompt does not depend on what was said.
    """

    def __init__(self, inner: MeteredGenerator, typical: Sequence[str] = ()) -> None:
        self.inner = inner
        self.start_again()
        words = [len(text.split()) for text in typical if text.strip()]
        self._words = max(1, round(sum(words) / len(words))) if words else USUAL_WORDS
        self._made: dict[str, Completion] = {}
        self._beginnings: set[str] = set()

    def start_again(self) -> None:
        """Count from 0; what was asked until now is known from now on."""
        self.calls = 0
        self.kept = 0
        self.groups: list[int] = []
        self.aside_s = 0.0
        self.characters = 0
        self.use = TokenUse()
        self.waiting: list[Asked] = []

    @property
    def name(self) -> str:
        """The name of the generator it stands in for."""
        return self.inner.name

    @property
    def context_tokens(self) -> int:
        """See `Generator.context_tokens`."""
        return self.inner.context_tokens

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> Completion:
        """A kept answer, or a made-up one whose call is counted once."""
        found = self.inner.known(messages, max_tokens=max_tokens, temperature=temperature, schema=schema)
        begun = perf_counter()
        try:
            return self._counted(found, messages, max_tokens, temperature, schema)
        finally:
            self.aside_s += perf_counter() - begun

    @property
    def together(self) -> int:
        """How many calls are handed over with others."""
        return sum(self.groups)

    def _counted(
        self,
        found: Completion | None,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        schema: Schema | None,
    ) -> Completion:
        asked = json.dumps([[one.to_json() for one in messages], max_tokens, temperature, schema], sort_keys=True)
        key = hashlib.sha256(asked.encode()).hexdigest()
        if found is not None:
            self.kept += key not in self._made
            self._made[key] = found
            return found
        if key not in self._made:
            text = self._text(schema)
            said = self.inner.count_tokens([Message(role="assistant", content=text)])
            use = self._prompt_use(self._as_sent(messages, schema)) + TokenUse(output=min(said, max_tokens))
            self.calls += 1
            self.waiting.append(Asked(messages=tuple(messages), max_tokens=max_tokens, schema=schema))
            self.characters += sum(len(one.content) for one in messages)
            self.use += use
            self._made[key] = Completion(text=text, use=use, model=self.name)
        return self._made[key]

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> list[Completion]:
        """As `complete` for each prompt."""
        before = self.calls
        made = [self.complete(one, max_tokens=max_tokens, temperature=temperature, schema=schema) for one in prompts]
        if self.calls > before:
            self.groups.append(self.calls - before)
        return made

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        """As `complete`, in one piece."""
        found = self.complete(messages, max_tokens=max_tokens, temperature=temperature)
        yield from (found.text, found)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """See `Generator.count_tokens`."""
        return self.inner.count_tokens(messages)

    def _as_sent(self, messages: Sequence[Message], schema: Schema | None) -> Sequence[Message]:
        told = getattr(self.inner.inner, "as_sent", None)
        return messages if told is None else told(messages, schema)

    def _prompt_use(self, messages: Sequence[Message]) -> TokenUse:
        """The prompt's tokens; those of a long beginning that was sent before are cached where the provider has a price for that."""
        total = self.inner.count_tokens(messages)
        beginning = messages[0].content
        cached = 0
        if beginning in self._beginnings and self.inner.price.cached != self.inner.price.input:
            long = self.inner.count_tokens(messages[:1])
            cached = long if long >= CACHED_FROM else 0
        self._beginnings.add(beginning)
        return TokenUse(input=total - cached, cached=cached)

    def _text(self, schema: Schema | None) -> str:
        plain = " ".join(["word"] * self._words)
        return plain if schema is None else json.dumps(_instance(schema, plain))


def _instance(schema: Mapping[str, Any], text: str) -> Any:
    """A plain value that is valid under the schemas that candidates use: objects, lists of one, the middle choice, numbers, texts."""
    if "enum" in schema:
        choices = sorted(schema["enum"], key=len)
        return choices[len(choices) // 2]
    kind = schema.get("type")
    if kind == "object":
        return {name: _instance(one, text) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), text)]
    return {"integer": 1, "number": 1, "boolean": True, "null": None}.get(str(kind), text)
