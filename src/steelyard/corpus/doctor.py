"""Checks the library: every stored text, cut, document state and generation against what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.corpus import layout
from steelyard.corpus.library import Library
from steelyard.corpus.passages import SplitSettings, spans
from steelyard.schema.corpus import DocumentVersion, Generation
from steelyard.schema.errors import StoreError
from steelyard.schema.findings import Finding

NAMED = 5
"""How many of the damaged things one finding names."""

REPAIR = "`steelyard doctor --repair` makes it again from the sources, where the same bytes are still there."


@dataclass(frozen=True, kw_only=True)
class LibraryHealth:
    """What is wrong with a library. `readable` is False when the file itself is damaged: nothing further was looked at.

    `contents` and `cuts` are ids in the table `content`: texts that are not what was stored, and texts whose passages are not.
    `records` says that records of documents or generations are damaged, which nothing else tells.
    """

    findings: tuple[Finding, ...]
    readable: bool = True
    contents: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    records: bool = False


def check_library(library: Library) -> LibraryHealth:
    """Every check of the library alone; nothing is changed."""
    name = library.path.name
    try:
        broken = library.database.damage()
        if broken:
            return LibraryHealth(findings=(damaged_file(name, "; ".join(broken[:NAMED]), _LIBRARY),), readable=False)
        contents = list(_damaged_contents(library))
        cuts = [number for number in _damaged_cuts(library) if number not in contents]
        findings = [
            *_listed(
                "doctor.text", "the stored text of {} is not what was stored.", _documents(library, contents), REPAIR
            ),
            *_listed(
                "doctor.spans",
                "the passages of {} are not those of its text.",
                _documents(library, cuts),
                "`steelyard doctor --repair` cuts it again.",
            ),
            *_listed("doctor.state", "the record of {} is damaged.", list(_damaged_members(library)), _LIBRARY),
            *_generations(library),
        ]
    except (StoreError, ValueError, TypeError) as error:
        said = error.message if isinstance(error, StoreError) else str(error)
        return LibraryHealth(findings=(damaged_file(name, said, _LIBRARY),), readable=False)
    records = any(one.code in ("doctor.state", "doctor.generation") for one in findings) and not cuts
    return LibraryHealth(findings=tuple(findings), contents=tuple(contents), cuts=tuple(cuts), records=records)


_LIBRARY = (
    "`steelyard doctor --repair` sets the library aside and ingests the sources into a new one: earlier generations are lost, unless "
    "you put the file back from a backup."
)


def damaged_file(file: str, message: str, remedy: str, code: str = "doctor.file") -> Finding:
    """The finding for a file that cannot be read or is not what was written."""
    return Finding(code=code, severity="error", message=f"the file is damaged: {message}.", remedy=remedy, file=file)


def _listed(code: str, message: str, found: list[str], remedy: str) -> Iterator[Finding]:
    """One finding for each damaged thing, up to NAMED, and one that counts the others."""
    for name in found[:NAMED]:
        yield Finding(code=code, severity="error", message=message.format(name), remedy=remedy, file="corpus.sqlite")
    if len(found) > NAMED:
        more = f"{len(found) - NAMED} more documents"
        yield Finding(code=code, severity="error", message=message.format(more), remedy=remedy, file="corpus.sqlite")


def _damaged_contents(library: Library) -> Iterator[int]:
    query = f"SELECT id, digest, {layout.CONTENT_SEALED} FROM content WHERE digest IS NOT NULL"
    for number, digest, *row in library.database.connection.execute(query):
        if layout.sealed(*row) != digest:
            yield number


def _damaged_members(library: Library) -> Iterator[str]:
    query = f"SELECT digest, {layout.MEMBER_SEALED} FROM member WHERE digest IS NOT NULL"
    for digest, *row in library.database.connection.execute(query):
        if layout.sealed(*row) != digest:
            yield f"'{row[0]}'"


def _damaged_cuts(library: Library) -> Iterator[int]:
    query = (
        "SELECT cut.content, cut.splitting, cut.spans, c.format, c.title, c.text, c.headings, c.pages, c.blocks, c.version "
        "FROM cut JOIN content c ON c.id = cut.content"
    )
    for number, splitting, packed, *row in library.database.connection.execute(query):
        settings = _settings(splitting)
        try:
            held = layout.unpacked_spans(packed)
            whole = held == spans(bare_version(*row), settings) if settings else _inside(held, len(row[2]))
        except (ValueError, TypeError):
            whole = False
        if not whole:
            yield number


def _inside(held: list[tuple[int, int]], length: int) -> bool:
    return all(0 <= start < end <= length for start, end in held)


def _settings(splitting: str) -> SplitSettings | None:
    """The settings behind a name that today's splitter gives; None for another splitter's."""
    match = re.search(r"(\d+)-(\d+)$", splitting)
    if match is None:
        return None
    made = SplitSettings(size=int(match[1]), overlap=int(match[2]))
    return made if made.name == splitting else None


def bare_version(
    format_name: str, title: str, text: str, headings: str, pages: str, blocks: str, version: str
) -> DocumentVersion:
    """A stored content as a version of no document."""
    moment = "2000-01-01T00:00:00+00:00"
    row = ("-", version, "-", format_name, title, text, "[]", "[]", moment, None, headings, pages, blocks)
    return layout.document_version(row)


def _documents(library: Library, contents: list[int]) -> list[str]:
    """A document for each content, with its version."""
    found = []
    for number in contents:
        row = library.database.connection.execute(
            f"SELECT m.document, c.version FROM {layout.VERSION_TABLES} WHERE c.id = ? ORDER BY m.id DESC LIMIT 1",
            (number,),
        ).fetchone()
        found.append(f"'{row[0]}' (version {row[1][:12]})" if row else "a document of no generation")
    return found


def _generations(library: Library) -> Iterator[Finding]:
    """The one in force is there, and every kept one holds as many documents and passages as its record says."""
    made = library.generations()
    force = library.in_force()
    if force and force not in {one.number for one in made}:
        yield _wrong(f"generation {force} should answer and is not there.")
    for one in made:
        documents, passages = _held(library, one)
        if (documents, passages) != (one.documents, one.passages):
            yield _wrong(
                f"generation {one.number} should hold {one.documents} documents and {one.passages} passages; it holds "
                f"{documents} and {passages}."
            )


def _held(library: Library, made: Generation) -> tuple[int, int]:
    query = (
        "SELECT count(*), coalesce(sum(json_array_length(cut.spans)), 0) FROM member m "
        f"LEFT JOIN cut ON cut.content = m.content AND cut.splitting = :splitting WHERE {layout.HELD}"
    )
    values = {"number": made.number, "splitting": made.splitting}
    documents, passages = library.database.connection.execute(query, values).fetchone()
    return int(documents), int(passages)


def _wrong(message: str) -> Finding:
    return Finding(code="doctor.generation", severity="error", message=message, remedy=_LIBRARY, file="corpus.sqlite")
