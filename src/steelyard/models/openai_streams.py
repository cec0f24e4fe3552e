"""Streamed answers of an OpenAI-compatible server, piece by piece, and how one is known to be whole."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import nullcontext
from typing import Any

from steelyard.models.openai_calls import Calls
from steelyard.models.openai_replies import check_filter, read_use
from steelyard.schema.errors import GeneratorError
from steelyard.schema.generation import TokenUse


class Reading:
    """One open stream: its pieces, and what came with them."""

    def __init__(self, calls: Calls, chunks: Any) -> None:
        self.finish: str | None = None
        self.model = ""
        self.use: TokenUse | None = None
        self.choices = 0
        self._calls, self._chunks = calls, chunks
        self._pieces = self._read()

    def next_piece(self) -> str | None:
        """The next piece of text that is not empty; None at the end of a whole answer.

        Raises:
            GeneratorError: it broke off (`generator.cut`), or ended without a choice (`generator.empty`).
        """
        return next(self._pieces, None)

    def _read(self) -> Generator[str, None, None]:
        place = self._calls.place
        try:
            for chunk in self._chunks:
                if piece := self._take(chunk):
                    yield piece
        except self._calls.breaks as error:
            raise _cut(f"{type(error).__name__}", place) from None
        if self.finish is None and self.use is None:
            if not self.choices:
                raise GeneratorError(
                    "the server streamed no choice.",
                    where=place,
                    remedy="Look at the server's log; the model may have failed to load.",
                    code="generator.empty",
                )
            raise _cut("it ended without a finish reason", place)

    def _take(self, chunk: Any) -> str:
        self.model = getattr(chunk, "model", None) or self.model
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self.use = read_use(usage.model_dump() if hasattr(usage, "model_dump") else usage)
        choices = getattr(chunk, "choices", None)
        if not choices:
            return ""
        self.choices += 1
        self.finish = choices[0].finish_reason or self.finish
        check_filter(self.finish, self._calls.place, self.use)
        text = getattr(choices[0].delta, "content", None)
        return text if isinstance(text, str) else ""

    def close(self) -> None:
        """Close the connection; the server stops where it can."""
        self._pieces.close()
        self._chunks.close()


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

    def opened(asked: dict[str, Any]) -> tuple[Reading, str | None]:
        reading = Reading(calls, calls.open_stream(asked))
        try:
            return reading, reading.next_piece()
        except BaseException:
            reading.close()
            raise

    with calls.gate:
        # The place is kept until the stream ends, however often it is opened.
        (reading, piece), notes = calls.tried(form, opened, gate=nullcontext())
        try:
            while piece is not None:
                given.append(piece)
                yield piece
                piece = reading.next_piece()
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
