"""BM25 over exactly the rows an asker may see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.stores.analysis import terms
from steelyard.stores.rows import Mask, Numbers, View
from steelyard.stores.vocabulary import Vocabulary, together

K1 = 1.2  # Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; 0.9 to 1.5 differ by under .003 nDCG here
B = 0.75

MOST_OF_A_TERM = 2**16 - 1  # how often a term is counted in one passage: two bytes an entry
MERGED_ENTRIES = 100_000  # entries moved at a time by `Merging`, 2 MB of positions


@dataclass(frozen=True, eq=False)
class Postings:
    """An immutable inverted index: for each term the rows that hold it, and how often.

    `vocabulary` numbers the terms, in their order; term t's entries are `rows[starts[t]:starts[t + 1]]`, rows ascending, with `counts`
    beside them. `lengths` is the number of terms of each row. The arrays may be mapped from a file.

    No statistic is stored: document frequencies and the mean length are taken over the rows the asker sees, in the
    generation asked. So a passage that is hidden, retired or staged changes no score, and hidden and absent cannot be
    told apart; libraries that keep statistics of the whole index cannot promise that.
    """

    vocabulary: Mapping[str, int] = field(default_factory=Vocabulary)
    starts: Numbers = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    counts: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, dtype=np.uint16))
    lengths: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    @classmethod
    def of(cls, texts: Sequence[str]) -> Postings:
        """The index of `texts`, one row each."""
        met: dict[str, int] = {}
        numbers: list[int] = []
        rows: list[int] = []
        counts: list[int] = []
        lengths: list[int] = []
        for row, text in enumerate(texts):
            found = Counter(terms(text))
            numbers.extend([met.setdefault(term, len(met)) for term in found])
            rows.extend([row] * len(found))
            counts.extend(found.values())
            lengths.append(found.total())
        vocabulary = Vocabulary.of(sorted(met))
        place = np.empty(len(met), dtype=np.int32)
        place[[met[term] for term in vocabulary]] = np.arange(len(met), dtype=np.int32)
        by_term = place[np.array(numbers, dtype=np.int32)]
        # Stable: within a term the rows stay ascending.
        order = np.argsort(by_term, kind="stable")
        starts = np.zeros(len(vocabulary) + 1, dtype=np.int64)
        np.cumsum(np.bincount(by_term, minlength=len(vocabulary)), out=starts[1:])
        return cls(
            vocabulary,
            starts,
            np.array(rows, dtype=np.int32)[order],
            np.minimum(counts, MOST_OF_A_TERM).astype(np.uint16)[order],
            np.array(lengths, dtype=np.int32),
        )

    def first(self, rows: int) -> Postings:
        """The index of the first `rows` rows."""
        return self if rows >= len(self.lengths) else self.only(np.arange(len(self.lengths)) < rows)

    def only(self, kept: Mask) -> Postings:
        """The index of the rows where `kept` is true, numbered anew; terms that no row holds any more are forgotten."""
        if not kept.any():
            return Postings()
        entries = kept[self.rows]
        # No term is without entries, so every run has a length.
        frequencies = np.add.reduceat(entries, self.starts[:-1], dtype=np.int64)
        left = frequencies > 0
        starts = np.concatenate([[0], np.cumsum(frequencies[left])])
        names = (name for name, stays in zip(self.vocabulary, left.tolist(), strict=True) if stays)
        place = (np.cumsum(kept) - 1).astype(np.int32)
        return Postings(
            Vocabulary.of(names),
            starts,
            place[self.rows[entries]],
            self.counts[entries],
            self.lengths[kept],
        )

    def in_order(self) -> Postings:
        """The same index, its terms in their order: indexes that were written long ago are in none."""
        if isinstance(self.vocabulary, Vocabulary):
            return self
        ordered = sorted(self.vocabulary.items())
        order = np.array([number for _, number in ordered], dtype=np.int64)
        sizes = np.diff(self.starts)[order]
        starts = np.zeros(len(order) + 1, dtype=np.int64)
        np.cumsum(sizes, out=starts[1:])
        entries = np.repeat(self.starts[:-1][order] - starts[:-1], sizes) + np.arange(int(starts[-1]))
        names = Vocabulary.of(term for term, _ in ordered)
        return Postings(names, starts, self.rows[entries], self.counts[entries], self.lengths)

    def extended(self, texts: Sequence[str]) -> Postings:
        """This index with one more row for each of `texts`, behind the others."""
        return merged([self, Postings.of(texts)]) if texts else self


class Merging:
    """One index of the rows of all parts, in their order, a run of terms at a time: what it needs of memory hardly grows with the rows.

    Linear: every part is sorted by term. `starts` and `lengths` are those of the whole index; `rows` and `counts` give its entries in
    pieces.
    """

    def __init__(self, parts: Sequence[Postings]) -> None:
        self._parts = [part.in_order() for part in parts]
        self.vocabulary, self._places = together([part.vocabulary for part in self._parts])
        frequencies = np.zeros(len(self.vocabulary), dtype=np.int64)
        for part, place in zip(self._parts, self._places, strict=True):
            frequencies[place] += np.diff(part.starts)
        self.starts: Numbers = np.zeros(len(self.vocabulary) + 1, dtype=np.int64)
        np.cumsum(frequencies, out=self.starts[1:])
        none = [np.zeros(0, dtype=np.int32)]
        self.lengths: NDArray[np.int32] = np.concatenate([part.lengths for part in self._parts] or none)

    def rows(self) -> Iterator[NDArray[np.int32]]:
        """The rows of all entries, term by term, some terms at a time."""
        firsts = np.cumsum([0, *(len(part.lengths) for part in self._parts)]).tolist()
        for begin, end in _runs(self.starts):
            piece = np.empty(int(self.starts[end] - self.starts[begin]), dtype=np.int32)
            for part, entries, target in self._moves(begin, end):
                piece[target] = self._parts[part].rows[entries] + np.int32(firsts[part])
            yield piece

    def counts(self) -> Iterator[NDArray[np.uint16]]:
        """The counts of the same entries."""
        for begin, end in _runs(self.starts):
            piece = np.empty(int(self.starts[end] - self.starts[begin]), dtype=np.uint16)
            for part, entries, target in self._moves(begin, end):
                piece[target] = self._parts[part].counts[entries]
            yield piece

    def _moves(self, begin: int, end: int) -> Iterator[tuple[int, slice, Numbers]]:
        """Which entries of which part go where in the piece of the terms [begin:end)."""
        filled = self.starts[begin:end] - self.starts[begin]
        for number, (part, place) in enumerate(zip(self._parts, self._places, strict=True)):
            low, high = np.searchsorted(place, (begin, end)).tolist()
            if low < high:
                own, sizes = place[low:high] - begin, np.diff(part.starts[low : high + 1])
                entries = slice(int(part.starts[low]), int(part.starts[high]))
                shift = np.repeat(filled[own] - part.starts[low:high], sizes)
                yield number, entries, shift + np.arange(entries.start, entries.stop)
                filled[own] += sizes


def merged(parts: Sequence[Postings]) -> Postings:
    """One index in memory of the rows of all parts, in their order."""
    whole = Merging(parts)
    rows = np.concatenate([*whole.rows(), np.zeros(0, dtype=np.int32)])
    counts = np.concatenate([*whole.counts(), np.zeros(0, dtype=np.uint16)])
    return Postings(whole.vocabulary, whole.starts, rows, counts, whole.lengths)


def bm25(text: str, parts: Sequence[tuple[int, Postings]], view: View) -> tuple[Numbers, NDArray[np.float64]]:
    """The rows of `view` that share a term with `text`, ascending, and the score of each, above 0.

    `parts` are (first row, index) pairs that together hold all rows. Sum over the query's terms, repeated as often as
    they stand in it, of idf * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)) with idf = ln(1 + (n - df + 0.5)
    / (df + 0.5)). Source: Robertson and Zaragoza, 2009; the idf is Lucene's, never negative.
    """
    scores = np.zeros(len(view.mask), dtype=np.float64)
    seen = len(view.rows)
    norms = K1 * B / _mean_length(parts, view)
    masked = [(first, part, view.mask[first : first + len(part.lengths)]) for first, part in parts]
    for term, times in Counter(terms(text)).items():
        found = [_entries(term, first, part, mask) for first, part, mask in masked]
        df = sum(len(rows) for rows, _, _ in found)
        weight = times * np.log1p((seen - df + 0.5) / (df + 0.5)) * (K1 + 1)
        for rows, tf, lengths in found:
            scores[rows] += weight * tf / (tf + K1 * (1 - B) + norms * lengths)
    matching = np.flatnonzero(scores)
    return matching, scores[matching]


def _entries(
    term: str, first: int, part: Postings, mask: Mask
) -> tuple[Numbers, NDArray[np.float64], NDArray[np.int32]]:
    """The visible rows of a part that hold the term, how often, and their lengths; `mask` says which of its rows are visible."""
    number = part.vocabulary.get(term)
    if number is None:
        return _NO_ROWS, _NO_COUNTS, _NO_LENGTHS
    entries = slice(int(part.starts[number]), int(part.starts[number + 1]))
    rows, counts = part.rows[entries], part.counts[entries]
    visible = mask.take(rows).nonzero()[0]
    own = rows.take(visible)
    return own.astype(np.int64) + first, counts.take(visible).astype(np.float64), part.lengths.take(own)


_NO_ROWS, _NO_COUNTS, _NO_LENGTHS = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int32)


def _mean_length(parts: Sequence[tuple[int, Postings]], view: View) -> float:
    known = view.memo.get("mean_length")
    if known is None:
        # Summed as whole numbers: the mean must not depend on what lies between the visible rows.
        total = sum(
            int(part.lengths[view.mask[first : first + len(part.lengths)]].sum(dtype=np.int64)) for first, part in parts
        )
        known = view.memo["mean_length"] = max(total / max(len(view.rows), 1), 1.0)
    return float(known)


def _runs(starts: Numbers) -> list[tuple[int, int]]:
    """Terms in runs of at most MERGED_ENTRIES entries, or one term."""
    runs = []
    begin, last = 0, len(starts) - 1
    while begin < last:
        end = int(np.searchsorted(starts, starts[begin] + MERGED_ENTRIES, side="right")) - 1
        end = min(max(end, begin + 1), last)
        runs.append((begin, end))
        begin = end
    return runs
