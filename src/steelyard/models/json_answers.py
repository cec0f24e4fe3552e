"""Answers that must be JSON: what the prompt says of the schema, how an answer is read, and what is asked again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from steelyard.models.generation import Schema
from steelyard.schema.errors import GeneratorError
from steelyard.schema.generation import Completion, Message, TokenUse

TRIES = 3
"""Calls for one valid answer: the first, and two that are told what was wrong."""

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL)


def with_instructions(messages: Sequence[Message], schema: Schema) -> list[Message]:
    """The conversation with the schema written into its first system message, for servers that do not hold answers to one.

    The end of the prompt stays as it was, and its beginning is the same for every prompt with this schema, so providers can cache it.
    """
    told = (
        f"Answer with one JSON value and nothing else. It must be valid under this JSON schema:\n{json.dumps(schema)}"
    )
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n\n{told}")
        return [first, *messages[1:]]
    return [Message(role="system", content=told), *messages]


def read_answer(text: str, schema: Schema) -> tuple[str, str | None]:
    """The JSON text of an answer, without a code fence around it, and what is wrong with it (None: nothing)."""
    import jsonschema  # type: ignore[import-untyped]

    fenced = _FENCE.match(text)
    plain = (fenced.group(1) if fenced else text).strip()
    try:
        value = json.loads(plain)
    except ValueError as error:
        return plain, f"it is not JSON: {error}"
    wrong = jsonschema.Draft202012Validator(schema).iter_errors(value)
    first = min(wrong, key=lambda one: (len(one.absolute_path), list(map(str, one.absolute_path))), default=None)
    if first is None:
        return plain, None
    return plain, f"{first.json_path}: {first.message}"


def holds_strictly(schema: Any) -> bool:
    """Whether every object in the schema names all its keys as required and allows no others, as strict servers demand."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "properties" in schema:
            keys = set(schema.get("properties", {}))
            if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != keys:
                return False
        return all(map(holds_strictly, schema.values()))
    return all(map(holds_strictly, schema)) if isinstance(schema, list) else True


def complete_valid(
    ask: Callable[[Sequence[Message]], Completion], messages: Sequence[Message], schema: Schema, place: str
) -> Completion:
    """The first valid answer of up to TRIES calls of `ask`; its tokens, seconds and notes are those of all calls together.

    Raises:
        GeneratorError: none was valid (`generator.invalid_json`), or a call failed.
    """
    use, seconds = TokenUse(), 0.0
    notes: list[str] = []
    asked = list(messages)
    for left in reversed(range(TRIES)):
        try:
            found = ask(asked)
        except GeneratorError as error:
            error.use = use + (error.use or TokenUse())
            raise
        use, seconds = use + found.use, seconds + found.seconds
        notes += found.notes
        text, wrong = read_answer(found.text, schema)
        if wrong is None:
            return replace(found, text=text, use=use, seconds=seconds, notes=tuple(notes))
        if found.finish == "length":
            wrong = f"{wrong} (it was cut at its longest length)"
        if left:
            notes.append(f"the answer was no valid JSON ({wrong}); asked again")
            again = f"That was not valid: {wrong}. Answer with the corrected JSON value and nothing else."
            # An empty message is refused by some servers.
            said = Message(role="assistant", content=found.text or "(nothing)")
            asked = [*messages, said, Message(role="user", content=again)]
    raise GeneratorError(
        f"no valid JSON in {TRIES} answers; the last: {wrong}.",
        where=place,
        remedy="Raise max_tokens if it was cut, or use a model that follows a schema.",
        code="generator.invalid_json",
        use=use,
    )
