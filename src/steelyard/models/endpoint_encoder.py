"""The embeddings endpoint of an OpenAI-compatible server as the encoder: metered and capped like a generator's calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from time import perf_counter
from typing import Any

import numpy as np

from steelyard.config import EmbeddingSettings, GeneratorSettings
from steelyard.models.call_ledger import Call, CallLedger
from steelyard.models.interface import Vectors
from steelyard.models.metered_generator import check_cap
from steelyard.models.metering import record
from steelyard.models.openai_generator import CHARS_PER_TOKEN, OpenAIGenerator
from steelyard.models.openai_replies import is_same_model, read_use
from steelyard.schema.errors import GeneratorError, StoppedError
from steelyard.schema.generation import TokenUse
from steelyard.schema.outputs import Usage

LONGEST_CHARS = 20_000
"""Longer texts are cut: with English prose that is below the 8,191 tokens that hosted embedding models take."""

EMPTY = " "
"""Stands for the empty text, which servers refuse."""


class EndpointEncoder:
    """Vectors from a server, scaled to length 1. Safe for several threads.

    The constructor asks nothing; the first use of `dim` embeds one word, unless the settings say it. Every text goes to the server each
    time: `CachedEncoder` around it keeps those of passages and labelled rows.
    """

    def __init__(self, settings: EmbeddingSettings, ledger: CallLedger, usd_per_million: float = 0.0) -> None:
        self._settings = settings
        self._ledger = ledger
        self._price = usd_per_million
        shared = {key: getattr(settings, key) for key in ("base_url", "model", "key_env", "timeout_s", "retries")}
        self._endpoint = OpenAIGenerator(GeneratorSettings(kind="openai", concurrency=settings.concurrency, **shared))

    @property
    def name(self) -> str:
        """`openai:MODEL@HOST`, with the number of dimensions where the settings ask for one."""
        return self._endpoint.name + (f":{self._settings.dim}" if self._settings.dim else "")

    @cached_property
    def dim(self) -> int:
        """Length of a vector: the settings' number, else that of the server's answer to one word."""
        return self._settings.dim or int(self._embed(["word"]).shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`; `batch` texts a call, `concurrency` calls at a time.

        Raises:
            GeneratorError: a call failed for good.
            StoppedError: no call can succeed, or the month's money is spent.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        size = self._settings.batch
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        begin = perf_counter()
        if len(parts) == 1:
            rows = [self._embed(parts[0])]
        else:
            with ThreadPoolExecutor(self._settings.concurrency, "steelyard-encoder") as pool:
                waiting = [pool.submit(self._embed, part) for part in parts]
                try:
                    rows = [one.result() for one in waiting]
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        record(Usage(encoder_tokens=sum(self.count_tokens(texts)), seconds=perf_counter() - begin))
        return np.concatenate(rows)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An estimate: four characters a token."""
        return [max(1, round(len(text) / CHARS_PER_TOKEN)) for text in texts]

    def _embed(self, texts: Sequence[str]) -> Vectors:
        check_cap(self._ledger, self._settings.cap_usd, "steelyard.toml [models.embeddings] cap_usd")
        sent = [text[:LONGEST_CHARS] or EMPTY for text in texts]
        request: dict[str, Any] = {"model": self._settings.model, "input": sent, "encoding_format": "float"}
        if self._settings.dim:
            request["dimensions"] = self._settings.dim
        begin = perf_counter()
        (vectors, use), _ = self._endpoint.calls.post(
            request, lambda body: self._read(body, len(sent)), embeddings=True
        )
        use = use or TokenUse(input=sum(self.count_tokens(sent)))
        call = Call(
            key=sha256("\x00".join(sent).encode("utf-8", "surrogatepass")).digest(),
            generator=self.name,
            model=self._settings.model or "",
            purpose="embed",
            characters=sum(map(len, sent)),
            use=use,
            seconds=perf_counter() - begin,
            usd=use.input * self._price / 1e6,
            outcome="answered",
        )
        self._ledger.add(call, None)
        return vectors

    def _read(self, body: Any, count: int) -> tuple[Vectors, TokenUse | None]:
        rows = body.get("data") if isinstance(body, Mapping) else None
        try:
            # By index: a server may answer out of order.
            found = {one["index"]: one["embedding"] for one in rows} if isinstance(rows, list) else {}
            vectors = np.array([found[place] for place in range(count)], dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            vectors = np.zeros(0, dtype=np.float32)
        if vectors.ndim != 2 or (self._settings.dim and vectors.shape[1] != self._settings.dim):
            raise self._wrong(f"it holds no {count} vectors of one length")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise self._wrong("a vector in it has no direction")
        answered = str(body.get("model") or "")
        if not is_same_model(self._settings.model or "", answered):
            raise StoppedError(
                f"the server embedded with another model: asked for '{self._settings.model}', got '{answered}'.",
                where=self._endpoint.place,
                remedy=f'Write model = "{answered}" under [models.embeddings].',
                code="generator.other_model",
            )
        use = read_use(body.get("usage"))
        return vectors / lengths, None if use is None else replace(use, output=0)

    def _wrong(self, what: str) -> GeneratorError:
        return GeneratorError(
            f"the server's answer is no list of embeddings: {what}.",
            where=self._endpoint.place,
            remedy="Check that the model under [models.embeddings] is one for embeddings, and its dim.",
            code="generator.malformed",
        )

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()
