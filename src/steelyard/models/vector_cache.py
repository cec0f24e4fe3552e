"""Keeps vectors by content hash, so that a text is embedded once."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from steelyard.models.fronting import FrontingEncoder
from steelyard.models.interface import Encoder, Vectors

log = logging.getLogger("steelyard.models")

KEY_BYTES = 16
READ_ROWS = 500  # host parameters of one SQL statement; SQLite's old limit is 999
WRITE_TEXTS = 256  # texts embedded between two commits: what an interrupted run can lose


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Who opened which file."""

    process: int
    device: int
    file: int


class CachedEncoder(FrontingEncoder):
    """An encoder that remembers: vectors by encoder name and content hash in one SQLite file, safe for several threads and processes.

    Worth it for passages and labelled rows. Queries of strangers should go to the inner encoder, or the file grows
    with the traffic. Only texts that were not in the file are metered.
    """

    def __init__(self, inner: Encoder, path: Path) -> None:
        super().__init__(inner)
        self.path = path
        self._guard = Lock()
        self._opened: tuple[_Place, sqlite3.Connection] | None = None

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        return self.encode_with_progress(texts, _silent)

    def encode_with_progress(self, texts: Sequence[str], progress: Callable[[int, int], None]) -> Vectors:
        """As `encode`; `progress` gets (texts embedded so far, texts to embed), known texts left out.

        What is done is kept when it is stopped.
        """
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        keys = list(map(_key, texts))
        with self._guard:
            known = self._read(self._database(), list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        # Longest first over the whole run, so that batches hold texts of one length.
        order = sorted(missing, key=lambda key: (-len(missing[key]), key))
        for start in range(0, len(order), WRITE_TEXTS):
            part = order[start : start + WRITE_TEXTS]
            fresh = dict(zip(part, self.inner.encode([missing[key] for key in part]), strict=True))
            with self._guard:
                self._write(self._database(), fresh)
            known.update(fresh)
            progress(min(start + WRITE_TEXTS, len(order)), len(order))
        for row, key in enumerate(keys):
            vectors[row] = known[key]
        return vectors

    def known(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The vectors, (dim,) each, of those of `texts` that the file holds; nothing is computed. A file that cannot be read holds none."""
        if not texts or not self.path.is_file():
            return {}
        keys = {text: _key(text) for text in texts}
        try:
            with self._guard:
                known = self._read(self._database(), list(dict.fromkeys(keys.values())))
        except sqlite3.DatabaseError as error:
            log.warning("%s cannot be read, so what it holds is embedded again: %s", self.path.name, error)
            return {}
        return {text: known[key] for text, key in keys.items() if key in known}

    def _database(self) -> sqlite3.Connection:
        """The connection. It stays open, as closing the last one writes the whole journal to disk: 20 ms for a single text.

        Another is opened where the file was put in the place of the one that was opened, or another process was forked from this one.
        """
        if self._opened is None or self._opened[0] != self._place():
            if self._opened is not None and self._opened[0].process == os.getpid():
                self._opened[1].close()
            database = self._open()
            self._opened = self._place(), database
            weakref.finalize(self, database.close)
        return self._opened[1]

    def _place(self) -> _Place:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return _Place(process=os.getpid(), device=0, file=0)
        return _Place(process=os.getpid(), device=found.st_dev, file=found.st_ino)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self.path, timeout=60.0, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        # A lost vector is computed again: a crash of the machine may cost the last commits, never the file.
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (encoder TEXT, key BLOB, vector BLOB, PRIMARY KEY (encoder, key)) WITHOUT ROWID"
        )
        return database

    def _read(self, database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(keys), READ_ROWS):
            part = keys[start : start + READ_ROWS]
            marks = ",".join("?" * len(part))
            rows = database.execute(
                f"SELECT key, vector FROM vectors WHERE encoder = ? AND key IN ({marks})", (self.name, *part)
            )
            found.update((key, np.frombuffer(vector, dtype="<f4").astype(np.float32)) for key, vector in rows)
        return found

    def _write(self, database: sqlite3.Connection, fresh: dict[bytes, Vectors]) -> None:
        rows = [(self.name, key, vector.astype("<f4").tobytes()) for key, vector in fresh.items()]
        with database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]


def _silent(_done: int, _total: int) -> None:
    """Report no progress."""
