"""An encoder without weights: deterministic, fast, and close texts get close vectors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from steelyard.models.interface import Vectors
from steelyard.models.metering import record
from steelyard.schema.outputs import Usage

_WORD = re.compile(r"\w+")
_PIECE = 4  # characters; word beginnings stand in for stems, so `refund` and `refunds` are near each other


class FakeEncoder:
    """Hashes words and word beginnings into signed buckets (feature hashing, Weinberger et al., ICML 2009).

    For tests and dry runs: no download, same vectors on every machine, texts that share words are similar.
    """

    def __init__(self, dim: int = 64) -> None:
        if dim < 2:
            raise ValueError(f"dim must be at least 2, got {dim}")
        self._dim = dim

    @property
    def name(self) -> str:
        """`fake-hash-{dim}`."""
        return f"fake-hash-{self._dim}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        begun = perf_counter()
        vectors = np.zeros((len(texts), self._dim), dtype=np.float32)
        tokens = 0
        for row, text in zip(vectors, texts, strict=True):
            words = _WORD.findall(text.lower())
            tokens += len(words)
            for word in words:
                self._add(row, word, 1.0)
                self._add(row, word[:_PIECE] + "~", 0.5)
            if not row.any():
                row[0] = 1.0
            row /= np.linalg.norm(row)
        record(Usage(encoder_tokens=tokens, seconds=perf_counter() - begun))
        return vectors

    def encode_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """See `TokenEncoder.encode_with_tokens`; a token is a word."""
        words = [_WORD.findall(text.lower()) for text in texts]
        known = list(dict.fromkeys(word for bag in words for word in bag))
        rows = {word: np.zeros(self._dim, dtype=np.float32) for word in known}
        for word, row in rows.items():
            self._add(row, word, 1.0)
            self._add(row, word[:_PIECE] + "~", 0.5)
            row /= max(float(np.linalg.norm(row)), 1e-12)
        none = np.zeros((0, self._dim), dtype=np.float32)
        return self.encode(texts), [np.stack([rows[word] for word in bag]) if bag else none for bag in words]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words of each text."""
        return [len(_WORD.findall(text)) for text in texts]

    def _add(self, row: Vectors, feature: str, weight: float) -> None:
        digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        number = int.from_bytes(digest[:7], "big")
        row[number % self._dim] += weight if digest[7] & 1 else -weight
