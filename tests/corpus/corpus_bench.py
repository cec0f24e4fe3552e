from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.schema.corpus import IngestReport


class HashEncoder:
    """A deterministic encoder: a unit vector from the text's hash. Counts what it is asked for."""

    def __init__(self, name: str = "hash-8", dim: int = 8) -> None:
        self.name = name
        self.dim = dim
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded.extend(texts)
        rows = [
            np.frombuffer(hashlib.sha256(text.encode()).digest()[: self.dim], dtype=np.uint8) + 1.0 for text in texts
        ]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), self.dim)


class FileIndex:
    """A small index that keeps the contract of `stores.interface.Store.stage` and `discard` in an SQLite file, for crash tests."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS row (id TEXT, document TEXT, vector BLOB, access TEXT, added INT, retired INT)"
        )
        self._connection.execute("CREATE TABLE IF NOT EXISTS epoch (number INT)")
        self._connection.execute("CREATE INDEX IF NOT EXISTS row_id ON row (id)")
        self.staged: list[tuple[int, int, int]] = []

    def stage(self, generation: int, add: object, retire: Sequence[str]) -> None:
        assert len(add.passages) == len(add.vectors)
        self.discard(generation)
        self.staged.append((generation, len(add.passages), len(retire)))
        self._connection.execute("BEGIN")
        for name in retire:
            done = self._connection.execute(
                "UPDATE row SET retired = ? WHERE id = ? AND retired IS NULL", (generation, name)
            )
            assert done.rowcount == 1, name
        self._add(generation, add)
        self._connection.execute("COMMIT")

    def extend(self, generation: int, add: object) -> None:
        number, added, retired = self.staged[-1]
        assert number == generation
        self.staged[-1] = (number, added + len(add.passages), retired)
        self._connection.execute("BEGIN")
        self._add(generation, add)
        self._connection.execute("COMMIT")

    def _add(self, generation: int, add: object) -> None:
        for passage, vector in zip(add.passages, add.vectors, strict=True):
            access = json.dumps([passage.access.allow, passage.access.deny])
            self._connection.execute(
                "INSERT INTO row VALUES (?, ?, ?, ?, ?, NULL)",
                (passage.id, passage.document, vector.tobytes(), access, generation),
            )

    @property
    def epoch(self) -> int:
        return self._connection.execute("SELECT max(number) FROM epoch").fetchone()[0] or 0

    def restrict(self, access: object, epoch: int, withheld: object = ()) -> None:
        self._connection.execute("BEGIN")
        for document, rule in access.items():
            self._connection.execute(
                "UPDATE row SET access = ? WHERE document = ?", (json.dumps([rule.allow, rule.deny]), document)
            )
        self._connection.execute("INSERT INTO epoch VALUES (?)", (epoch,))
        self._connection.execute("COMMIT")

    def discard(self, generation: int) -> None:
        self._connection.execute("DELETE FROM row WHERE added >= ?", (generation,))
        self._connection.execute("UPDATE row SET retired = NULL WHERE retired >= ?", (generation,))

    def purge(self, keep: Sequence[int], erased: Sequence[tuple[str, str]] = ()) -> int:
        named = {(document, version[:12]) for document, version in erased}
        gone = []
        for row, name, added, retired in self._connection.execute("SELECT rowid, id, added, retired FROM row"):
            document, version = name.split("@")[0], name.split("@")[1].split(":")[0]
            needed = any(added <= number < (retired or 10**9) for number in keep)
            if not needed or named & {(document, ""), ("", version), (document, version)}:
                gone.append((row,))
        self._connection.executemany("DELETE FROM row WHERE rowid = ?", gone)
        return len(gone)

    def held(self, generation: int) -> list[tuple[str, str]]:
        query = "SELECT id, access FROM row WHERE added <= ? AND (retired IS NULL OR retired > ?) ORDER BY id"
        return self._connection.execute(query, (generation, generation)).fetchall()

    def close(self) -> None:
        self._connection.close()


class Bench:
    """A workspace folder with one source `docs`, its library, index and encoder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.docs = root / "docs"
        self.docs.mkdir(exist_ok=True)
        self.rules = [SourceRule(path="docs", allow=("everyone",))]
        self.library = Library(root / ".steelyard" / "corpus.sqlite")
        self.index = FileIndex(root / ".steelyard" / "index.sqlite")
        self.encoder = HashEncoder()
        self.settings = IngestSettings(workers=1)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def ingest(self, **changes: object) -> IngestReport:
        options = {"root": self.root, "settings": self.settings} | changes
        return ingest(self.rules, self.library, self.index, self.encoder, **options)

    def check(self) -> None:
        """The index holds exactly the passages of every generation, with the access of now."""
        for generation in self.library.generations():
            expected = sorted(
                (p.id, json.dumps([p.access.allow, p.access.deny])) for p in self.library.passages(generation.number)
            )
            assert self.index.held(generation.number) == expected
            assert generation.passages == len(expected)

    def close(self) -> None:
        self.library.close()
        self.index.close()


def git(folder: Path, *arguments: str, date: str = "2024-01-01T00:00:00Z") -> str:
    environment = {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOME": str(folder),
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout
