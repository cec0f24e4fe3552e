"""The generator benchmark: what our path (meter, ledger, cache, cap, retries) adds to the plain `openai` client on the same server."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.config import GeneratorSettings
from steelyard.evaluation.stream_simulator import MODEL, running_simulator
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import metered_generator
from steelyard.schema.generation import Completion, Message, TokenPrice

STREAMS = 50
"""Streams at a time."""
ROUNDS = 21
"""Rounds of each client, alternating; the figures are medians over them."""
PIECES = 40
PIECE_S = 0.025
"""The simulator's pace: 40 tokens a second, about what a hosted mid-size model streams."""
TOKENS = 64
"""Longest answer where a server of one's own is measured."""

ADDRESS, NAME = "STEELYARD_BENCH_BASE_URL", "STEELYARD_BENCH_MODEL"
"""Environment variables that name a running server and its model; without them the simulator answers."""

Client = Callable[[str], tuple[int, float, float]]
"""Streams the answer to a prompt; gives tokens, seconds to the first piece and seconds to the last."""


def bench_generate(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Rounds of STREAMS concurrent streams by either client; the result is `{"name": "generate", "rows": [...]}`.

    One row a client: tokens a second of all streams together, milliseconds to the first piece and to the end of a stream at p50 and p95,
    all medians over the rounds; then a row with our p95 less the plain client's, the median over pairs of rounds. Needs no data set.
    """
    del data_root, cache
    with _server() as (url, model), tempfile.TemporaryDirectory() as folder:
        settings = GeneratorSettings(
            kind="openai", base_url=url, model=model, concurrency=STREAMS, retries=0, cap_usd=1e9
        )
        ours = metered_generator(
            settings, Path(folder), CallLedger(Path(folder) / "calls.sqlite"), TokenPrice(input=1.0)
        )
        if ours is None:
            raise AssertionError("the settings name one")
        clients: dict[str, Client] = {"plain openai client": _plain(url, model), "steelyard": _ours(ours)}
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
        for client in clients.values():
            _round(client)  # connections and libraries are loaded before anything is timed
        for number in range(ROUNDS):
            order = list(clients) if number % 2 == 0 else list(reversed(clients))
            for name in order:
                rounds[name].append(_round(clients[name]))
            progress(number + 1, ROUNDS)
        ours.ledger.close()
    server = "simulator" if url.startswith("http://127.0.0.1") and model == MODEL else "named server"
    return {"name": "generate", "rows": [*_client_rows(rounds, server), _overhead_row(rounds, server)]}


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """Address and model of the server that the environment names, else of a simulator."""
    if os.environ.get(ADDRESS):
        yield os.environ[ADDRESS], os.environ.get(NAME, "")
        return
    with running_simulator(PIECES, PIECE_S) as url:
        yield url, MODEL


def _plain(url: str, model: str) -> Client:
    import openai

    client = openai.OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0)

    def ask(prompt: str) -> tuple[int, float, float]:
        begin, first, tokens = time.perf_counter(), 0.0, 0
        chunks = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=TOKENS,
            temperature=0.0,
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                first = first or time.perf_counter() - begin
            if chunk.usage is not None:
                tokens = chunk.usage.completion_tokens
        return tokens, first, time.perf_counter() - begin

    return ask


def _ours(generator: Any) -> Client:
    def ask(prompt: str) -> tuple[int, float, float]:
        begin, first, tokens = time.perf_counter(), 0.0, 0
        for piece in generator.stream([Message(role="user", content=prompt)], max_tokens=TOKENS):
            if isinstance(piece, Completion):
                tokens = piece.use.output
            else:
                first = first or time.perf_counter() - begin
        return tokens, first, time.perf_counter() - begin

    return ask


def _round(client: Client) -> dict[str, float]:
    """STREAMS streams that begin together."""
    together = threading.Barrier(STREAMS + 1)

    def one(_: int) -> tuple[int, float, float]:
        prompt = f"Say something about {uuid.uuid4()}."  # never the same, or the second would be kept
        together.wait()
        return client(prompt)

    with ThreadPoolExecutor(STREAMS) as pool:
        waiting = [pool.submit(one, number) for number in range(STREAMS)]
        together.wait()
        begin = time.perf_counter()
        found = [future.result() for future in waiting]
        wall = time.perf_counter() - begin
    firsts, ends = [first for _, first, _ in found], [end for _, _, end in found]
    return {
        "tokens_per_s": sum(tokens for tokens, _, _ in found) / wall,
        "first_p50_ms": 1000 * _quantile(firsts, 0.5),
        "first_p95_ms": 1000 * _quantile(firsts, 0.95),
        "end_p50_ms": 1000 * _quantile(ends, 0.5),
        "end_p95_ms": 1000 * _quantile(ends, 0.95),
    }


def _quantile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def _client_rows(rounds: dict[str, list[dict[str, float]]], server: str) -> Iterator[dict[str, Any]]:
    for name, own in rounds.items():
        medians = {key: round(statistics.median(one[key] for one in own), 2) for key in own[0]}
        yield {"client": name, "server": server, "streams": STREAMS, "rounds": len(own), **medians}


def _overhead_row(rounds: dict[str, list[dict[str, float]]], server: str) -> dict[str, Any]:
    plain, ours = rounds["plain openai client"], rounds["steelyard"]
    row: dict[str, Any] = {"client": "overhead of steelyard", "server": server, "streams": STREAMS, "rounds": len(ours)}
    for key in ("first_p95_ms", "end_p50_ms", "end_p95_ms"):
        gaps = [mine[key] - other[key] for mine, other in zip(ours, plain, strict=True)]
        row[key] = round(statistics.median(gaps), 2)
        row[f"{key}_low"], row[f"{key}_high"] = round(min(gaps), 2), round(max(gaps), 2)
    ratios = [mine["tokens_per_s"] / other["tokens_per_s"] for mine, other in zip(ours, plain, strict=True)]
    row["tokens_per_s_ratio"] = round(statistics.median(ratios), 4)
    return row
