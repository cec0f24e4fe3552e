"""Remembers the vectors of the last texts: every part of a pipeline embeds the same message, every step of a replay the same questions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np

from steelyard.models.fronting import FrontingEncoder
from steelyard.models.interface import Encoder, TogetherEncoder, Vectors
from steelyard.models.metering import record
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.outputs import Usage

KEPT_TEXTS = 4096
"""Texts whose vectors are kept: 6 MiB at 384 dimensions."""


NOTHING_OWED: dict[bytes, Usage] = {}


class RememberingEncoder(FrontingEncoder):
    """An encoder in front of another that embeds a text once, as long as it is among the last `kept` texts.

    Only the vectors are kept, under a hash of the text. Safe for many threads; only what the inner encoder does is metered. `written`
    is where vectors of documents and labelled rows lie already, for `recall`.
    """

    def __init__(self, inner: Encoder, kept: int = KEPT_TEXTS, written: CachedEncoder | None = None) -> None:
        super().__init__(inner)
        self._written = written
        self._most = kept
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()
        # What texts took that were embedded ahead and that nobody has asked for yet.
        self._owed: dict[bytes, Usage] = {}
        self._guard = Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        keys = list(map(_key, texts))
        with self._guard:
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in found:
                self._vectors.move_to_end(key)
            owed = [self._owed.pop(key) for key in found if key in self._owed] if self._owed else []
        for usage in owed:
            record(usage, ahead=True)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            found |= zip(missing, self.inner.encode(list(missing.values())), strict=True)
            self._keep({key: found[key] for key in missing})
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self.dim), dtype=np.float32)

    def ahead(self, texts: Sequence[str]) -> None:
        """Embed texts together that will soon be asked for one by one; who asks for one first is metered with its share.

        Nothing happens where the inner encoder gains nothing by that.
        """
        inner = self.inner
        if not isinstance(inner, TogetherEncoder) or not inner.reads_together:
            return
        with self._guard:
            missing = {key: text for text in texts if (key := _key(text)) not in self._vectors}
        vectors, shares = inner.encode_unmetered(list(missing.values()))
        self._keep(dict(zip(missing, vectors, strict=True)), dict(zip(missing, shares, strict=True)))

    def was_asked(self, text: str) -> bool:
        """Whether the vector of a text is remembered because `encode` was asked for it, and not only embedded ahead."""
        key = _key(text)
        with self._guard:
            return key in self._vectors and key not in self._owed

    def recall(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """See `Recalling.recall`: what is written; what is only remembered is left to `encode`."""
        return self._written.known(texts) if self._written is not None else {}

    def _keep(self, fresh: dict[bytes, Vectors], owed: dict[bytes, Usage] = NOTHING_OWED) -> None:
        with self._guard:
            self._owed |= owed
            for key, vector in fresh.items():
                # A copy: a row of a large batch would keep the whole batch alive.
                self._vectors[key] = vector.copy()
            while len(self._vectors) > self._most:
                self._owed.pop(self._vectors.popitem(last=False)[0], None)


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
