"""What an encoder must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.outputs import Usage

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The encoder with its precision and weights hash, e.g. `minilm-fp32-1a2b3c4d`; vectors of different names never mix."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32, (texts, dim), rows of length 1, in the order given. The empty text has a vector too; no texts give (0, dim).

        A text's vector does not depend on the other texts of the call (to 1e-5). Long texts are cut at the model's
        limit.
        """

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cut."""


@runtime_checkable
class Recalling(Protocol):
    """An encoder that knows where vectors of texts of the documents are kept already."""

    def recall(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The vectors, (dim,) each, of those of `texts` that were embedded before, as `Encoder.encode` gives them; nothing is computed."""


@runtime_checkable
class TogetherEncoder(Protocol):
    """An encoder that reads several texts in less time than one after the other."""

    @property
    def reads_together(self) -> bool:
        """Whether it does, as it was loaded."""

    def encode_unmetered(self, texts: Sequence[str]) -> tuple[Vectors, list[Usage]]:
        """The vectors as `Encoder.encode` gives them, and each text's share of what that took; no meter is told."""


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder that also gives the vector of every token, for comparing texts token by token."""

    def encode_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """The vectors as `Encoder.encode` gives them, and for each text its tokens' own, float32, (tokens, dim), rows of length 1.

        Tokens that the model adds are left out, so the empty text has (0, dim).
        """
