"""Clients that stream one answer after the other from a served workspace, and keep what they were told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic

from steelyard.evaluation.load_client import ANSWER_S, Call, Connection

CLIENTS = 50

CALM_S = 15.0
"""How long after a kill or a restart a broken connection is put down to it."""

SLOTS = {"name": "Kim", "agent": "Lee"}

RETRY_S = 0.2

Cited = tuple[str, str, int, int, str]
"""Document, version, first and last character, and the quote."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One answer that a client read to its end; `begun` and `ended` are on the clock of `monotonic`."""

    begun: float
    ended: float
    trace: str
    groups: tuple[str, ...]
    release: int | None
    generation: int
    parts: tuple[str, ...]
    cited: tuple[str, ...]


@dataclass(kw_only=True)
class Seen:
    """What the clients saw: answers, what they cited, and what broke; `shocks` are kills and restarts, each from when to when."""

    told: list[Told] = field(default_factory=list)
    places: set[Cited] = field(default_factory=set)
    broken: list[tuple[float, str]] = field(default_factory=list)
    shocks: list[tuple[float, float]] = field(default_factory=list)

    def unexplained(self) -> list[str]:
        """Failures that no kill and no restart explains: those before one, or long after its end."""
        return [why for at, why in self.broken if not any(begun <= at <= end + CALM_S for begun, end in self.shocks)]


Key = tuple[str, tuple[str, ...]]
"""A key, and the groups that it stands for."""


def stream_on(url: str, keys: Sequence[Key], questions: Sequence[str], seen: Seen, stop: threading.Event) -> None:
    """CLIENTS clients, each with the next of the keys, stream until `stop` is set; what they see is added to `seen`."""
    asyncio.run(_all(url, keys, questions, seen, stop))


async def _all(url: str, keys: Sequence[Key], questions: Sequence[str], seen: Seen, stop: threading.Event) -> None:
    asked = cycle(questions)
    clients = (keys[number % len(keys)] for number in range(CLIENTS))
    await asyncio.gather(*(_client(url, key, groups, asked, seen, stop) for key, groups in clients))


async def _client(
    url: str, key: str, groups: tuple[str, ...], asked: Iterator[str], seen: Seen, stop: threading.Event
) -> None:
    connection, answered = Connection(url, key), False
    while not stop.is_set():
        body = {
            "model": "steelyard",
            "stream": True,
            "messages": [{"role": "user", "content": next(asked)}],
            "steelyard": {"slots": SLOTS},
        }
        begun = monotonic()
        try:
            status, payload = await asyncio.wait_for(
                connection.post(Call(path="/v1/chat/completions", body=body)), ANSWER_S
            )
            told, places = _told(status, payload, groups, begun)
            seen.told.append(told)
            seen.places |= places
            answered = True
        except (OSError, EOFError, ValueError, KeyError, TimeoutError) as error:
            if answered and not stop.is_set():  # the server has not started yet before the first answer
                seen.broken.append((max(begun, monotonic()), repr(error)))
            await asyncio.sleep(RETRY_S)
    connection.close()


def _told(status: int, payload: bytes, groups: tuple[str, ...], begun: float) -> tuple[Told, set[Cited]]:
    if status != 200:
        raise ValueError(f"{status} {payload[:200]!r}")
    events = [line[6:] for line in payload.decode().splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        raise ValueError("the stream was cut")
    extra = json.loads(events[-2])["steelyard"]
    told = Told(
        begun=begun,
        ended=monotonic(),
        trace=extra["trace_id"],
        groups=groups,
        release=extra["release"],
        generation=extra["generation"],
        parts=tuple(part["name"] for part in extra["parts"]),
        cited=tuple(place["document"] for place in extra["citations"]),
    )
    names = ("document", "version", "start", "end", "quote")
    return told, {tuple(place[name] for name in names) for place in extra["citations"]}
