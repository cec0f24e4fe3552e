"""Makes damaged parts of a library again: texts from their sources where the bytes are still there, passages from the texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from steelyard.corpus import layout
from steelyard.corpus.doctor import bare_version
from steelyard.corpus.interface import Parsed
from steelyard.corpus.library import Library
from steelyard.corpus.parsing import PARSER_VERSION
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.passages import SplitSettings, spans


def read_again(
    library: Library, contents: Sequence[int], root: Path, limits: Limits | None = None
) -> tuple[list[str], list[str]]:
    """Parse damaged contents again from the files below `root` that still have their bytes: (made again, not to be had), by document.

    The passages of a text that was made again are cut again by `cut_again`.
    """
    made: list[str] = []
    lost: list[str] = []
    with ParsePool(limits or Limits(), 1) as pool:
        for number in contents:
            documents = _documents(library, number)
            version, format_name = _key(library, number)
            found = next((data for name in documents if (data := _bytes(root / name)) and _sha(data) == version), None)
            outcomes = [] if found is None else [one for _, one in pool.map([(number, format_name, found)])]
            if outcomes and isinstance(outcomes[0], Parsed):
                _put(library, number, version, format_name, outcomes[0])
                made += documents
            else:
                lost += documents
    return made, lost


def cut_again(library: Library, contents: Sequence[int], splitting: SplitSettings) -> None:
    """Cut these contents again; passages of earlier splitting settings are left out, for nothing says how they were cut."""
    query = "SELECT format, title, text, headings, pages, blocks, version FROM content WHERE id = ?"
    with library.database.transaction() as connection:
        for number in contents:
            row = connection.execute(query, (number,)).fetchone()
            packed = layout.packed_spans(spans(bare_version(*row), splitting))
            connection.execute("DELETE FROM cut WHERE content = ? AND splitting = ?", (number, splitting.name))
            connection.execute("INSERT INTO cut VALUES (?, ?, ?)", (number, splitting.name, packed))


def set_aside(path: Path) -> Path:
    """Put a damaged database out of the way, with its log: its new path."""
    moved = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    if path.exists():
        path.rename(moved)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return moved


def _key(library: Library, content: int) -> tuple[str, str]:
    row = library.database.connection.execute("SELECT version, format FROM content WHERE id = ?", (content,)).fetchone()
    return str(row[0]), str(row[1])


def _documents(library: Library, content: int) -> list[str]:
    rows = library.database.connection.execute("SELECT DISTINCT document FROM member WHERE content = ?", (content,))
    return [row[0] for row in rows]


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _put(library: Library, number: int, version: str, format_name: str, parsed: Parsed) -> None:
    structure = layout.packed_structure(parsed.headings, parsed.blocks, parsed.page_starts)
    rule = layout.listed(parsed.allow), layout.listed(parsed.deny)
    row = (version, format_name, PARSER_VERSION, parsed.title, *rule, *structure, parsed.text)
    names = ", ".join(f"{name} = ?" for name in layout.CONTENT_SEALED.split(", "))
    with library.database.transaction() as connection:
        connection.execute(f"UPDATE content SET {names}, digest = ? WHERE id = ?", (*row, layout.sealed(*row), number))
