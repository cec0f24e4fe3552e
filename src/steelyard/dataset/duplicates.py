"""Near-duplicate texts: shingles, MinHash buckets to find candidate pairs, exact Jaccard to confirm them."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE_CHARS = 4
THRESHOLD = 0.85  # one changed word in a ten-word message is about 0.8: below it rows say different things
BANDS, ROWS_PER_BAND = 20, 4  # at Jaccard 0.85 a pair is missed with probability (1 - 0.85^4)^20 = 2e-7
_PRIME = np.uint64(4294967311)  # the smallest prime above 2^32, so every 32-bit shingle keeps its own residue
_BUCKET_ALL_PAIRS = 64  # larger buckets are compared with a few representatives and neighbours: linear, not quadratic
_REPRESENTATIVES = 8
_PAIRS_AT_ONCE = 200_000

_NOT_WORD = re.compile(r"[^\w]+")


@dataclass(frozen=True)
class Pair:
    """Two texts by position, `first` < `second`, and the Jaccard similarity of their shingles, 0 to 1."""

    first: int
    second: int
    similarity: float


def normalised(text: str) -> str:
    """Text without what does not change its meaning for a router: case, punctuation, spacing, compatibility forms.

    >>> normalised("  Where’s my CARD?! ")
    'where s my card'
    """
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[Pair]:
    """Pairs of texts whose 4-character shingles have a Jaccard similarity of at least `threshold`, in order of position.

    Texts are compared as `normalised`. Of n equal texts the first is paired with each other one (similarity 1), and only
    the first takes part in further pairs, so the pairs connect each group without listing all of its n^2 pairs.
    Source: Broder, On the resemblance and containment of documents, 1997.
    """
    first_of: dict[str, int] = {}
    pairs: list[Pair] = []
    for index, text in enumerate(map(normalised, texts)):
        first = first_of.setdefault(text, index)
        if first != index:
            pairs.append(Pair(first, index, 1.0))
    unique = list(first_of)
    positions = np.fromiter(first_of.values(), dtype=np.int64, count=len(unique))
    shingles = [_shingles(text) for text in unique]
    left, right = _candidates(shingles)
    kept, similarity = _confirmed(shingles, left, right, threshold)
    pairs += [
        Pair(int(min(a, b)), int(max(a, b)), float(value))
        for a, b, value in zip(positions[left[kept]], positions[right[kept]], similarity, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def connected(size: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """For each of `size` positions the smallest position it is linked to, directly or through others."""
    parent = list(range(size))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for first, second in links:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(at) for at in range(size)]


def _shingles(text: str) -> NDArray[np.uint64]:
    # Padded, so that texts shorter than a shingle still have one.
    padded = f" {text} ".ljust(SHINGLE_CHARS)
    pieces = {padded[at : at + SHINGLE_CHARS] for at in range(len(padded) - SHINGLE_CHARS + 1)}
    return np.unique(np.fromiter((zlib.crc32(piece.encode()) for piece in pieces), dtype=np.uint64, count=len(pieces)))


def _candidates(shingles: Sequence[NDArray[np.uint64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of pairs that share a bucket, without repeats."""
    if len(shingles) < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    size = len(shingles)
    flat = np.concatenate(shingles)
    starts = np.concatenate(([0], np.cumsum([len(row) for row in shingles])[:-1]))
    rng = np.random.default_rng(1997)  # fixed: the hash functions are part of the definition, not a draw
    found: list[NDArray[np.int64]] = []
    for _ in range(BANDS):
        bucket = np.zeros(size, dtype=np.uint64)
        for _ in range(ROWS_PER_BAND):
            # a * x stays below 2^64 because a and x have at most 32 bits.
            a, b = (np.uint64(value) for value in rng.integers(1, 2**31, size=2))
            smallest = np.minimum.reduceat((a * flat + b) % _PRIME, starts)
            bucket = bucket * np.uint64(0x9E3779B97F4A7C15) + smallest
        found.append(_bucket_pairs(bucket))
    keys = np.unique(np.concatenate(found))
    return keys // size, keys % size


def _bucket_pairs(bucket: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs inside equal buckets as low * size + high."""
    size = len(bucket)
    order = np.argsort(bucket, kind="stable")
    edges = np.flatnonzero(np.diff(bucket[order])) + 1
    keys: list[NDArray[np.int64]] = []
    for members in np.split(order, edges):
        if len(members) < 2:
            continue
        if len(members) <= _BUCKET_ALL_PAIRS:
            low, high = np.triu_indices(len(members), 1)
            keys.append(members[low] * size + members[high])
        else:
            keys.append(members[:-1] * size + members[1:])
            keys += [member * size + members[at + 1 :] for at, member in enumerate(members[:_REPRESENTATIVES])]
    return np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)


def _confirmed(
    shingles: Sequence[NDArray[np.uint64]], left: NDArray[np.int64], right: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices of the pairs that reach `threshold`, and their exact similarity."""
    lengths = np.array([len(row) for row in shingles], dtype=np.int64)
    short, long = np.minimum(lengths[left], lengths[right]), np.maximum(lengths[left], lengths[right])
    # The intersection is at most the smaller set: most candidates fall here without being looked at.
    possible = np.flatnonzero(short >= threshold * long)
    kept: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float64]] = []
    for at in range(0, len(possible), _PAIRS_AT_ONCE):
        chunk = possible[at : at + _PAIRS_AT_ONCE]
        shared = np.fromiter(
            (
                len(np.intersect1d(shingles[a], shingles[b], assume_unique=True))
                for a, b in zip(left[chunk], right[chunk], strict=True)
            ),
            dtype=np.int64,
            count=len(chunk),
        )
        similarity = shared / (lengths[left[chunk]] + lengths[right[chunk]] - shared)
        enough = similarity >= threshold
        kept.append(chunk[enough])
        values.append(similarity[enough])
    if not kept:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
    return np.concatenate(kept), np.concatenate(values)
