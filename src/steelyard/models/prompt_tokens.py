"""Counts the tokens of conversations by a tokenizer's file, where the model itself is elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from steelyard.schema.errors import StoppedError
from steelyard.schema.generation import Message

AROUND_MESSAGE = 4
"""Tokens that a chat template puts around a message, where the file brings none: a mark, the role, a line's end, and the end."""


class PromptTokens:
    """The tokenizer of a `tokenizer.json`, or of a folder with one. The folder's chat template is used where it has one.

    Nothing is read until the first count.

    Raises (at the first count):
        StoppedError: there is no such file, or it is no tokenizer.
    """

    def __init__(self, path: Path) -> None:
        self._file = path / "tokenizer.json" if path.is_dir() else path

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt up to where the answer begins; of a lone message of the assistant, those of an answer with its end."""
        if len(messages) == 1 and messages[0].role == "assistant":
            return self._length(messages[0].content) + 1
        if self._template is None:
            return sum(AROUND_MESSAGE + self._length(one.content) for one in messages)
        rows = [one.to_json() for one in messages]
        return self._length(self._template.render(messages=rows, add_generation_prompt=True, **self._special))

    def _length(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            found = Tokenizer.from_file(str(self._file))
        except Exception as error:  # the library raises nothing narrower
            raise StoppedError(
                f"the tokenizer cannot be read: {error}.",
                where=str(self._file),
                remedy="Name the tokenizer.json of the endpoint's model as tokenizer under [models.generator], or take the line out.",
                code="generator.bad_tokenizer",
            ) from error
        # Some files pad or cut by themselves.
        found.no_padding()
        found.no_truncation()
        return found

    @cached_property
    def _settings(self) -> dict[str, Any]:
        path = self._file.with_name("tokenizer_config.json")
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def _special(self) -> dict[str, str]:
        """The marks that templates name."""
        found = {}
        for name in ("bos_token", "eos_token"):
            value = self._settings.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            found[name] = value if isinstance(value, str) else ""
        return found

    @cached_property
    def _template(self) -> Any:
        path = self._file.with_name("chat_template.jinja")
        text = path.read_text(encoding="utf-8") if path.is_file() else self._settings.get("chat_template")
        if not isinstance(text, str):
            return None
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # A template is code of the model's maker: it may shape text and nothing else.
        return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(text)
