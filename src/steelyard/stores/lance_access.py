"""Access of the rows of a LanceDB table: how far the table has come, what is still to be written, and the writing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.schema.errors import StoreError
from steelyard.schema.scope import NOBODY, Access
from steelyard.stores.lance_table import any_of, as_list
from steelyard.stores.rows import Holder

EPOCH_FILE = "access.json"
WAIT_S = 120.0  # for another process that writes access; 100,000 changed rows take some seconds
BATCH_DOCUMENTS = 1000  # documents in one SQL condition


class AccessMark:
    """What `restrict` said of an open table, and the epoch its folder says it has come to.

    `access` and `withheld` are applied to what is read from the table until it has caught up; `epoch` is what searches follow.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EPOCH_FILE
        self.epoch = 0
        self.access: dict[str, Access] = {}
        self.withheld: frozenset[Holder] = frozenset()
        self.open = False  # whether something is not yet in the table

    def note(self, access: Mapping[str, Access], withheld: Collection[Holder], epoch: int) -> None:
        """Remember what one `restrict` said."""
        self.access |= access
        self.withheld = frozenset(withheld)
        self.epoch = epoch
        self.open = True

    def read(self) -> None:
        """Take over the folder's epoch when it is not behind: then the table holds all that was noted here."""
        try:
            settled = int(json.loads(self._path.read_text(encoding="utf-8"))["epoch"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return  # never written, or damaged: everything is applied again
        if settled >= self.epoch:
            self.epoch, self.access, self.withheld, self.open = settled, {}, frozenset(), False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from writing access for the block."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self._path.with_suffix(".lock")):
            yield

    def settle(self, write: Callable[[], None]) -> bool:
        """Bring the table to `epoch` with `write` and note so in the folder; whether another process had come further.

        Then nothing is written, and the rows must be read again: what they say now is newer than what was noted here. Only one
        process writes at a time, and the folder's epoch never falls: an older state is not written over a newer one.
        """
        if not self.open:
            return False
        with self.alone():
            noted = self.epoch
            self.read()
            if self.open:
                write()
                beside = self._path.with_name(f".{EPOCH_FILE}.{os.getpid()}")
                beside.write_text(json.dumps({"epoch": self.epoch}), encoding="utf-8")
                os.replace(beside, self._path)
                self.open = False  # what was noted stays: a table read again later is never older than `epoch`
        return self.epoch > noted


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out for the block. An SQLite file as lock: on every system, and never left behind by a crash."""
    connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"another process keeps the index's access rules locked ({error}).",
            where=str(path.parent.name),
            remedy="Wait for it to end, then try again.",
            code="stores.access_locked",
        ) from error
    finally:
        connection.close()


def write_access(table: Any, access: Mapping[str, Access], withheld: Collection[Holder]) -> None:
    """Set the access columns of these documents' rows, then of what nobody may see; see `Store.restrict`."""
    documents: dict[Access, list[str]] = {}
    for document, rule in access.items():
        documents.setdefault(rule, []).append(document)
    for rule, named in documents.items():
        for start in range(0, len(named), BATCH_DOCUMENTS):
            _update(table, any_of("document", named[start : start + BATCH_DOCUMENTS]), rule)
    for document, version in sorted(withheld):
        rows = any_of("version", [version]) + (f" AND {any_of('document', [document])}" if document else "")
        _update(table, f"{rows} AND array_length(allow) > 0", NOBODY)


def _update(table: Any, where: str, rule: Access) -> None:
    table.update(where=where, values_sql={"allow": as_list(rule.allow), "deny": as_list(rule.deny)})
