"""What encoders in front of another have in common: they give the same vectors, and differ in what it takes to get them."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.models.interface import Encoder


class FrontingEncoder:
    """An encoder in front of `inner`, under its name; `encode` is for the class that builds on this one."""

    def __init__(self, inner: Encoder) -> None:
        self.inner = inner

    @property
    def name(self) -> str:
        """The inner encoder's name: the vectors are the same."""
        return self.inner.name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.inner.dim

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        return self.inner.count_tokens(texts)
