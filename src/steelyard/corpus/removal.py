"""Takes document states out of the library, its vectors and its index, in an order that a crash at any point leaves sound."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from steelyard.corpus import layout
from steelyard.corpus.interface import Index
from steelyard.corpus.library import Library
from steelyard.corpus.passages import passage
from steelyard.corpus.vectors import VectorCache
from steelyard.schema.corpus import Passage

BATCH = 500
"""Rows named in one SQL condition."""

PURGE = "purge"
"""The unfinished task: files still hold what the library's rows no longer name."""


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """Document states to remove, by the ids of their rows in `member`."""

    members: tuple[int, ...]


def passages_of(library: Library, members: Sequence[int]) -> Iterator[Passage]:
    """The passages of these document states, under every splitting they were cut with."""
    for part in _parts(members):
        query = (
            f"SELECT {layout.VERSION_COLUMNS}, cut.spans FROM {layout.VERSION_TABLES} "
            f"JOIN cut ON cut.content = c.id WHERE m.id IN ({part})"
        )
        for row in library.database.connection.execute(query):
            version = layout.document_version(row)
            for span in layout.unpacked_spans(row[-1]):
                yield passage(version, span)


def carry_out(
    library: Library,
    index: Index,
    doomed: Doomed,
    *,
    keep: Collection[int],
    drop: Collection[int] = (),
    erased: Collection[tuple[str, str]] = (),
) -> int:
    """Remove the states of `doomed` and the generations of `drop`; how many rows left the index. Nobody may be ingesting.

    First the vectors (they can be made again), then the library in one transaction that also notes that files are left to clean, then
    the files, then the note goes. A crash in between leaves the note, and the next call does the rest.
    """
    texts = (one.search_text for one in passages_of(library, doomed.members))
    gone = {hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts}
    vectors = VectorCache(library.path.with_name("vectors.sqlite"))
    try:
        vectors.forget(gone)
        _forget(library, doomed, drop)
        rows = index.purge(keep, erased)
        vectors.shrink()
        library.database.shrink()
    finally:
        vectors.close()
    with library.database.transaction() as connection:
        connection.execute("DELETE FROM unfinished WHERE task = ?", (PURGE,))
    return rows


def is_unfinished(library: Library) -> bool:
    """Whether a removal was cut off before the files were clean."""
    query = "SELECT 1 FROM unfinished WHERE task = ?"
    return library.database.connection.execute(query, (PURGE,)).fetchone() is not None


def _forget(library: Library, doomed: Doomed, drop: Collection[int]) -> None:
    """The rows of the library, in one transaction; the counts of the generations that stay follow."""
    now = layout.stamp_now()
    with library.database.transaction() as connection:
        connection.execute("INSERT OR IGNORE INTO unfinished VALUES (?)", (PURGE,))
        connection.executemany("UPDATE generation SET dropped = ? WHERE number = ?", [(now, number) for number in drop])
        for part in _parts(doomed.members):
            connection.execute(
                "UPDATE generation AS g SET documents = documents - (SELECT count(*) FROM member m WHERE "
                f"m.id IN ({part}) AND {_HELD_BY_G}), passages = passages - (SELECT coalesce(sum("
                "json_array_length(cut.spans)), 0) FROM member m JOIN cut ON cut.content = m.content AND "
                f"cut.splitting = g.splitting WHERE m.id IN ({part}) AND {_HELD_BY_G}) WHERE g.dropped IS NULL"
            )
            connection.execute(f"DELETE FROM member WHERE id IN ({part})")
        # Also what an interrupted ingest had parsed and put nowhere yet: it is parsed again.
        connection.execute("DELETE FROM content WHERE id NOT IN (SELECT content FROM member)")


_HELD_BY_G = "m.added <= g.number AND (m.retired IS NULL OR m.retired > g.number)"


def _parts(members: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(members), BATCH):
        yield ",".join(str(int(number)) for number in members[start : start + BATCH])
