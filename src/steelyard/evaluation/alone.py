"""An encoder for a replay, whose vectors do not depend on what is asked beside a text, or on the order of asking."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from steelyard.models.interface import Encoder, Vectors

SPREAD_TEXTS = 16
"""Texts from which on a call takes several threads."""


class AloneEncoder:
    """An encoder that embeds each text alone, `threads` at the same time where they are many. Safe for several threads.

    A vector's last digits depend on the texts that it is embedded with: alone, a replay gives the same answers in whatever order it asks,
    taken up again or not.
    """

    def __init__(self, inner: Encoder, threads: int = 1) -> None:
        self.inner = inner
        self._threads = threads

    @property
    def name(self) -> str:
        """The inner encoder's name: the vectors are the same."""
        return self.inner.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.inner.dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        if len(texts) >= SPREAD_TEXTS and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                return np.stack(list(pool.map(self._alone, texts)))
        return np.stack([self._alone(text) for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return self.inner.count_tokens(texts)

    def _alone(self, text: str) -> Vectors:
        vector: Vectors = self.inner.encode([text])[0]
        return vector
