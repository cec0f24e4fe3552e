"""Versions of datasets in one SQLite file: each row's content once, and which rows each version holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from steelyard.dataset.content import content_text, item_of, key_of
from steelyard.dataset.split import NAMES, dataset_hash, hash_of_keys
from steelyard.schema.datasets import DatasetVersion
from steelyard.schema.errors import NotFoundError, StoreError, nearest
from steelyard.schema.items import Item

MIGRATIONS = (
    """
    CREATE TABLE contents (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, content TEXT NOT NULL) STRICT;
    CREATE TABLE versions (
        id INTEGER PRIMARY KEY, component TEXT NOT NULL, number INTEGER NOT NULL, dataset TEXT NOT NULL, current TEXT NOT NULL,
        parent INTEGER, created TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, files TEXT NOT NULL, rows INTEGER NOT NULL,
        named TEXT NOT NULL, shares TEXT NOT NULL, seed INTEGER NOT NULL, UNIQUE (component, number)
    ) STRICT;
    CREATE TABLE members (
        version INTEGER NOT NULL, position INTEGER NOT NULL, content INTEGER NOT NULL, name TEXT NOT NULL, row INTEGER NOT NULL,
        PRIMARY KEY (version, position)
    ) STRICT, WITHOUT ROWID;
    """,
)
"""Numbered changes of the file's schema, applied once."""

WAIT_S = 60.0
SHORTEST_PREFIX = 4
DECIDING = ("dataset", "current", "shares", "seed")  # what makes another version when it changes
_MAPPINGS = ("files", "named", "shares")
_COLUMNS = "component, number, dataset, current, parent, created, who, note, files, rows, named, shares, seed"


class DatasetHistory:
    """The datasets that were committed. Versions never change and are never removed; the file is part of what a backup holds."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def commit(
        self,
        component: str,
        items: Sequence[Item],
        current: Sequence[Item],
        *,
        shares: Mapping[str, float],
        seed: int,
        files: Mapping[str, str],
        who: str,
        note: str = "",
    ) -> tuple[DatasetVersion, bool]:
        """Keep `items` as the component's next version; the newest one where nothing changed, and False.

        `current` are those of them that hold today; `shares` and `seed` are what the split is drawn by.
        A version is a set of rows: another order or other ids of the same rows are the same version. Contents that an earlier version
        holds are not stored again. All or nothing: a crash leaves no half version.
        """
        texts = [content_text(item) for item in items]
        keys = [key_of(text) for text in texts]
        with self._connect() as database:
            last = self._newest(database, component)
            version = DatasetVersion(
                component=component,
                number=last.number + 1 if last else 1,
                dataset=hash_of_keys(keys),
                current=hash_of_keys(keys) if len(current) == len(items) else dataset_hash(current),
                parent=last.number if last else None,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                who=who,
                note=note,
                files=dict(files),
                rows=len(items),
                named={name: sum(item.split == name for item in items) for name in NAMES},
                shares=dict(shares),
                seed=seed,
            )
            if last is not None and all(getattr(last, name) == getattr(version, name) for name in DECIDING):
                return last, False
            self._insert(database, version, items, texts, keys)
        return version, True

    def versions(self, component: str | None = None) -> list[DatasetVersion]:
        """Every version (of one component), oldest first."""
        if not self._path.is_file():
            return []
        with self._connect() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM versions WHERE ? IS NULL OR component = ? ORDER BY id", (component, component)
            ).fetchall()
        return [_version(row) for row in rows]

    def find(self, name: str) -> DatasetVersion:
        """The version that `COMPONENT@NUMBER`, or the beginning of a dataset's hash (4 signs or more), names; of equal ones the newest.

        Raises:
            NotFoundError: there is none, or the beginning fits several datasets; what fits is named.
        """
        known = self.versions()
        found = [one for one in known if one.name == name]
        if not found and len(name) >= SHORTEST_PREFIX and "@" not in name:
            found = [one for one in known if one.dataset.startswith(name) or one.current.startswith(name)]
        if len({one.dataset for one in found}) > 1:
            fits = ", ".join(f"{one.name} ({one.dataset[:10]})" for one in found)
            raise NotFoundError(
                f"'{name}' fits several datasets.", remedy=f"Name one of {fits}.", code="dataset.ambiguous_version"
            )
        if not found:
            near = nearest(name, [one.name for one in known])
            hint = f"Did you mean '{near[0]}'?" if near else "`steelyard data versions` lists what is there."
            raise NotFoundError(f"there is no dataset version '{name}'.", remedy=hint, code="dataset.unknown_version")
        return found[-1]

    def rows(self, version: DatasetVersion) -> tuple[Item, ...]:
        """The rows of a version as they were, in the order of their file."""
        with self._connect() as database:
            rows = database.execute(
                "SELECT contents.content, members.name, members.row FROM versions JOIN members ON members.version = versions.id "
                "JOIN contents ON contents.number = members.content WHERE component = ? AND versions.number = ? ORDER BY position",
                (version.component, version.number),
            )
            return tuple(item_of(text, name=name, row=row) for text, name, row in rows)

    def _newest(self, database: sqlite3.Connection, component: str) -> DatasetVersion | None:
        row = database.execute(
            f"SELECT {_COLUMNS} FROM versions WHERE component = ? ORDER BY id DESC LIMIT 1", (component,)
        ).fetchone()
        return _version(row) if row else None

    @staticmethod
    def _insert(
        database: sqlite3.Connection,
        version: DatasetVersion,
        items: Sequence[Item],
        texts: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        values = {**version.__dict__, **{name: json.dumps(getattr(version, name)) for name in _MAPPINGS}}
        marks = ", ".join(f":{name.strip()}" for name in _COLUMNS.split(","))
        number = database.execute(f"INSERT INTO versions ({_COLUMNS}) VALUES ({marks})", values).lastrowid
        blobs = [bytes.fromhex(key) for key in keys]
        database.executemany(
            "INSERT OR IGNORE INTO contents (key, content) VALUES (?, ?)", zip(blobs, texts, strict=True)
        )
        database.executemany(
            "INSERT INTO members SELECT ?, ?, number, ?, ? FROM contents WHERE key = ?",
            ((number, at, item.id, item.row, blob) for at, (item, blob) in enumerate(zip(items, blobs, strict=True))),
        )

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction, committed when the block ends.

        Raises:
            StoreError: the file is locked or damaged.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
        try:
            # Before the transaction: SQLite cannot change these inside one.
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            for at in range(database.execute("PRAGMA user_version").fetchone()[0], len(MIGRATIONS)):
                for statement in MIGRATIONS[at].split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {at + 1}")
            yield database
            database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the history of the datasets cannot be used: {error}.",
                where=str(self._path),
                remedy="If another command is running, wait for it; else restore the file from a backup.",
                code="dataset.history",
            ) from error
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.close()


def _version(row: tuple[object, ...]) -> DatasetVersion:
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    read = {name: json.loads(str(values[name])) for name in _MAPPINGS}
    return DatasetVersion(**{**values, **read})
