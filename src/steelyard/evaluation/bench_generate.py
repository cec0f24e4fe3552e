"""The generator benchmark: what our path (meter, ledger, cache, cap, retries) adds to the plain `openai` client on the same server."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.config import GeneratorSettings
from steelyard.evaluation.language_server import served_language_model
from steelyard.evaluation.stream_simulator import MODEL, running_simulator
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import metered_generator
from steelyard.models.planted_causal import SPECIAL, WORDS, planted_causal
from steelyard.schema.errors import MissingExtraError
from steelyard.schema.generation import Completion, Message, TokenPrice

STREAMS = 50
"""Streams at a time."""
ROUNDS = 150
"""Pairs of rounds at the paced server, one of each client, in turn: 7,500 streams of each."""
PIECES = 40
PIECE_S = 0.025
"""The paced server's pace: 40 tokens a second, about what a hosted mid-size model streams."""
MODEL_STREAMS, MODEL_ROUNDS = 4, 40
"""Streams and pairs of rounds where a model works: on a laptop's cores it is the model that is waited for, not the client."""
TOKENS = 64
"""Longest answer where a model works."""
DRAWS = 2_000
"""Draws of pairs of rounds for an interval."""

ADDRESS, NAME = "STEELYARD_BENCH_BASE_URL", "STEELYARD_BENCH_MODEL"
"""Environment variables that name a running server and its model, in place of the small local one."""

PLAIN, OURS = "plain openai client", "steelyard"
PACED = "paced server"

Client = Callable[[str], tuple[int, float, float]]
"""Streams the answer to a prompt; gives tokens, seconds to the first piece and seconds to the last."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Streams that began together. `first_ms` and `end_ms`, float64, (streams,), are each one's time to its first and its last piece.

    `cpu_s` is the processor time of this process, which waiting and other work on the machine do not enter.
    """

    tokens: int
    wall_s: float
    cpu_s: float
    first_ms: NDArray[np.float64]
    end_ms: NDArray[np.float64]


def bench_generate(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Rounds of concurrent streams by either client; the result is `{"name": "generate", "rows": [...]}`.

    First at a paced server: one row a client with tokens a second of all streams together, milliseconds to the first piece and to the end
    of a stream at p50 and p95 over all its streams; then our percentile less the plain client's, with a bootstrap interval over pairs
    of rounds, and the median of those differences round by round. Then the same rows at a server with a model: the one that the
    environment names, else a small one of random weights behind `transformers serve`, where that is installed. Needs no data set.
    """
    del data_root
    servers: list[tuple[str, int, int]] = [(PACED, STREAMS, ROUNDS), ("", MODEL_STREAMS, MODEL_ROUNDS)]
    rows: list[dict[str, Any]] = []
    whole = sum(rounds for _, _, rounds in servers)
    for name, streams, rounds in servers:
        done = len(rows) and servers[0][2]
        with ExitStack() as opened:
            try:
                told, url, model = opened.enter_context(_paced() if name == PACED else _model_server(cache))
            except MissingExtraError as error:
                rows.append({"server": "a local model", "note": error.message})
                continue
            found = _rounds(url, model, streams, rounds, partial(_after, progress, done, whole))
            rows += _rows(found, told, streams)
    progress(whole, whole)
    return {"name": "generate", "rows": rows}


def _after(progress: Callable[[int, int], None], before: int, whole: int, done: int) -> None:
    progress(before + done, whole)


@contextmanager
def _paced() -> Iterator[tuple[str, str, str]]:
    with running_simulator(PIECES, PIECE_S) as url:
        yield PACED, url, MODEL


@contextmanager
def _model_server(cache: Path) -> Iterator[tuple[str, str, str]]:
    """What is said of a server with a model, its address, and the model's name there."""
    if os.environ.get(ADDRESS):
        yield os.environ.get(NAME, "named server"), os.environ[ADDRESS], os.environ.get(NAME, "")
        return
    folder = planted_causal(cache, WORDS + len(SPECIAL))  # every token is a word: else most pieces were empty
    with tempfile.TemporaryDirectory() as hub, served_language_model(folder, Path(hub)) as (url, _):
        yield "transformers serve, a small model of random weights", url, str(folder)


def _rounds(
    url: str, model: str, streams: int, rounds: int, progress: Callable[[int], None]
) -> Mapping[str, Sequence[Round]]:
    """Rounds of either client in turn, the first of a pair by the one and then by the other."""
    with tempfile.TemporaryDirectory() as folder:
        settings = GeneratorSettings(
            kind="openai", base_url=url, model=model, concurrency=streams, retries=0, cap_usd=1e9
        )
        ours = metered_generator(
            settings, Path(folder), CallLedger(Path(folder) / "calls.sqlite"), TokenPrice(input=1.0)
        )
        if ours is None:
            raise AssertionError("the settings name one")
        clients: dict[str, Client] = {PLAIN: _plain(url, model), OURS: _ours(ours)}
        found: dict[str, list[Round]] = {name: [] for name in clients}
        for client in clients.values():
            _round(client, streams)  # connections and libraries are loaded before anything is timed
        # What the libraries keep for good is looked through no more: that stops everything for 60 ms, in a round of either client.
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            for name in clients if number % 2 == 0 else reversed(clients):
                found[name].append(_round(clients[name], streams))
            progress(number + 1)
        gc.unfreeze()
        ours.ledger.close()
    return found


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


def _round(client: Client, streams: int) -> Round:
    """Streams that begin together."""
    together = threading.Barrier(streams + 1)

    def one(_: int) -> tuple[int, float, float]:
        prompt = f"Say something about {uuid.uuid4()}."  # never the same, or the second would be kept
        together.wait()
        return client(prompt)

    with ThreadPoolExecutor(streams) as pool:
        waiting = [pool.submit(one, number) for number in range(streams)]
        together.wait()
        begin, worked = time.perf_counter(), time.process_time()
        found = [future.result() for future in waiting]
        wall, cpu = time.perf_counter() - begin, time.process_time() - worked
    return Round(
        tokens=sum(tokens for tokens, _, _ in found),
        wall_s=wall,
        cpu_s=cpu,
        first_ms=1000 * np.array([first for _, first, _ in found]),
        end_ms=1000 * np.array([end for _, _, end in found]),
    )


def _rows(rounds: Mapping[str, Sequence[Round]], server: str, streams: int) -> Iterator[dict[str, Any]]:
    for name, own in rounds.items():
        yield {
            "client": name,
            "server": server,
            "streams": streams,
            "rounds": len(own),
            "cpu_ms_per_stream": round(1000 * sum(one.cpu_s for one in own) / len(own) / streams, 2),
            "tokens_per_s": round(sum(one.tokens for one in own) / sum(one.wall_s for one in own), 1),
            **{
                f"{moment}_p{share}_ms": round(float(np.percentile(_times(own, moment), share)), 2)
                for moment in ("first", "end")
                for share in (50, 95)
            },
        }
    yield _added(rounds[PLAIN], rounds[OURS], server, streams)


def _added(plain: Sequence[Round], ours: Sequence[Round], server: str, streams: int) -> dict[str, Any]:
    """Our percentiles less the plain client's, and our tokens a second over its; each with its 95 % interval."""
    row: dict[str, Any] = {
        "client": "overhead of steelyard",
        "server": server,
        "streams": streams,
        "rounds": len(ours),
    }
    # A pair of rounds is drawn whole: its streams shared what the machine did in those two seconds.
    drawn = np.random.default_rng(0).integers(len(ours), size=(DRAWS, len(ours)))
    for moment in ("first", "end"):
        mine, other = _times(ours, moment), _times(plain, moment)
        for share in (50, 95):
            gaps = [
                np.percentile(mine[pairs], share) - np.percentile(other[pairs], share)
                for pairs in (np.arange(len(ours)), *drawn)
            ]
            row |= _with_interval(f"{moment}_p{share}_ms", gaps)
        # The same round by round: what stops the whole machine for a moment is in one round and not in its neighbour.
        apart = np.percentile(mine, 95, axis=1) - np.percentile(other, 95, axis=1)
        medians = [np.median(apart[pairs]) for pairs in (np.arange(len(ours)), *drawn)]
        row |= _with_interval(f"{moment}_p95_of_a_round_ms", medians)
    work = [np.array([one.cpu_s for one in own]) * 1000 / streams for own in (ours, plain)]
    row |= _with_interval(
        "cpu_ms_per_stream", [(work[0] - work[1])[pairs].mean() for pairs in (np.arange(len(ours)), *drawn)]
    )
    counts = [(np.array([one.tokens for one in own]), np.array([one.wall_s for one in own])) for own in (ours, plain)]
    speeds = [
        [tokens[pairs].sum() / wall[pairs].sum() for pairs in (np.arange(len(ours)), *drawn)] for tokens, wall in counts
    ]
    ratios = [mine / other for mine, other in zip(*speeds, strict=True)]
    return row | _with_interval("tokens_per_s_ratio", ratios, digits=4)


def _with_interval(name: str, found: Sequence[Any], digits: int = 2) -> dict[str, float]:
    low, high = np.percentile(found[1:], (2.5, 97.5))
    return {
        name: round(float(found[0]), digits),
        f"{name}_low": round(float(low), digits),
        f"{name}_high": round(float(high), digits),
    }


def _times(rounds: Sequence[Round], moment: str) -> NDArray[np.float64]:
    """Milliseconds, float64, (rounds, streams)."""
    return np.stack([getattr(one, f"{moment}_ms") for one in rounds])
