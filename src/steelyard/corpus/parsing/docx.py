"""Word documents to plain text: headings by style, lists, tables."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.builder import TextBuilder, row
from steelyard.corpus.parsing.limits import Limits, ParseError

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
HEADING_STYLE = re.compile(r"heading\s*(\d)", re.IGNORECASE)
LIST_STYLE = re.compile(r"list", re.IGNORECASE)
CODE_STYLE = re.compile(r"code|preformatted|macro", re.IGNORECASE)
MAX_PARTS = 10_000
PIECE = 64 * 1024


def parse(content: bytes, limits: Limits) -> Parsed:
    """A .docx file, in reading order; headers, footers, comments, hidden and deleted text are left out. Word files have no fixed pages.

    Raises:
        ParseError: not a Word document, encrypted, broken, or above a limit.
    """
    if content.startswith(OLE_MAGIC):
        raise ParseError("the file is encrypted, or in the old .doc format")
    _check_archive(content, limits)
    # Imported late: python-docx loads lxml and its templates.
    from docx import Document

    try:
        document = Document(io.BytesIO(content))
        if document.element.getroottree().docinfo.doctype:
            raise ParseError("the Word document declares XML entities, which Word never does")
        _drop_hidden(document.element.body)
        builder = TextBuilder(limits)
        _body(document, builder)
        title = document.core_properties.title or ""
    except (ParseError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # python-docx and lxml raise what a broken part makes them: KeyError, XMLSyntaxError, ...
        raise ParseError(f"the Word document is broken ({type(error).__name__}: {str(error)[:120]})") from error
    return builder.finish(title="" if title.lower() in ("word document", "document", "untitled") else title)


def _check_archive(content: bytes, limits: Limits) -> None:
    """Refuse what is no archive and what would unpack to more than the limit, before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            if unpacked > limits.unpacked_bytes or len(parts) > MAX_PARTS:
                raise ParseError(
                    f"the file unpacks to too much ({unpacked / 2**20:,.0f} MiB in {len(parts):,} parts; "
                    f"the limit is {limits.unpacked_bytes / 2**20:,.0f} MiB)"
                )
            if any(part.flag_bits & 1 for part in parts):
                raise ParseError("the file is encrypted")
            for part in parts:
                # Sizes may lie: read piece by piece, a part that holds more than it says ends with a wrong checksum.
                with archive.open(part) as packed:
                    while packed.read(PIECE):
                        pass
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ParseError(f"the file is not a Word document, or it is damaged ({error})") from error


HIDDEN_RUNS = (
    ".//w:r[w:rPr/w:vanish[not(@w:val) or (@w:val != '0' and @w:val != 'false' and @w:val != 'off')]]",
    ".//w:r[w:rPr/w:sz[number(@w:val) < 4]]",  # half points: type below 2 pt
    ".//w:r[w:rPr/w:color[translate(@w:val, 'f', 'F') = 'FFFFFF']]"
    "[not(w:rPr/w:shd) and not(w:rPr/w:highlight) and not(ancestor::w:p/w:pPr/w:shd) and not(ancestor::w:tbl)]",
)
"""Runs that a reader does not see: hidden, too small, or white on white. In tables white is usual on coloured cells."""


def _drop_hidden(body: Any) -> None:
    """Take out what Word does not show: text that people cannot see must not answer them."""
    for path in HIDDEN_RUNS:
        for run in body.xpath(path):
            run.getparent().remove(run)


def _body(document: Any, builder: TextBuilder) -> None:
    from docx.table import Table

    lines: list[str] = []
    code: list[str] = []
    for item in document.iter_inner_content():
        kind, level = ("table", 0) if isinstance(item, Table) else _kind(item)
        if kind != "list" and lines:
            builder.add("list", "\n".join(lines))
            lines = []
        if kind != "code" and code:
            builder.add("code", "\n".join(code))
            code = []
        if kind == "table":
            builder.add("table", "\n".join(_rows(item)))
        elif kind == "heading":
            builder.heading(level, item.text)
        elif kind == "list" and item.text.strip():
            lines.append("  " * level + "- " + item.text.strip())
        elif kind == "code":
            code.append(item.text)
        elif kind == "paragraph":
            builder.add("paragraph", item.text)
    builder.add("list", "\n".join(lines))
    builder.add("code", "\n".join(code))


def _kind(paragraph: Any) -> tuple[str, int]:
    """(kind, level) of a paragraph, by its style: heading level from 1, list depth from 0."""
    style = paragraph.style
    name = (style.name if style is not None else None) or ""
    if name.lower() == "title":
        return "heading", 1
    if match := HEADING_STYLE.match(name):
        return "heading", max(1, int(match.group(1)))
    outline = paragraph._p.xpath("./w:pPr/w:outlineLvl/@w:val")
    if outline and outline[0].isdigit() and int(outline[0]) < 9:
        return "heading", int(outline[0]) + 1
    depth = paragraph._p.xpath("./w:pPr/w:numPr/w:ilvl/@w:val")
    if depth or LIST_STYLE.match(name):
        return "list", int(depth[0]) if depth and depth[0].isdigit() else 0
    return ("code", 0) if CODE_STYLE.search(name) else ("paragraph", 0)


def _rows(table: Any) -> Iterator[str]:
    for line in table.rows:
        seen: list[Any] = []
        cells = []
        for cell in line.cells:
            # A merged cell is listed once for each column it spans.
            if not any(cell._tc is other for other in seen):
                seen.append(cell._tc)
                cells.append(cell.text)
        if text := row(cells):
            yield text
