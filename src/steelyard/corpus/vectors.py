"""Embeddings by content: what was embedded once is not embedded again, whichever document it stands in."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.corpus.database import Database
from steelyard.corpus.interface import Encoder, Progress, ProgressCallback, silent
from steelyard.schema.errors import ModelError

MIGRATIONS = (
    """
    CREATE TABLE vector (
        encoder TEXT NOT NULL,
        hash BLOB NOT NULL,
        vector BLOB NOT NULL
    );
    CREATE UNIQUE INDEX vector_key ON vector (encoder, hash);
    """,
    "CREATE INDEX vector_hash ON vector (hash);",
)
READ_BATCH = 500
"""Keys a query; SQLite takes at least 999 parameters."""
ENCODE_BATCH = 128
"""Texts embedded between two writes: what a crash can cost, some seconds on one core."""


class VectorCache:
    """Vectors in an SQLite file, by encoder name and SHA-256 of the text. It can be deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, MIGRATIONS, synchronous="NORMAL")

    def embed(
        self, encoder: Encoder, texts: Sequence[str], progress: ProgressCallback = silent
    ) -> tuple[NDArray[np.float32], int]:
        """(vectors, how many texts had to be embedded). Vectors are float32, (texts, dim), in the order given.

        Equal texts are embedded once. New vectors are written batch by batch, so an interrupted run goes on where it was.

        Raises:
            ModelError: the encoder gave another shape than (texts, dim), or numbers that are not finite.
        """
        hashes = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        found = self._read(encoder.name, list(dict.fromkeys(hashes)), encoder.dim)
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in found}
        self._encode(encoder, missing, found, progress)
        vectors = np.empty((len(texts), encoder.dim), dtype=np.float32)
        for place, key in enumerate(hashes):
            vectors[place] = found[key]
        return vectors, len(missing)

    def known(self, encoder: str, hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors that are there of the texts with these SHA-256 hashes, under an encoder's name."""
        return self._read(encoder, list(dict.fromkeys(hashes)))

    def forget(self, hashes: Collection[bytes]) -> None:
        """Remove the vectors of the texts with these SHA-256 hashes, of every encoder."""
        with self._database.transaction() as connection:
            rows = [(key,) for key in hashes]
            connection.executemany("DELETE FROM vector WHERE hash = ?", rows)

    def shrink(self) -> None:
        """Leave nothing of removed vectors in the file."""
        self._database.shrink()

    def is_there(self) -> bool:
        """Whether the file is still the one that was opened."""
        return self._database.is_there()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _read(self, name: str, keys: Sequence[bytes], dim: int | None = None) -> dict[bytes, NDArray[np.float32]]:
        found: dict[bytes, NDArray[np.float32]] = {}
        width = None if dim is None else dim * np.dtype(np.float32).itemsize
        for start in range(0, len(keys), READ_BATCH):
            batch = keys[start : start + READ_BATCH]
            marks = ",".join("?" * len(batch))
            rows = self._database.connection.execute(
                f"SELECT hash, vector FROM vector WHERE encoder = ? AND hash IN ({marks})", (name, *batch)
            )
            found.update(
                {
                    key: np.frombuffer(blob, dtype="<f4")
                    for key, blob in rows
                    if len(blob) == (width or len(blob) // 4 * 4)
                }
            )
        return found

    def _encode(
        self,
        encoder: Encoder,
        missing: dict[bytes, str],
        found: dict[bytes, NDArray[np.float32]],
        progress: ProgressCallback,
    ) -> None:
        """Embed what is missing, in batches of like length, and add it to `found` and the file."""
        ordered = sorted(missing.items(), key=lambda item: (len(item[1]), item[0]))
        batches = [ordered[start : start + ENCODE_BATCH] for start in range(0, len(ordered), ENCODE_BATCH)]
        # Short and long batches mixed, so that the rate so far foretells the rest.
        random.Random(0).shuffle(batches)
        begin = time.perf_counter()
        done = 0
        for batch in batches:
            vectors = np.asarray(encoder.encode([text for _, text in batch]), dtype="<f4")
            if vectors.shape != (len(batch), encoder.dim) or not np.isfinite(vectors).all():
                raise ModelError(
                    f"the encoder '{encoder.name}' gave vectors of shape {vectors.shape} for {len(batch)} texts, "
                    f"or numbers that are not finite; expected ({len(batch)}, {encoder.dim}).",
                    code="corpus.bad_vectors",
                )
            rows = [(encoder.name, key, vector.tobytes()) for (key, _), vector in zip(batch, vectors, strict=True)]
            with self._database.transaction() as connection:
                connection.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", rows)
            found.update({key: vector for (key, _), vector in zip(batch, vectors, strict=True)})
            done += len(batch)
            rate = done / max(time.perf_counter() - begin, 1e-9)
            progress(Progress(stage="embed", done=done, total=len(ordered), rate=rate))
