"""How near a quote is to a question: by the vectors of both, or token by token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from steelyard.models.interface import Encoder, Recalling, TokenEncoder, Vectors

KEPT_VECTORS = 40_000  # 384 dimensions in float32: 60 MB
KEPT_TEXTS = 2_500
"""Texts whose token vectors are kept: at 40 tokens of 384 dimensions in float16, 77 MB."""

TOGETHER = 128  # texts encoded at once: their token vectors in float32 take 8 MB

Value = TypeVar("Value")
Key = tuple[NDArray[np.float32], NDArray[np.float16]]


class Nearness(Protocol):
    """Compares a question with texts; (texts,) float64 each: the cosine of the whole, and of the tokens (0 where not looked at)."""

    def compare(self, question: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines from -1 to 1.

        Texts are kept for the next question; questions never are: they seldom come again, and they are the asker's.
        """

    def keep(self, texts: Sequence[str]) -> None:
        """Read texts ahead of `compare`, all at once; as many are kept as there is room for."""


class ByVectors:
    """The cosine of both vectors."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._kept = Latest[NDArray[np.float32]](KEPT_VECTORS)

    def compare(self, question: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Nearness.compare`."""
        kept, missing = self._known(texts)
        asked, *fresh = self._encoder.encode([question, *missing])
        # Copies: a row of what was encoded together would keep all of it in memory.
        kept |= self._kept.put_all(missing, [vector.copy() for vector in fresh])
        found = np.stack([kept[text] for text in texts]) @ asked
        return found.astype(np.float64), np.zeros(len(texts))

    def keep(self, texts: Sequence[str]) -> None:
        """See `Nearness.keep`."""
        missing = self._known(texts)[1]
        if missing:
            self._kept.put_all(missing, [vector.copy() for vector in self._encoder.encode(missing)])

    def _known(self, texts: Sequence[str]) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
        """See `Latest.known`; with what was embedded before this process began, when a version was fitted."""
        kept, missing = self._kept.known(texts)
        if missing and isinstance(self._encoder, Recalling):
            found = self._encoder.recall(missing)
            kept |= self._kept.put_all(list(found), list(found.values()))
            missing = [text for text in missing if text not in found]
        return kept, missing


class ByTokens:
    """The cosine of both vectors, and for each token of the question that of the nearest token of the text, averaged.

    Source of the second: Khattab and Zaharia, ColBERT, SIGIR 2020 (late interaction), here without weights of its own. Make one
    with `by_tokens`.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder
        self._kept = Latest[Key](KEPT_TEXTS)

    def compare(self, question: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Nearness.compare`."""
        kept, missing = self._kept.known(texts)
        vectors, tokens = self._encoder.encode_with_tokens([question, *missing])
        kept |= self._kept.put_all(missing, _small(vectors[1:], tokens[1:]))
        asked, words = vectors[0], tokens[0]
        whole = np.array([float(kept[text][0] @ asked) for text in texts])
        return whole, np.array([_mean_nearest(words, kept[text][1]) for text in texts])

    def keep(self, texts: Sequence[str]) -> None:
        """See `Nearness.keep`."""
        missing = self._kept.known(texts)[1]
        for first in range(0, len(missing), TOGETHER):
            part = missing[first : first + TOGETHER]
            self._kept.put_all(part, _small(*self._encoder.encode_with_tokens(part)))


def by_tokens(encoder: Encoder) -> ByTokens | None:
    """Token by token with this encoder, or with the one it wraps; None where neither gives token vectors.

    One for each encoder: what one candidate has read, the next need not read again.
    """
    found: object = encoder
    while not isinstance(found, TokenEncoder):
        found = getattr(found, "inner", None)
        if found is None:
            return None
    with _lock:
        if found not in _shared:
            _shared[found] = ByTokens(found)
        return _shared[found]


_shared: WeakKeyDictionary[TokenEncoder, ByTokens] = WeakKeyDictionary()
_lock = Lock()


def _small(vectors: Vectors, tokens: Sequence[Vectors]) -> list[Key]:
    return [(vector.copy(), own.astype(np.float16)) for vector, own in zip(vectors, tokens, strict=True)]


def _mean_nearest(words: NDArray[np.float32], own: NDArray[np.float16]) -> float:
    if not len(words) or not len(own):
        return 0.0
    return float((words @ own.astype(np.float32).T).max(axis=1).mean())


class Latest(Generic[Value]):
    """The values used last, by key; beyond `most` the one unused for longest goes. Safe for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Value | None:
        """The value, now the one used last; None when there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: str, value: Value) -> None:
        """Keep a value as the one used last."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)

    def known(self, keys: Sequence[str]) -> tuple[dict[str, Value], list[str]]:
        """The values that are here, and the keys that are not, each once, in order."""
        found = {key: value for key in dict.fromkeys(keys) if (value := self.get(key)) is not None}
        return found, [key for key in dict.fromkeys(keys) if key not in found]

    def put_all(self, keys: Sequence[str], values: Sequence[Value]) -> dict[str, Value]:
        """Keep values in order; they come back by key."""
        for key, value in zip(keys, values, strict=True):
            self.put(key, value)
        return dict(zip(keys, values, strict=True))
