"""Streamed answers of an OpenAI-compatible server, piece by piece, and how one is known to be whole."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from itertools import chain
from typing import Any

from steelyard.models.openai_calls import Calls
from steelyard.models.openai_replies import check_filter, read_use, told
from steelyard.schema.errors import GeneratorError
from steelyard.schema.generation import TokenUse


class Reading:
    """One open stream: its pieces, and what came with them."""

    def __init__(self, calls: Calls, form: Mapping[str, Any]) -> None:
        self.finish: str | None = None
        self.model = ""
        self.use: TokenUse | None = None
        self._choices = 0
        self._calls = calls
        self._open = ExitStack()
        self._lines = self._open.enter_context(calls.open_stream(form))

    def pieces(self) -> Iterator[str]:
        """The pieces of text that are not empty.

        Raises:
            GeneratorError: the stream broke off (`generator.cut`), or ended without a choice (`generator.empty`).
        """
        place = self._calls.place
        try:
            for line in self._lines:
                if line.startswith("data:"):
                    data = line[5:].lstrip()
                    if data == "[DONE]":
                        self._read_out()
                        break
                    if piece := self._take(json.loads(data)):
                        yield piece
        except ValueError:
            raise _cut("it sent what is not JSON", place) from None
        except self._calls.breaks as error:
            raise _cut(type(error).__name__, place) from None
        if self.finish is None and self.use is None:
            if not self._choices:
                raise GeneratorError(
                    "the server streamed no choice.",
                    where=place,
                    remedy="Look at the server's log; the model may have failed to load.",
                    code="generator.empty",
                )
            raise _cut("it ended without a finish reason", place)

    def _read_out(self) -> None:
        """Read what is left after the answer: only then can the connection serve the next call."""
        with suppress(*self._calls.breaks):
            for _ in self._lines:
                pass

    def _take(self, chunk: Any) -> str:
        if not isinstance(chunk, dict):
            raise _cut("it sent what is no chunk of an answer", self._calls.place)
        if "error" in chunk:
            raise _cut(self._calls.hidden(told(chunk)), self._calls.place)
        self.model = chunk.get("model") or self.model
        if chunk.get("usage"):
            self.use = read_use(chunk["usage"])
        choices = chunk.get("choices")
        if not choices:
            return ""
        self._choices += 1
        self.finish = choices[0].get("finish_reason") or self.finish
        check_filter(self.finish, self._calls.place, self.use)
        text = (choices[0].get("delta") or {}).get("content")
        return text if isinstance(text, str) else ""

    def close(self) -> None:
        """Close the connection; the server stops where it can."""
        self._open.close()


Whole = tuple[str, str | None, str, TokenUse | None, tuple[str, ...]]
"""Text, finish reason, model, tokens and notes of an answer."""


def read_stream(calls: Calls, request: Mapping[str, Any], given: list[str]) -> Generator[str, None, Whole]:
    """Yields the pieces of a streamed answer, each put into `given` first, and returns the whole.

    Until the first piece the call is tried again as any other.

    Raises:
        GeneratorError: as `Calls.tried`; it broke off: `generator.cut`.
        StoppedError: as `Calls.tried`.
    """
    form = {**request, "stream": True, "stream_options": {"include_usage": True}}

    def opened(asked: dict[str, Any]) -> tuple[Reading, Iterator[str]]:
        reading = Reading(calls, asked)
        try:
            pieces = reading.pieces()
            first = next(pieces, None)
            return reading, pieces if first is None else chain((first,), pieces)
        except BaseException:
            reading.close()
            raise

    with calls.gate:
        # The place is kept until the stream ends, however often it is opened.
        (reading, pieces), notes = calls.tried(form, opened, gate=nullcontext())
        try:
            for piece in pieces:
                given.append(piece)
                yield piece
        finally:
            reading.close()
    return "".join(given), reading.finish, reading.model, reading.use, notes


def _cut(how: str, place: str) -> GeneratorError:
    return GeneratorError(
        f"the stream broke off: {how}.",
        where=place,
        remedy="Ask again; look at the server's log if it happens often.",
        code="generator.cut",
    )
