"""An encoder for a replay, whose vectors do not depend on what is asked beside a text, or on the order of asking."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from steelyard.components.nearness import Latest
from steelyard.models.fronting import FrontingEncoder
from steelyard.models.interface import Encoder, TokenEncoder, Vectors

SPREAD_TEXTS = 16
"""Texts from which on a call takes several threads."""

KEPT_TOKENS = 1_000
"""Texts whose token vectors are remembered: the questions, which come at every step, and what a step has read anew between two of them.
A text of 20 tokens takes 30 kB."""


class AloneEncoder(FrontingEncoder):
    """An encoder that embeds each text alone, `threads` at the same time where they are many. Safe for several threads.

    A vector's last digits depend on the texts that it is embedded with: alone, a replay gives the same answers in whatever order it asks,
    taken up again or not.
    """

    def __init__(self, inner: Encoder, threads: int = 1) -> None:
        super().__init__(inner)
        self._threads = threads

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        if len(texts) >= SPREAD_TEXTS and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                return np.stack(list(pool.map(self._alone, texts)))
        return np.stack([self._alone(text) for text in texts])

    def _alone(self, text: str) -> Vectors:
        vector: Vectors = self.inner.encode([text])[0]
        return vector


class AloneTokenEncoder(AloneEncoder):
    """The same, of an encoder that also gives the vector of every token; those of the last texts are remembered."""

    def __init__(self, inner: Encoder, tokens: TokenEncoder, threads: int = 1) -> None:
        super().__init__(inner, threads)
        self._tokens = tokens
        self._kept = Latest[tuple[Vectors, Vectors]](KEPT_TOKENS)

    def encode_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """See `TokenEncoder.encode_with_tokens`."""
        found, missing = self._kept.known(texts)
        if len(missing) >= SPREAD_TEXTS and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                fresh = list(pool.map(self._alone_with_tokens, missing))
        else:
            fresh = [self._alone_with_tokens(text) for text in missing]
        found |= self._kept.put_all(missing, fresh)
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32), []
        return np.stack([found[text][0] for text in texts]), [found[text][1] for text in texts]

    def _alone_with_tokens(self, text: str) -> tuple[Vectors, Vectors]:
        vectors, tokens = self._tokens.encode_with_tokens([text])
        return vectors[0], tokens[0]


def alone(encoder: Encoder, threads: int = 1) -> AloneEncoder:
    """`encoder` with each text embedded alone; with its tokens where it, or one that it wraps, gives them."""
    found: object = encoder
    while not isinstance(found, TokenEncoder):
        found = getattr(found, "inner", None)
        if found is None:
            return AloneEncoder(encoder, threads)
    return AloneTokenEncoder(encoder, found, threads)
