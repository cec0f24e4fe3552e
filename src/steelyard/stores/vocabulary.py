"""The terms of an index in order, looked up where they lie: opening an index reads none of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import pairwise, repeat

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

KEPT_TERMS = 2_000  # places remembered, 100 bytes each: most questions are made of the same words
READ_TERMS = 8_192  # decoded at a time when all are gone through


@dataclass(frozen=True, eq=False)
class Vocabulary(Mapping[str, int]):
    """Terms, each with its place in their order: that of their code points, which is also the order of their UTF-8 bytes.

    Term t is `blob[offsets[t]:offsets[t + 1]]`. The arrays may be mapped from a file: a term is found by halving, so of a million
    terms twenty are read. The terms asked for of late are remembered.
    """

    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    blob: Bytes = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    _known: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: Iterable[str]) -> Vocabulary:
        """The vocabulary of terms that are in order, each once."""
        packed, ends = bytearray(), array("q", [0])
        for term in terms:
            packed += term.encode()
            ends.append(len(packed))
        return cls(np.array(ends, dtype=np.int64), np.frombuffer(bytes(packed), dtype=np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, term: str) -> int:
        known = self._known.get(term)
        if known is None:
            known = self._place(term)
            if len(self._known) >= KEPT_TERMS:
                self._known.clear()
            self._known[term] = known
        return known

    def _place(self, term: str) -> int:
        wanted, offsets, blob = term.encode("utf-8", "surrogatepass"), self.offsets, self.blob
        low, high = 0, len(offsets) - 1
        while low < high:
            middle = (low + high) // 2
            if blob[offsets[middle] : offsets[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        if low == len(offsets) - 1 or blob[offsets[low] : offsets[low + 1]].tobytes() != wanted:
            raise KeyError(term)
        return low

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self), READ_TERMS):
            ends = self.offsets[begin : begin + READ_TERMS + 1]
            packed = self.blob[int(ends[0]) : int(ends[-1])].tobytes()
            places = (ends - ends[0]).tolist()
            for start, end in pairwise(places):
                yield packed[start:end].decode()


def together(parts: Sequence[Mapping[str, int]]) -> tuple[Vocabulary, list[NDArray[np.int64]]]:
    """The terms of all parts, which are in order, as one vocabulary; and for each part the place of its terms there, ascending."""
    places = [array("q") for _ in parts]

    def union() -> Iterator[str]:
        last, count = None, 0
        for term, part in merge(*(zip(terms, repeat(number)) for number, terms in enumerate(parts))):
            if term != last:
                last, count = term, count + 1
                yield term
            places[part].append(count - 1)

    whole = Vocabulary.of(union())
    return whole, [np.array(place, dtype=np.int64) for place in places]
