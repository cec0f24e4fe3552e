"""Keeps segments on disk, mapped into memory when opened: a store opens without reading its texts, vectors or words."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.stores.clusters import Clusters
from steelyard.stores.postings import Merging, Postings
from steelyard.stores.rows import Rows
from steelyard.stores.segments import BLOCK, Segment
from steelyard.stores.texts import Texts, joined
from steelyard.stores.vocabulary import Vocabulary

FORMAT = 3
"""Raise it when what a file holds changes. Until format 2 the terms were one text without their places, in no order: such a file is still
read, and one that is put together with others is written in this format."""
READ_FORMATS = ("1", "2", "3")
TERMS = 2
"""Raise it when `analysis.terms` or what stands in a text changes: files written before are then made again."""

SUFFIX = ".segment"
NAME = re.compile(r"(\d{12})-(\d{12})-([0-9a-f]{16})\.segment")
TYPES: Mapping[str, str] = {"I64": "<i8", "F32": "<f4", "I32": "<i4", "U16": "<u2", "U8": "|u1"}
"""The types of the safetensors format that are used, largest first: so every array begins where its type may."""

WARM_BYTES = 64 * 2**20
"""Size from which a file's pages are mapped by a thread of their own as soon as it is opened: the first searches would otherwise wait
for a page at every other row, 20 ms a search at a million rows."""
PAGE = 4096
SEARCHED = ("vectors", "rows", "counts", "lengths", "order")
"""What every search reads; texts are read only of what is returned."""

ATTEMPTS = 5  # to open files that another process may be putting together at this moment


@dataclass(frozen=True)
class _Array:
    name: str
    type: str
    shape: tuple[int, ...]
    pieces: Iterable[NDArray[Any]]


def write_segment(
    folder: Path, rows: Rows, first: int, parts: Sequence[Segment], clusters: Clusters | None = None
) -> Segment:
    """Write the rows of `parts`, which begin at row `first`, as one segment; atomically. Returned mapped from the file.

    `clusters` (of one part alone) says in which order the vectors are laid. Texts and vectors are copied piece by piece,
    so the memory needed does not grow with them.
    """
    count = sum(map(len, parts))
    path = folder / f"{first:012d}-{count:012d}-{_digest(rows, first, count)}{SUFFIX}"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write(temporary, _arrays(parts, count, clusters))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return read_segment(path)


def read_segment(path: Path) -> Segment:
    """The segment in a file, its arrays mapped.

    Raises:
        FileNotFoundError: it is not there (any more).
        ValueError: it is not whole.
    """
    arrays = _mapped(path)
    if path.stat().st_size >= WARM_BYTES:
        Thread(target=_warm, args=([arrays[name] for name in SEARCHED if name in arrays],), daemon=True).start()
    clusters = None
    if "order" in arrays:
        clusters = Clusters(arrays["centroids"], arrays["cluster_starts"], arrays["order"], arrays["place"])
    return Segment(
        arrays["vectors"],
        Postings(_vocabulary(arrays), arrays["starts"], arrays["rows"], arrays["counts"], arrays["lengths"]),
        Texts(arrays["offsets"], arrays["blob"]),
        clusters,
        path,
    )


def _vocabulary(arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, int]:
    if "term_offsets" in arrays:
        return Vocabulary(arrays["term_offsets"], arrays["terms"])
    words = arrays["terms"].tobytes().decode()
    return {term: number for number, term in enumerate(words.split("\n") if words else [])}


def load_segments(folder: Path, rows: Rows, first: int = 0) -> tuple[Segment, ...]:
    """The segments on disk that hold `rows` from `first` on, as many as fit; files of other rows are passed over."""
    for _ in range(ATTEMPTS):
        try:
            return tuple(_chain(folder, rows, first))
        except FileNotFoundError:
            continue  # another process has put files together since they were listed
    return ()


def forget_segments(folder: Path, kept_rows: int = 0, keep: Iterable[Path] = ()) -> None:
    """Remove the files that hold rows from `kept_rows` on, but for those in `keep`.

    Called before such rows change, so that a crash in between leaves no file of other rows.
    """
    kept = set(keep)
    for path, first, count, _ in _listed(folder):
        if first + count > kept_rows and path not in kept:
            path.unlink(missing_ok=True)


def damaged_segments(folder: Path) -> list[Path]:
    """The files whose bytes are not those that were written; reads all of them."""
    return [path for path, _, _, _ in _listed(folder) if not _whole(path)]


def _chain(folder: Path, rows: Rows, at: int) -> Iterator[Segment]:
    found = list(_listed(folder))
    while at < len(rows):
        for path, first, count, digest in sorted(found, key=lambda file: -file[2]):
            if first == at and count and at + count <= len(rows) and digest == _digest(rows, first, count):
                try:
                    segment = read_segment(path)
                except ValueError:
                    continue
                if len(segment) == count:
                    yield segment
                    at += count
                    break
        else:
            return


def _listed(folder: Path) -> Iterator[tuple[Path, int, int, str]]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        match = NAME.fullmatch(path.name)
        if match:
            yield path, int(match[1]), int(match[2]), match[3]


def _arrays(parts: Sequence[Segment], count: int, clusters: Clusters | None) -> list[_Array]:
    postings = Merging([part.postings for part in parts])
    vocabulary, entries = postings.vocabulary, int(postings.starts[-1])
    offsets = joined([part.texts for part in parts])
    dim = parts[0].vectors.shape[1]
    vectors = (block for part in parts for block in part.blocks()) if clusters is None else _laid(parts[0], clusters)
    arrays = [
        _held("starts", "I64", postings.starts),
        _held("offsets", "I64", offsets),
        _Array("vectors", "F32", (count, dim), vectors),
        _Array("rows", "I32", (entries,), postings.rows()),
        _held("lengths", "I32", postings.lengths),
        _Array("counts", "U16", (entries,), postings.counts()),
        _held("term_offsets", "I64", vocabulary.offsets),
        _held("terms", "U8", vocabulary.blob),
        _Array("blob", "U8", (int(offsets[-1]),), (part.texts.blob for part in parts)),
    ]
    if clusters is not None:
        arrays += [
            _held("cluster_starts", "I64", clusters.starts),
            _held("centroids", "F32", clusters.centroids),
            _held("order", "I32", clusters.order),
            _held("place", "I32", clusters.place),
        ]
    return sorted(arrays, key=lambda array: list(TYPES).index(array.type))


def _held(name: str, kind: str, array: NDArray[Any]) -> _Array:
    return _Array(name, kind, array.shape, [array])


def _laid(part: Segment, clusters: Clusters) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(part), BLOCK):
        yield part.of_rows(clusters.order[start : start + BLOCK].astype(np.int64))


def _write(path: Path, arrays: Sequence[_Array]) -> None:
    """A file in the safetensors format, with the SHA-256 of the arrays as the last of them."""
    header: dict[str, Any] = {"__metadata__": {"format": str(FORMAT)}}
    at = 0
    for array in (*arrays, _Array("sha256", "U8", (32,), ())):
        size = int(np.prod(array.shape, dtype=np.int64)) * np.dtype(TYPES[array.type]).itemsize
        header[array.name] = {"dtype": array.type, "shape": list(array.shape), "data_offsets": [at, at + size]}
        at += size
    packed = json.dumps(header).encode()
    packed += b" " * (-(len(packed) + 8) % 64)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        file.write(len(packed).to_bytes(8, "little") + packed)
        for array in arrays:
            for piece in array.pieces:
                data = np.ascontiguousarray(piece, dtype=TYPES[array.type]).reshape(-1).view(np.uint8).data
                digest.update(data)
                file.write(data)
        file.write(digest.digest())


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Not as the subclass that it is made as: slicing that costs ten times as much.
        data = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8:begin].tobytes())
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path.name} is not whole") from error
    if header.pop("__metadata__", {}).get("format") not in READ_FORMATS:
        raise ValueError(f"{path.name} has another format")
    if begin + max(one["data_offsets"][1] for one in header.values()) != len(data):
        raise ValueError(f"{path.name} is not whole")
    return {
        name: data[begin + one["data_offsets"][0] : begin + one["data_offsets"][1]]
        .view(TYPES[one["dtype"]])
        .reshape(one["shape"])
        for name, one in header.items()
    }


def _warm(arrays: Sequence[NDArray[Any]]) -> None:
    """Read a byte of every page."""
    for array in arrays:
        array.reshape(-1).view(np.uint8)[::PAGE].max(initial=0)


def _whole(path: Path) -> bool:
    try:
        arrays = _mapped(path)
    except (OSError, ValueError, KeyError):
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        begin = int.from_bytes(file.read(8), "little") + 8
        file.seek(begin)
        left = path.stat().st_size - begin - 32
        while left > 0:
            piece = file.read(min(left, 2**24))
            digest.update(piece)
            left -= len(piece)
    return digest.digest() == arrays["sha256"].tobytes()


def _digest(rows: Rows, first: int, count: int) -> str:
    """Names what a segment must hold: the ids of its rows, and the generations that added them."""
    digest = hashlib.sha256(f"segment {TERMS} {count}\n".encode())
    digest.update("\n".join(rows.ids[first : first + count]).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(rows.added[first : first + count]).tobytes())
    return digest.hexdigest()[:16]
