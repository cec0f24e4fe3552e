"""A simulated language model: a generator whose answers a test scripts as a function of the prompt. It is no model and knows nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence

from steelyard.models.generation import Schema
from steelyard.schema.errors import GeneratorError
from steelyard.schema.generation import Completion, Message, TokenUse

Script = Callable[[Sequence[Message]], object]
"""From a prompt to the answer: a text, or anything that is written as JSON. The text "invalid" stands for no valid answer."""

FENCED = re.compile(r"^([0-9a-f]{16}) (.*)$", re.MULTILINE)


class SimulatedGenerator:
    """Keeps the prompts it was given in `prompts`; a word is a token, and a token of input costs a millionth of a USD, of output four."""

    def __init__(self, script: Script, *, name: str = "simulated", context_tokens: int = 100_000) -> None:
        self.name = name
        self.context_tokens = context_tokens
        self.prompts: list[Sequence[Message]] = []
        self._script = script

    def complete(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0, schema: Schema | None = None
    ) -> Completion:
        self.prompts.append(tuple(messages))
        said = self._script(messages)
        text = said if isinstance(said, str) else json.dumps(said)
        use = TokenUse(input=self.count_tokens(messages), output=len(text.split()))
        if text == "invalid":
            raise GeneratorError("no valid JSON in 3 answers.", code="generator.invalid_json")
        usd = (use.input + 4 * use.output) / 1e6
        return Completion(text=text, use=use, seconds=0.25, usd=usd, model=self.name)

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> list[Completion]:
        return [self.complete(one, max_tokens=max_tokens, temperature=temperature, schema=schema) for one in prompts]

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        found = self.complete(messages, max_tokens=max_tokens, temperature=temperature)
        yield from (found.text, found)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)


def fenced(messages: Sequence[Message], kind: str) -> list[str]:
    """The texts of a prompt that stand behind fences whose line begins with `kind`: `message`, `question`, `passage`, ..."""
    text = "\n".join(message.content for message in messages)
    marks = list(FENCED.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=False) if mark[2].startswith(kind)]
