"""Any OpenAI-compatible server as a generator: hosted providers, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.config import GeneratorSettings
from steelyard.models.backing_off import Gate
from steelyard.models.generation import Schema
from steelyard.models.json_answers import complete_valid, holds_strictly, read_answer, with_instructions
from steelyard.models.openai_calls import Calls, Quirks
from steelyard.models.openai_replies import is_same_model, read_completion
from steelyard.models.openai_streams import read_stream
from steelyard.models.prompt_tokens import PromptTokens
from steelyard.schema.errors import GeneratorError, StoppedError
from steelyard.schema.generation import Completion, Message, TokenUse

DEFAULT_CONTEXT = 8192
"""Tokens that nearly every model in use can read; taken where neither the settings nor the server say."""

CHARS_PER_TOKEN = 4.0
"""Characters of English prose a token, over the usual tokenizers."""

TOKENS_PER_MESSAGE = 4
"""What chat templates add around a message."""


class OpenAIGenerator:
    """A model behind an OpenAI-compatible endpoint, through the `openai` library with its own retries off.

    The constructor connects to nothing and reads no key. The key comes from the environment variable at the first call; it stands in no
    file, log or error. Safe for several threads.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._model = settings.model or ""
        self._base = (settings.base_url or "").rstrip("/")
        self._gate = Gate(settings.concurrency)
        self._quirks = Quirks(prompted_schema=settings.json_schema == "prompt")
        self._tokens = PromptTokens(Path(settings.tokenizer)) if settings.tokenizer else None
        self._lock = threading.Lock()
        self._made: Calls | None = None

    @property
    def name(self) -> str:
        """`openai:MODEL@HOST`."""
        host = self._base.split("://", 1)[-1].split("/", 1)[0]
        return f"openai:{self._model}@{host}"

    @property
    def place(self) -> str:
        """Address and model, for errors."""
        return f"{self._base} {self._model}"

    @cached_property
    def context_tokens(self) -> int:
        """The settings' number, else what the server's list of models says, else 8192."""
        if self._settings.context_tokens:
            return self._settings.context_tokens
        row = next((one for one in self.calls.listed() if one.get("id") == self._model), {})
        meta = row.get("meta")
        found = row.get("max_model_len") or row.get("context_length") or row.get("context_window")
        found = found or (meta.get("n_ctx") if isinstance(meta, Mapping) else None)
        return found if isinstance(found, int) and found > 0 else DEFAULT_CONTEXT

    @property
    def calls(self) -> Calls:
        """The connection, made on first use.

        Raises:
            StoppedError: the environment variable of the key is not set.
        """
        with self._lock:
            if self._made is None:
                self._made = Calls(self._settings, self._base, self._key(), self._gate, self.place, self._quirks)
            return self._made

    def _key(self) -> str:
        variable = self._settings.key_env
        if variable is None:
            return "none"  # the library insists on a key; servers that need none ignore it
        key = os.environ.get(variable, "").strip()
        if not key:
            raise StoppedError(
                f"the environment variable {variable} is not set; it should hold the key of the generator.",
                where="steelyard.toml [models.generator] key_env",
                remedy=f"Set it for this shell: export {variable}=...",
                code="generator.no_key",
            )
        return key

    def served_models(self) -> list[str]:
        """The names that the server lists; [] where it has no list.

        Raises:
            StoppedError: no key, a refused key, or nobody answers.
        """
        return [str(one["id"]) for one in self.calls.listed(strict=True) if "id" in one]

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> Completion:
        """See `Generator.complete`."""
        if schema is None:
            return self._ask(messages, max_tokens, temperature, None)
        wanted = schema

        def ask(asked: Sequence[Message]) -> Completion:
            if self._quirks.prompted_schema:
                return self._ask(with_instructions(asked, wanted), max_tokens, temperature, None)
            found = self._ask(asked, max_tokens, temperature, _response_format(wanted))
            self._note_schema(found, wanted)
            return found

        return complete_valid(ask, messages, schema, self.place)

    def _note_schema(self, found: Completion, schema: Schema) -> None:
        """Put schemas into prompts from now on where the server took one and did not hold the answer to it."""
        if self._settings.json_schema == "auto" and found.finish == "stop" and read_answer(found.text, schema)[1]:
            self._quirks.prompted_schema = True

    def _ask(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, form: Mapping[str, Any] | None
    ) -> Completion:
        calls = self.calls  # what is loaded once is no part of an answer's time
        begin = perf_counter()
        request = self._request(messages, max_tokens, temperature, form)
        (text, finish, answered, use), notes = calls.post(request, lambda body: read_completion(body, self.place))
        found = self._completion(messages, text, finish, answered, use)
        return replace(found, seconds=perf_counter() - begin, notes=(*notes, *found.notes))

    def _request(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, form: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        request = {
            "model": self._model,
            "messages": [one.to_json() for one in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        return request if form is None else {**request, "response_format": form}

    def _completion(
        self, messages: Sequence[Message], text: str, finish: str | None, answered: str, use: TokenUse | None
    ) -> Completion:
        expected = self._settings.answers_as or self._model
        if not is_same_model(expected, answered):
            raise StoppedError(
                f"the server answered with another model: asked for '{self._model}', got '{answered}'.",
                where=self.place,
                remedy=f'Write model = "{answered}", or answers_as = "{answered}" if that is the same model.',
                code="generator.other_model",
            )
        notes: tuple[str, ...] = ()
        if use is None:
            said = Message(role="assistant", content=text)
            use = TokenUse(input=self.count_tokens(messages), output=self.count_tokens([said]))
            notes = ("the server told no token counts; they are estimated from characters",)
        return Completion(
            text=text,
            use=use,
            model=answered or self._model,
            finish="length" if finish == "length" else "stop",
            notes=notes,
        )

    def complete_many(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        schema: Schema | None = None,
    ) -> list[Completion]:
        """See `Generator.complete_many`; as many at a time as `concurrency` says."""
        if not prompts:
            return []
        with ThreadPoolExecutor(min(len(prompts), self._settings.concurrency), "steelyard-generator") as pool:
            waiting = [
                pool.submit(self.complete, one, max_tokens=max_tokens, temperature=temperature, schema=schema)
                for one in prompts
            ]
            try:
                return [one.result() for one in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> Iterator[str | Completion]:
        """See `Generator.stream`.

        A stream that breaks off is asked for again in one piece. Where that begins with what was given, the rest follows and the
        completion's notes say so; else the error has code `generator.cut`.
        """
        calls = self.calls
        begin = perf_counter()
        request = self._request(messages, max_tokens, temperature, None)
        given: list[str] = []
        try:
            text, finish, answered, use, notes = yield from read_stream(calls, request, given)
            found = self._completion(messages, text, finish, answered, use)
            yield replace(found, seconds=perf_counter() - begin, notes=(*notes, *found.notes))
        except GeneratorError as error:
            if error.code != "generator.cut":
                raise
            whole = self._ask_again(messages, max_tokens, temperature, "".join(given), error)
            if rest := whole.text[len("".join(given)) :]:
                yield rest
            yield replace(whole, seconds=perf_counter() - begin)

    def _ask_again(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, given: str, cut: GeneratorError
    ) -> Completion:
        estimate = TokenUse(
            input=self.count_tokens(messages), output=self.count_tokens([Message(role="assistant", content=given)])
        )
        cut.use = estimate
        try:
            whole = self._ask(messages, max_tokens, temperature, None)
        except (GeneratorError, StoppedError):
            raise cut from None
        if not whole.text.startswith(given):
            cut.use = estimate + whole.use
            raise cut
        note = f"the stream broke off after {len(given)} characters; the answer was asked for again in one piece"
        return replace(whole, use=estimate + whole.use, notes=(*whole.notes, note))

    @property
    def counts_exactly(self) -> bool:
        """Whether `count_tokens` uses the model's own tokenizer: where the settings name its file."""
        return self._tokens is not None

    def as_sent(self, messages: Sequence[Message], schema: Schema | None) -> Sequence[Message]:
        """The conversation as the server gets it: with the schema in it where the server is not held to one."""
        return with_instructions(messages, schema) if schema is not None and self._quirks.prompted_schema else messages

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """By the tokenizer that the settings name; else an estimate: four characters a token, and four tokens around each message."""
        if self._tokens is not None:
            return self._tokens.count(messages)
        return sum(TOKENS_PER_MESSAGE + round(len(one.content) / CHARS_PER_TOKEN) for one in messages)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None


def _response_format(schema: Schema) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": dict(schema), "strict": holds_strictly(dict(schema))},
    }
