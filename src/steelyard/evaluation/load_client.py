"""A load client: many connections to one HTTP server, as fast as it answers, or at a rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

ANSWER_S = 60.0
"""An answer that takes longer counts as failed."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: where it goes and what it says."""

    path: str
    body: Mapping[str, Any]


@dataclass(kw_only=True)
class Load:
    """What came of a load: milliseconds of each answer (at a rate: from when it was due), and the reason of each failure."""

    seconds: float = 0.0
    ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.ms) / self.seconds if self.seconds else 0.0

    def quantile_ms(self, share: float) -> float:
        """The latency that this share of the answers stays under; infinite when nothing was answered."""
        ranked = sorted(self.ms)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("inf")


class Connection:
    """One kept connection of HTTP/1.1; nothing but what a load needs, so that the client takes little of the machine."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, call: Call) -> tuple[int, bytes]:
        """Send one request and read the whole answer: its status and its body.

        Raises:
            OSError, asyncio.IncompleteReadError, ValueError: the connection broke, or it does not speak HTTP.
        """
        body = json.dumps(call.body).encode()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        head = f"POST {call.path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        try:
            self._writer.write(head.encode() + body)
            return await self._answer()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _answer(self) -> tuple[int, bytes]:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        if "content-length" in fields:
            body = await self._reader.readexactly(int(fields["content-length"]))
        else:
            body = b"".join([piece async for piece in self._chunks()])
        if fields.get("connection") == "close":
            self.close()
        return status, body

    async def _chunks(self) -> Any:
        assert self._reader is not None
        while True:
            size = int(await self._reader.readline(), 16)
            piece = await self._reader.readexactly(size + 2)
            if not size:
                return
            yield piece[:-2]


def flood(url: str, key: str, calls: Iterator[Call], *, connections: int, seconds: float) -> Load:
    """As many answers as the server gives: every connection asks again as soon as it was answered."""
    return asyncio.run(_flood(url, key, calls, connections, seconds))


def paced(url: str, key: str, calls: Iterator[Call], *, connections: int, seconds: float, rate: float) -> Load:
    """`rate` requests a second, sent when they are due whether or not earlier ones were answered, as far as connections allow.

    Time that a request waits for a connection is part of its latency, so a server that falls behind cannot hide it.
    """
    return asyncio.run(_paced(url, key, calls, connections, seconds, rate))


async def _flood(url: str, key: str, calls: Iterator[Call], connections: int, seconds: float) -> Load:
    load, begin = Load(), perf_counter()

    async def ask_on() -> None:
        connection = Connection(url, key)
        while perf_counter() - begin < seconds:
            await _one(connection, next(calls), load, perf_counter())
        connection.close()

    await asyncio.gather(*(ask_on() for _ in range(connections)))
    load.seconds = perf_counter() - begin
    return load


async def _paced(url: str, key: str, calls: Iterator[Call], connections: int, seconds: float, rate: float) -> Load:
    load, begin = Load(), perf_counter()
    due = iter(begin + number / rate for number in range(int(seconds * rate)))

    async def ask_on() -> None:
        connection = Connection(url, key)
        for moment in due:
            await asyncio.sleep(max(0.0, moment - perf_counter()))
            await _one(connection, next(calls), load, moment)
        connection.close()

    await asyncio.gather(*(ask_on() for _ in range(connections)))
    load.seconds = perf_counter() - begin
    return load


async def _one(connection: Connection, call: Call, load: Load, since: float) -> None:
    try:
        status, body = await asyncio.wait_for(connection.post(call), ANSWER_S)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        load.failed.append(repr(error))
        return
    if status == 200:
        load.ms.append((perf_counter() - since) * 1000)
    else:
        load.failed.append(f"{status} {body[:200]!r}")


Ask = Callable[[str], Call]
"""A question made into a request."""


def distinct(questions: Sequence[str], ask: Ask, numbers: Iterator[int]) -> Iterator[Call]:
    """Requests without end, each with words of its own, so that no memory of earlier questions answers.

    The questions in turn, each time mistyped in another way, so that they are as long as people's own: with one slip the example's have
    17.4 tokens instead of 15.9. `numbers` counts what was asked before, by whichever iterator.
    """
    own = list(dict.fromkeys(questions))
    for number in numbers:
        yield ask(slipped(own[number % len(own)], number // len(own)))


def slipped(question: str, turn: int) -> str:
    """A question as somebody mistypes it: two letters swapped, one left out or one doubled, and from some turn on twice.

    No single slip comes twice; of two slips together some do, tens of turns later.

    >>> slipped("Who pays?", 0), slipped("Who pays?", 1), slipped("12?", 3)
    ('Woh pays?', 'Who pyas?', '12? 3')
    """
    ways = len(_spots(question)) * len(SLIPS)
    if not ways:
        return f"{question} {turn}"
    again, first = divmod(turn, ways)
    once = _slip(question, first)
    twice = once if not again else _slip(once, again - 1)
    return twice if twice != question else once  # the second slip mended the first


SLIPS = ("swapped", "left out", "doubled")


def _spots(question: str) -> list[int]:
    """Where a slip shows: inside a word, before a letter of another kind."""
    return [
        at
        for at in range(1, len(question) - 1)
        if question[at - 1 : at + 2].isalpha() and question[at] != question[at + 1]
    ]


def _slip(question: str, way: int) -> str:
    spots = _spots(question)
    if not spots:
        return f"{question} {way}"
    kind, place = divmod(way % (len(spots) * len(SLIPS)), len(spots))
    at = spots[place]
    slip = {
        "swapped": question[at + 1] + question[at],
        "left out": question[at + 1],
        "doubled": question[at] * 2 + question[at + 1],
    }
    return question[:at] + slip[SLIPS[kind]] + question[at + 2 :]
