"""Prompts as files of the package: named, versioned by their content, with data fenced off from instructions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeVar

from steelyard.candidates.interface import Tools
from steelyard.models.generation import Generator, Schema
from steelyard.models.metering import Meter
from steelyard.schema.errors import CannotBuildError, GeneratorError, ModelError, UserError
from steelyard.schema.generation import Completion, Message, TokenUse
from steelyard.schema.outputs import Usage

T = TypeVar("T")

TURN = "==== user ====\n"
"""The line of a prompt file between what the system says and what the user says."""

FENCE_DIGITS = 16
"""Hex digits of a fence: 64 bits, so that no document can be written to contain the hash that its own text enters."""

INVALID = "generator.invalid_json"
"""The code of the error that says: no answer took the form that was asked for."""

UNANSWERED = frozenset({INVALID, "generator.too_long"})
"""Errors that concern one prompt alone: it has no answer, and the others may have."""

ANSWERS_AT_ONCE = 16
"""Prompts handed to the generator together while fitting; what a spend cap or a broken connection can lose at most."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt file: its name, the start of the SHA-256 of its text, and the text itself, a Jinja template for two messages."""

    name: str
    version: str
    text: str

    @property
    def label(self) -> str:
        """How reports and traces name it: `classify@1a2b3c4d5e6f`."""
        return f"{self.name}@{self.version}"

    def messages(self, **values: Any) -> tuple[Message, Message]:
        """The system and the user message with `values` put in; a value is text and is never read as a template.

        Raises:
            jinja2.UndefinedError: the file uses a name that `values` lacks.
        """
        system, _, user = self.text.partition(TURN)
        return (
            Message(role="system", content=_template(system).render(**values).strip()),
            Message(role="user", content=_template(user).render(**values).strip()),
        )


@lru_cache(maxsize=32)
def load_prompt(name: str) -> Prompt:
    """The prompt file of that name.

    Raises:
        FileNotFoundError: the package has no such prompt.
    """
    text = (files("steelyard.candidates") / "prompts" / f"{name}.j2").read_text("utf-8")
    return Prompt(name=name, version=hashlib.sha256(text.encode()).hexdigest()[:12], text=text)


def fence(*texts: str) -> str:
    """A mark that stands in none of `texts` and that nobody could have written into them; the same for the same texts.

    It is a hash over all of them, so a text that holds it would have to hold its own hash; the same data gives the same prompt, which
    can therefore be kept and read from a provider's cache.
    """
    digest = hashlib.sha256("\0".join(texts).encode())
    while any((mark := digest.hexdigest()[:FENCE_DIGITS]) in text for text in texts):
        digest.update(b"again")
    return mark


class Asking:
    """The calls that one output or one fit makes: what came back, what it used, and what was decided on the way.

    Raises:
        UserError: the settings name no generator.
    """

    def __init__(self, tools: Tools, name: str) -> None:
        if tools.generator is None:
            raise UserError(
                "there is no generator.",
                where=f"candidate {name}",
                remedy="Set [models] generator in steelyard.toml.",
                code="candidate.no_generator",
            )
        self.generator: Generator = tools.generator
        self._completions: list[Completion] = []
        self._lost = TokenUse()
        self._said: list[str] = []

    def texts(self, prompts: Sequence[Sequence[Message]], *, max_tokens: int, schema: Schema) -> list[str | None]:
        """The answer to each prompt, None where it never took the form of the schema.

        Raises:
            GeneratorError: a call failed otherwise.
            StoppedError: no call can succeed now; answers that came before are kept.
        """
        if len(prompts) > 1:
            try:
                found = self.generator.complete_many(prompts, max_tokens=max_tokens, schema=schema)
            except GeneratorError as error:
                if error.code not in UNANSWERED:
                    raise
                # Which one it was is not said; those that were answered are kept and cost nothing again.
            else:
                self._completions += found
                return [_whole(one) for one in found]
        return [self._text(prompt, max_tokens, schema) for prompt in prompts]

    def _text(self, prompt: Sequence[Message], max_tokens: int, schema: Schema) -> str | None:
        try:
            found = self.generator.complete(prompt, max_tokens=max_tokens, schema=schema)
        except GeneratorError as error:
            if error.code not in UNANSWERED:
                raise
            self._lost += error.use or TokenUse()
            self._said.append(error.message)
            return None
        self._completions.append(found)
        return _whole(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the generator decided on the way, and why a prompt has no answer, for the trace."""
        return (*(note for one in self._completions for note in one.notes), *self._said)

    def require_room(self, prompts: Sequence[Sequence[Message]], max_tokens: int, name: str) -> None:
        """Nothing, when at least half of the prompts fit the model's context with room for the answer.

        Raises:
            CannotBuildError: they do not; the message has the count of tokens.
        """
        tokens = sorted(self.generator.count_tokens(prompt) for prompt in prompts)
        if tokens and tokens[len(tokens) // 2] + max_tokens > self.generator.context_tokens:
            raise CannotBuildError(
                f"prompts take {tokens[len(tokens) // 2]:,} tokens and answers up to {max_tokens:,}; {self.generator.name} takes "
                f"{self.generator.context_tokens:,}.",
                where=f"candidate {name}",
                remedy="Take a model with a larger context; `context_tokens` under [models.generator] says how large it is.",
                code="candidate.prompt_too_long",
            )

    def usage(self, meter: Meter) -> Usage:
        """What all calls used; a kept answer counts as when it was made, for that is what serving it would take."""
        use = sum((one.use for one in self._completions), self._lost)
        return Usage(
            tokens_in=use.input,
            tokens_cached=use.cached,
            tokens_out=use.output,
            encoder_tokens=meter.usage.encoder_tokens,
            seconds=meter.usage.seconds,
            generator_s=sum(one.seconds for one in self._completions),
            usd=sum(one.usd for one in self._completions),
        )


def _whole(completion: Completion) -> str | None:
    """The text, None where it was cut off: half an answer is none."""
    return None if completion.finish == "length" else completion.text


def made_with(prompt: Prompt, generator: Generator) -> dict[str, str]:
    """What a report says of how a candidate asks: its prompt's name and version, the prompt's text, and the generator."""
    return {"prompt": prompt.label, "text": prompt.text, "generator": generator.name}


def same_making(meta: dict[str, Any], name: str, prompt: Prompt, generator: Generator, where: str) -> None:
    """Nothing, when a saved candidate is `name`, made with this prompt and this generator.

    Raises:
        ModelError: it was calibrated with another prompt or another model, whose confidence means something else.
    """
    made = (meta.get("candidate"), meta.get("prompt"), meta.get("generator"))
    if made != (name, prompt.label, generator.name):
        raise ModelError(
            f"this is '{made[0]}' made with prompt {made[1]} and {made[2]}, not '{name}' with {prompt.label} and {generator.name}.",
            where=where,
            remedy="Train it again with this generator.",
            code="candidate.other_artefact",
        )


def read_object(text: str) -> dict[str, Any] | None:
    """The JSON object that an answer is, None where it is anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def batches(rows: Sequence[Any], size: int = ANSWERS_AT_ONCE) -> list[Sequence[Any]]:
    """`rows` in order, in parts of at most `size`.

    >>> batches([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def stepped(rows: Sequence[T], most: int) -> list[T]:
    """At most `most` of `rows`, at even steps and in order.

    >>> stepped([1, 2, 3, 4], 2)
    [1, 3]
    """
    return [rows[len(rows) * at // most] for at in range(most)] if len(rows) > most else list(rows)


@lru_cache(maxsize=64)
def _template(text: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    # Not HTML: nothing is escaped, and what is data is fenced.
    return Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False).from_string(
        text
    )
