"""Builds a document's plain text block by block and keeps the offsets while it grows."""

from __future__ import annotations

import re

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.schema.corpus import Block, BlockKind, Heading

# Control characters, lone surrogates and non-characters: no reader sees them and JSON or SQLite may refuse them. Zero-width marks,
# what turns the direction of text, and the tag and selector planes: they say to a machine what no reader sees. Joiners stay, for
# Persian, Indic scripts and emoji are wrong without them; so do the marks of direction (LRM, RLM), which move nothing by themselves.
UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u00ad\u180e\u200b\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
SPACES = re.compile(r"[^\S\n]+")
MAX_HEADING = 300
"""A longer heading is prose in a heading's clothes; it stays text and gets no place in heading paths."""
MAX_LINK = 120


def clean(text: str) -> str:
    """Text without control characters, lone surrogates, invisible marks and soft hyphens; line ends are line feeds."""
    return UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Text with every run of white space made one space, ends stripped."""
    return " ".join(text.split())


def tidy(text: str) -> str:
    """Text with runs of spaces made one and the ends of lines stripped; line breaks stay."""
    return "\n".join(line.strip() for line in SPACES.sub(" ", text).split("\n")).strip()


def link(text: str, target: str) -> str:
    """A link as text: an outside address follows in brackets, for it is often the fact asked for; others are dropped.

    >>> link("status page", "https://status.example")
    'status page (https://status.example)'
    >>> link("prices", "prices.md#plans")
    'prices'
    """
    bare = target.removeprefix("mailto:").strip()
    outside = target.startswith(("http://", "https://", "mailto:"))
    if not outside or len(bare) > MAX_LINK or bare.rstrip("/") in text or bare.split("://")[-1].rstrip("/") in text:
        return text
    return f"{text} ({bare})" if text.strip() else bare


def row(cells: list[str]) -> str:
    """One table row as one line: cells joined by ` | `; empty when every cell is."""
    line = " | ".join(one_line(cell) for cell in cells)
    return line.strip() if line.replace("|", "").strip() else ""


class TextBuilder:
    """Collects blocks; `finish` gives the text with headings and blocks at exact offsets."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._blocks: list[Block] = []
        self._page_starts: list[int] = []

    def add(self, kind: BlockKind, text: str) -> None:
        """Append a block, a blank line after the one before; blank text adds nothing."""
        text = clean(text).strip("\n")
        text = text.rstrip() if kind == "code" else text.strip()
        if not text.strip():
            return
        if len(self._blocks) >= self._limits.blocks:
            raise ParseError(f"the document has too many parts (the limit is {self._limits.blocks:,})")
        if self._parts:
            self._push("\n\n")
        self._blocks.append(Block(kind=kind, start=self._length, end=self._length + len(text)))
        self._push(text)

    def heading(self, level: int, text: str) -> None:
        """Append a heading of `level` (1 is the outermost) as a block of its own."""
        text = one_line(clean(text))
        if not text or len(text) > MAX_HEADING:
            self.add("paragraph", text)
            return
        self.add("heading", text)
        self._headings.append(Heading(level=max(1, level), text=text, start=self._blocks[-1].start))

    def page(self) -> None:
        """Start a page: what is added next stands on it."""
        self._page_starts.append(self._length + 2 if self._parts else 0)

    def finish(
        self, *, title: str = "", allow: tuple[str, ...] | None = None, deny: tuple[str, ...] | None = None
    ) -> Parsed:
        """The whole; without a `title`, the first heading of level 1 is it."""
        first = next((heading.text for heading in self._headings if heading.level == 1), "")
        text = "".join(self._parts)
        return Parsed(
            text=text,
            title=one_line(clean(title))[:MAX_HEADING] or first,
            headings=tuple(self._headings),
            blocks=tuple(self._blocks),
            page_starts=tuple(min(start, len(text)) for start in self._page_starts),
            allow=allow,
            deny=deny,
        )

    def _push(self, text: str) -> None:
        self._length += len(text)
        self._limits.check_characters(self._length)
        self._parts.append(text)
