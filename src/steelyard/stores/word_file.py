"""Keeps the inverted index on disk, so that opening a store does not read every text again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from steelyard.stores.postings import Postings
from steelyard.stores.rows import Rows

FORMAT = 1
"""Raise it when `analysis.terms` changes: indexes written before are then built again."""


def save_words(path: Path, postings: Postings, rows: Rows) -> None:
    """Write the index of `rows` to `path`, atomically."""
    from safetensors.numpy import save

    # Terms hold no line break: they are runs of word characters.
    vocabulary = np.frombuffer("\n".join(postings.vocabulary).encode(), dtype=np.uint8)
    arrays = {
        "vocabulary": vocabulary,
        "starts": postings.starts,
        "rows": postings.rows,
        "counts": postings.counts,
        "lengths": postings.lengths,
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(save(arrays, metadata={"rows": _digest(rows)}))
    os.replace(temporary, path)


def load_words(path: Path, rows: Rows) -> Postings | None:
    """The index in `path`, or None when there is none or it is not that of `rows`: then it is built from the texts again."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            if (file.metadata() or {}).get("rows") != _digest(rows):
                return None
            arrays = {name: file.get_tensor(name) for name in ("vocabulary", "starts", "rows", "counts", "lengths")}
    except (SafetensorError, OSError):
        return None
    words = arrays["vocabulary"].tobytes().decode()
    vocabulary = {term: number for number, term in enumerate(words.split("\n") if words else [])}
    return Postings(vocabulary, arrays["starts"], arrays["rows"], arrays["counts"], arrays["lengths"])


def forget_words(path: Path) -> None:
    """Remove the file: called before the rows change, so that a crash in between leaves no index of other rows."""
    path.unlink(missing_ok=True)


def _digest(rows: Rows) -> str:
    digest = hashlib.sha256(f"words {FORMAT} {len(rows)}\n".encode())
    digest.update("\n".join(rows.ids).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(rows.added).tobytes())
    return digest.hexdigest()
