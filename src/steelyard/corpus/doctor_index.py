"""Checks that an index is what the library and the control plane say: rows, texts, vectors and access, in every kept generation."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.corpus import layout
from steelyard.corpus.interface import Checkable, Encoder, Progress, ProgressCallback, silent
from steelyard.corpus.library import Library
from steelyard.corpus.passages import passage
from steelyard.corpus.vectors import VectorCache
from steelyard.schema.corpus import Generation, Passage
from steelyard.schema.errors import StoreError
from steelyard.schema.findings import Finding
from steelyard.schema.scope import NOBODY

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a vector may be: float32 sums and fp16 models stay well below."""

SAMPLE = 32
"""Passages embedded again: about half a second with the embedded encoder."""

SAME_COSINE = 0.97
"""Lowest cosine of a passage's vector to the one made again: int8 vectors depend on their batch, down to .984 measured."""

Key = tuple[str, str]
"""The id of a passage and its date: a document that came back with the same bytes has rows of another date."""


@dataclass
class _Expected:
    """What one passage must be in the index: the kept generations that hold it as bits, its fields, and its text's hash."""

    held: int
    seal: bytes
    text: bytes


@dataclass
class _Tally:
    """What was found wrong, as ids."""

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    left_over: int = 0


@dataclass(frozen=True, kw_only=True)
class IndexHealth:
    """What is wrong with an index. `stale` are SHA-256 of the texts whose cached vectors disagree with the index's."""

    findings: tuple[Finding, ...]
    stale: tuple[bytes, ...] = ()
    passages: int = 0

    @property
    def broken(self) -> bool:
        """Whether the index must be made again."""
        return any(one.severity == "error" for one in self.findings)


def check_index(
    library: Library,
    index: Checkable,
    encoder: Encoder | None = None,
    *,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> IndexHealth:
    """Every row of the index against the library, the cache of vectors, the control plane, and on a sample a fresh embedding."""
    kept = library.generations()
    if not kept:
        return IndexHealth(findings=())
    expected = _expected(library, kept)
    cache = _cache(library)
    try:
        return _checked(library, index, encoder, kept, expected, cache, random.Random(seed), progress)
    except StoreError as error:
        said = f"the index cannot be read: {error.message.rstrip('.')}"
        return IndexHealth(findings=(_finding("doctor.index_unreadable", said),))
    finally:
        if cache is not None:
            cache.close()


def _cache(library: Library) -> VectorCache | None:
    """The cache of vectors; None when its file is damaged: then it has nothing to say, and is removed by a repair."""
    try:
        return VectorCache(library.path.with_name("vectors.sqlite"))
    except StoreError:
        return None


def _known(cache: VectorCache | None, encoder: str, passages: Sequence[Passage]) -> dict[bytes, NDArray[np.float32]]:
    try:
        return {} if cache is None else cache.known(encoder, [_text_hash(one) for one in passages])
    except StoreError:
        return {}


def _checked(
    library: Library,
    index: Checkable,
    encoder: Encoder | None,
    kept: Sequence[Generation],
    expected: Mapping[Key, _Expected],
    cache: VectorCache | None,
    draw: random.Random,
    progress: ProgressCallback,
) -> IndexHealth:
    tally = _Tally()
    found: dict[Key, int] = {}
    stale: list[bytes] = []
    sample: list[tuple[str, NDArray[np.float32]]] = []
    chosen = set(draw.sample(sorted(expected), min(SAMPLE, len(expected)))) if encoder is not None else set()
    behind = library.control.since(index.epoch).access.keys()
    access = library.control.all_access()
    done = 0
    for rows in index.stored():
        cached = _known(cache, kept[-1].encoder, rows.passages)
        lengths = np.linalg.norm(rows.vectors, axis=1)
        for number, entry in enumerate(rows.passages):
            held = _bits(kept, rows.added[number], rows.retired[number])
            key = _key(entry)
            if not held:
                tally.left_over += 1
                continue
            if found.get(key, 0) & held:
                tally.doubled.append(entry.id)
            found[key] = found.get(key, 0) | held
            wanted = expected.get(key)
            if wanted is not None and wanted.seal != _seal(entry):
                tally.altered.append(entry.id)
            vector, known = rows.vectors[number], cached.get(_text_hash(entry))
            if not abs(float(lengths[number]) - 1) < UNIT_TOLERANCE:
                tally.vectors.append(entry.id)
            elif known is not None and len(known) == len(vector) and not np.allclose(known, vector, atol=1e-6):
                tally.vectors.append(entry.id)
                stale.append(_text_hash(entry))
            if entry.document not in behind and entry.access != access.get(entry.document, NOBODY):
                tally.access.append(entry.id)
            if key in chosen:
                sample.append((entry.search_text, vector))
        done += len(rows.passages)
        progress(Progress(stage="check the index", done=done, total=max(done, len(expected)), rate=0.0))
    _compare(tally, kept, expected, found)
    findings = [*_findings(tally), *_embedded_again(encoder, kept[-1], sample)]
    return IndexHealth(findings=tuple(findings), stale=tuple(stale), passages=done)


def _expected(library: Library, kept: Sequence[Generation]) -> dict[Key, _Expected]:
    """Every passage of the kept generations, from the library."""
    query = (
        f"SELECT {layout.VERSION_COLUMNS}, cut.spans, cut.splitting, m.added, m.retired FROM {layout.VERSION_TABLES} "
        "JOIN cut ON cut.content = c.id"
    )
    made: dict[Key, _Expected] = {}
    for *row, packed, splitting, added, retired in library.database.connection.execute(query):
        fitting = [one for one in kept if one.splitting == splitting]
        held = _bits(kept, added, retired if retired is not None else 2**62) & _bits_of(kept, fitting)
        if not held:
            continue
        version = layout.document_version(row)
        for span in layout.unpacked_spans(packed):
            one = passage(version, span)
            entry = made.setdefault(_key(one), _Expected(0, _seal(one), _text_hash(one)))
            entry.held |= held
    return made


def _bits(kept: Sequence[Generation], added: int, retired: int) -> int:
    return sum(1 << place for place, one in enumerate(kept) if added <= one.number < retired)


def _bits_of(kept: Sequence[Generation], some: Sequence[Generation]) -> int:
    numbers = {one.number for one in some}
    return sum(1 << place for place, one in enumerate(kept) if one.number in numbers)


def _key(entry: Passage) -> Key:
    return entry.id, layout.stamp(entry.valid_from)


def _seal(entry: Passage) -> bytes:
    """All of a passage but its access, in a few bytes."""
    fields = (
        entry.document,
        entry.version,
        entry.title,
        entry.start,
        entry.end,
        entry.text,
        entry.heading,
        entry.page,
        entry.lead,
    )
    return hashlib.blake2b(repr(fields).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _text_hash(entry: Passage) -> bytes:
    return hashlib.sha256(entry.search_text.encode("utf-8", "surrogatepass")).digest()


def _compare(
    tally: _Tally, kept: Sequence[Generation], expected: Mapping[Key, _Expected], found: Mapping[Key, int]
) -> None:
    """What is expected and not found, and found and not expected, generation by generation."""
    newest = kept[-1]
    older = [one for one in kept if (one.encoder, one.splitting) != (newest.encoder, newest.splitting)]
    ignored = 0
    for one in older:
        bit = _bits_of(kept, [one])
        # An index that was made again holds only what one encoder and splitting made.
        if not any(held & bit for held in found.values()):
            ignored |= bit
    for key, wanted in expected.items():
        if (wanted.held & ~ignored) & ~found.get(key, 0):
            tally.missing.append(key[0])
    for key, held in found.items():
        entry = expected.get(key)
        if held & ~(entry.held if entry else 0):
            tally.extra.append(key[0])


def _findings(tally: _Tally) -> Iterator[Finding]:
    for code, found, message in (
        ("doctor.index_missing", tally.missing, "of the library are missing in the index"),
        ("doctor.index_extra", tally.extra, "of the index are not in the library, or in another generation"),
        ("doctor.index_doubled", tally.doubled, "are in force twice"),
        ("doctor.index_altered", tally.altered, "of the index are not the text of the library"),
        ("doctor.vector", tally.vectors, "have a vector that is not of length 1, or not the one that was made"),
        ("doctor.access", tally.access, "carry another access than the control plane says"),
    ):
        if found:
            yield _finding(
                code, f"{len(found)} passages {message}: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}"
            )
    if tally.left_over:
        yield Finding(
            code="doctor.left_over",
            severity="note",
            message=f"{tally.left_over} passages of the index are in no kept generation.",
            remedy="`steelyard compact` removes them; no search reads them.",
            file="index",
        )


def _embedded_again(
    encoder: Encoder | None, newest: Generation, sample: Sequence[tuple[str, NDArray[np.float32]]]
) -> Iterator[Finding]:
    if encoder is None or encoder.name != newest.encoder or not sample:
        return
    fresh = [encoder.encode([text])[0] for text, _ in sample]
    other = sum(float(now @ held) < SAME_COSINE for now, (_, held) in zip(fresh, sample, strict=True))
    if other:
        yield _finding("doctor.vector_differs", f"{other} of {len(sample)} passages embedded again have another vector")


def _finding(code: str, message: str) -> Finding:
    return Finding(
        code=code,
        severity="error",
        message=f"{message}.",
        remedy="`steelyard doctor --repair` makes the index again from the library.",
        file="index",
    )
