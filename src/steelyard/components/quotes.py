"""Spans of a passage that can stand alone as a quoted answer: sentences, list items, table rows, code lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from steelyard.schema.corpus import Citation, Hit, Passage

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9*`$£€])")
_ROW_START = re.compile(r"\s*(?:[-*+•]\s|\d{1,3}[.)]\s|\||#{1,6}\s)")
_RULE = re.compile(r"[\s|:+=\-_~^`*]*")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|dr|mr|mrs|ms|st|fig|cf)|\b[A-Z])\.$", re.IGNORECASE)

LONGEST_QUOTE = 420
"""Characters of a quote; longer answers are for reading in the page itself."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """A span of a hit's passage: `text` is `hit.passage.text[start:end]`. `hit_rank` counts from 0."""

    hit: Hit
    hit_rank: int
    start: int
    end: int

    @property
    def text(self) -> str:
        """The quoted characters."""
        return self.hit.passage.text[self.start : self.end]

    def citation(self) -> Citation:
        """The quote as a span of its stored document version."""
        passage = self.hit.passage
        return Citation(
            document=passage.document,
            version=passage.version,
            start=passage.start + self.start,
            end=passage.start + self.end,
            quote=self.text,
            heading=passage.heading,
            page=passage.page,
        )


def quotes_of(hit: Hit, hit_rank: int) -> list[Quote]:
    """The quotable spans of one hit, in text order; never empty spans, never bare rules or heading marks."""
    return [
        Quote(hit=hit, hit_rank=hit_rank, start=start, end=end)
        for start, end in _spans(hit.passage.id, hit.passage.text)
    ]


@lru_cache(maxsize=8192)
def _spans(_passage_id: str, text: str) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for start, end in _blocks(text):
        spans += _sentences(text, start, end)
    return tuple(span for span in spans if not _RULE.fullmatch(text[span[0] : span[1]]))


def _blocks(text: str) -> list[tuple[int, int]]:
    """Paragraphs, and single lines where lines are list items, table rows or headings."""
    blocks: list[tuple[int, int]] = []
    at = 0
    open_block: tuple[int, int] | None = None
    for line in text.splitlines(keepends=True):
        start, end = at, at + len(line)
        at = end
        stripped = line.strip()
        starts_row = bool(_ROW_START.match(line)) or " | " in line or "\t" in line
        if not stripped or starts_row:
            if open_block:
                blocks.append(open_block)
            open_block = (start, end) if stripped else None
        elif open_block:
            open_block = (open_block[0], end)
        else:
            open_block = (start, end)
        if stripped.startswith(("|", "#")) and open_block:
            blocks.append(open_block)
            open_block = None
    if open_block:
        blocks.append(open_block)
    return blocks


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    block = text[start:end]
    spans = []
    begun = 0
    for match in _SENTENCE_END.finditer(block):
        if _ABBREVIATION.search(block[begun : match.start()]):
            continue
        spans.append((begun, match.start()))
        begun = match.end()
    spans.append((begun, len(block)))
    return [_trim(text, start + first, start + last) for first, last in spans if block[first:last].strip()]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    end = min(end, start + LONGEST_QUOTE) if end - start > LONGEST_QUOTE * 2 else end
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def widened(best: Quote, following: Quote | None) -> Quote:
    """`best` joined with the quote right after it in the same passage, when both fit one quotation."""
    if following is None or following.hit.passage.id != best.hit.passage.id or following.start < best.end:
        return best
    if following.end - best.start > LONGEST_QUOTE:
        return best
    return Quote(hit=best.hit, hit_rank=best.hit_rank, start=best.start, end=following.end)


def contains_span(passage: Passage, citation: Citation) -> bool:
    """Whether a citation lies inside `passage` and says what stands there."""
    if (passage.document, passage.version) != (citation.document, citation.version):
        return False
    start, end = citation.start - passage.start, citation.end - passage.start
    return 0 <= start < end <= len(passage.text) and passage.text[start:end] == citation.quote
