"""An encoder for a replay: a question comes up at every step, a quote at most of them, and each is embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from steelyard.models.interface import Encoder, Vectors

SPREAD_TEXTS = 16
"""Unknown texts from which on a call takes several threads."""

MOST_TEXTS = 60_000
"""Texts remembered; at 384 numbers each, 92 MB. Beyond it all are forgotten, which costs time and changes nothing."""


class RememberingEncoder:
    """An encoder that embeds each text once and alone, `threads` at the same time where they are many. Safe for several threads.

    Alone, because a vector's last digits depend on the texts that it is embedded with: so a replay gives the same answers in whatever order
    it asks, taken up again or not.
    """

    def __init__(self, inner: Encoder, threads: int = 1) -> None:
        self.inner = inner
        self._threads = threads
        self._known: dict[str, Vectors] = {}
        self._lock = Lock()

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
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        if len(missing) >= SPREAD_TEXTS and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                fresh = dict(zip(missing, pool.map(self._alone, missing), strict=True))
        else:
            fresh = {text: self._alone(text) for text in missing}
        with self._lock:
            if len(self._known) + len(fresh) > MOST_TEXTS:
                self._known.clear()
            self._known |= fresh
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = found[text] if text in found else fresh[text]
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return self.inner.count_tokens(texts)

    def _alone(self, text: str) -> Vectors:
        vector: Vectors = self.inner.encode([text])[0]
        return vector
