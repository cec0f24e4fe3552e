"""PDF to plain text: pages, paragraphs by line distance, headings by outline or font size."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.builder import TextBuilder, one_line
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.lines import LIST_ITEM, items, unwrap
from steelyard.schema.corpus import BlockKind

HYPHEN = "\ufffe"
"""PDFium writes this for a hyphen at a line's end that splits a word, and drops the line break."""
HEADING_RATIO = 1.15
"""A line is a heading when its type is this much larger than the body's."""
PARAGRAPH_RATIO = 1.35
"""A gap between lines this much larger than the usual one starts a paragraph."""
MAX_HEADING_CHARS = 120
RUNNING_SHARE = 0.5
"""A first or last line that stands on at least this share of the pages (digits aside) is a running head, not text."""
MIN_RUNNING_PAGES = 3
HEADING_LEVELS = 3
POOR_TITLES = re.compile(r"untitled|document\d*|microsoft word.*|.*\.(docx?|pdf|indd|tex)|anonymous", re.IGNORECASE)


@dataclass(frozen=True)
class _Line:
    """A line of a page: its text, the height of its type and its top, in points."""

    text: str
    size: float
    top: float


def parse(content: bytes, limits: Limits) -> Parsed:
    """A PDF with a text layer. Headings come from the outline; without one, from lines in larger type.

    Raises:
        ParseError: not a PDF, encrypted, broken, scanned pages without text, or above a limit.
    """
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        reason = "the PDF is encrypted" if "password" in str(error).lower() else f"the PDF is broken ({error})"
        raise ParseError(reason) from error
    try:
        count = len(document)
        if count > limits.pages:
            raise ParseError(f"the PDF has too many pages ({count:,}; the limit is {limits.pages:,})")
        pages: list[list[_Line]] = []
        characters = 0
        for number in range(count):
            pages.append(_lines(document, number))
            characters += sum(len(line.text) for line in pages[-1])
            limits.check_characters(characters)
        if not characters:
            raise ParseError("the PDF holds no text (scanned pages need text recognition first)")
        title = one_line(document.get_metadata_value("Title"))
        outline = _outline(document)
    finally:
        document.close()
    builder = TextBuilder(limits)
    _build(_without_running_heads(pages), outline, builder)
    return builder.finish(title="" if POOR_TITLES.fullmatch(title) else title)


def _lines(document: Any, number: int) -> list[_Line]:
    """The lines of one page in reading order; a page that PDFium cannot load has none."""
    try:
        page = document[number]
    except pdfium.PdfiumError:
        return []
    textpage = page.get_textpage()
    try:
        return _measured(textpage, textpage.get_text_range())
    finally:
        textpage.close()
        page.close()


def _measured(textpage: Any, text: str) -> list[_Line]:
    lines = []
    box = raw.FS_RECTF()
    # Characters outside the basic plane are two to PDFium and one to Python: count as PDFium does.
    index = 0
    for line in text.replace("\r\n", "\n ").split("\n"):
        start = index + len(line) - len(line.lstrip())
        index += len(line) + sum(1 for character in line if ord(character) > 0xFFFF) + 1
        words = line.replace(HYPHEN, "").strip()
        if not words:
            continue
        measured = raw.FPDFText_GetLooseCharBox(textpage.raw, start, box)
        size, top = (box.top - box.bottom, box.top) if measured else (0.0, 0.0)
        lines.append(_Line(text=words, size=round(size, 1), top=top))
    return lines


def _outline(document: Any) -> dict[int, list[tuple[str, int]]]:
    """Page index to the outline entries that point to it: (title, level from 1)."""
    entries: dict[int, list[tuple[str, int]]] = {}
    for bookmark in document.get_toc(max_depth=8):
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        title = one_line(bookmark.get_title() or "")
        if page is not None and title:
            entries.setdefault(page, []).append((title, bookmark.level + 1))
    return entries


def _without_running_heads(pages: Sequence[list[_Line]]) -> list[list[_Line]]:
    """The pages without first and last lines that most of them share."""
    seen: Counter[str] = Counter()
    for lines in pages:
        seen.update({_pattern(line) for line in (*lines[:1], *lines[-1:])})
    least = max(MIN_RUNNING_PAGES, RUNNING_SHARE * len(pages))
    # Two pages prove it only for a line that counts them.
    running = {
        pattern
        for pattern, times in seen.items()
        if times >= least or (times == len(pages) > 1 and re.search(r"\b0\b", pattern))
    }
    kept = []
    for lines in pages:
        if lines and _pattern(lines[-1]) in running:
            lines = lines[:-1]
        kept.append(lines[1:] if lines and _pattern(lines[0]) in running else list(lines))
    return kept


def _pattern(line: _Line) -> str:
    return re.sub(r"\d+", "0", line.text)


def _key(text: str) -> str:
    """Letters and digits alone, for comparing an outline entry with a line."""
    return re.sub(r"\W+", "", text).casefold()


def _levels(pages: Sequence[list[_Line]]) -> tuple[float, dict[float, int]]:
    """The size of body type (most characters), and heading sizes above it with their levels, largest first."""
    weights: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            weights[line.size] += len(line.text)
    if not weights:
        return 0.0, {}
    body = weights.most_common(1)[0][0]
    larger = sorted((size for size in weights if size > body * HEADING_RATIO), reverse=True)
    return body, {size: min(place, HEADING_LEVELS - 1) + 1 for place, size in enumerate(larger)}


def _build(pages: Sequence[list[_Line]], outline: dict[int, list[tuple[str, int]]], builder: TextBuilder) -> None:
    body, sizes = _levels(pages)
    gap = _usual_gap(pages)
    for number, lines in enumerate(pages):
        builder.page()
        waiting = {_key(title): level for title, level in outline.get(number, [])}
        paragraph: list[str] = []
        before: _Line | None = None
        for line in lines:
            level = waiting.pop(_key(line.text), 0)
            if not level and not outline and body and len(line.text) <= MAX_HEADING_CHARS:
                level = sizes.get(line.size, 0) if any(map(str.isalpha, line.text)) else 0
            parts = level or before is None or before.top - line.top > gap * PARAGRAPH_RATIO or line.top > before.top
            if parts or LIST_ITEM.match(line.text):
                _add(paragraph, builder)
                paragraph = []
            if level:
                builder.heading(level, line.text)
            else:
                paragraph.append(line.text)
            before = line
        _add(paragraph, builder)


def _add(lines: Sequence[str], builder: TextBuilder) -> None:
    if lines:
        kind: BlockKind = "list" if LIST_ITEM.match(lines[0]) else "paragraph"
        builder.add(kind, "\n".join(items(lines)) if kind == "list" else unwrap(lines))


def _usual_gap(pages: Sequence[list[_Line]]) -> float:
    """The usual distance from line to line of one size, in points: the lower quartile, for gaps between paragraphs are the fewer."""
    gaps = sorted(
        one.top - two.top
        for lines in pages
        for one, two in pairwise(lines)
        if one.top > two.top and one.size == two.size
    )
    return gaps[len(gaps) // 4] if gaps else 0.0
