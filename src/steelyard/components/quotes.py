"""Spans of a passage that can stand alone as a quoted answer: sentences, list items, table rows, settings, code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from steelyard.components.fields import fields, has_fields, key_of, key_words
from steelyard.corpus.passages import ABBREVIATION, STOP
from steelyard.schema.corpus import Citation, Heading, Hit, Passage

LONGEST_QUOTE = 420
"""Characters of a quote; longer answers are for reading in the page itself."""

SHORTEST_SENTENCE = 15
"""A shorter one ("Yes.", "No.") is quoted with the sentence after it: alone it says nothing that can be checked."""

WHOLE_BLOCK = 200
"""A list item or a piece of code up to this many characters is one quote; a longer one is cut into sentences or lines."""

LONGEST_LABEL = 80
"""A line of its own up to this many characters that ends without a stop names what comes after it: a heading, a term."""

Kind = Literal["sentence", "item", "row", "line", "label"]
"""`line`: of front matter or code. `label`: headings, terms, questions, table headers; they introduce answers."""

_ITEM = re.compile(r"\s*(?:[-*+•–◦▪‣]|\(?\d{1,3}[.)]|#\.|\(?[a-zA-Z][.)])\s+\S")
_SETTING = re.compile(r"\s*[\w][\w .\-]{0,40}:\s+\S")
_COLUMNS = re.compile(r"\S(?: {2,}|\t+)\S")
_GAP = re.compile(r" {2,}|\t+")
_RULE = re.compile(r"[\s|:+=\-_~^`*#.<>{}()\[\]]*")
_CODE = re.compile(r"[{};=<>$]|^\s*(?:[$#>]|curl\b|pip\b|[a-z_]+\()|::|\(\)", re.MULTILINE)
_VALUED = re.compile(r"\w+\W+\w+\W+\w+.*\d\S*(?: ?(?:%|[A-Z]{3}|\w+))?$")  # a row of a table that lost its columns
_ENDED = re.compile(r"[.!?…。！？｡;,][\"'”’»)\]」』）]*$")

Line = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Characters [start:end) of a passage's text. `lead` is what introduces them: a term, a question, a table's header.

    `key` is what they give a value for, where they say so; `entry` names the row or list entry they stand in, and `date` is the first
    date of that entry.
    """

    start: int
    end: int
    kind: Kind
    lead: str = ""
    key: str = ""
    entry: str = ""
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """A span of a hit's passage: `text` is `hit.passage.text[start:end]`. `hit_rank` counts from 0.

    With a `heading`, one of those of the passage, that is what is quoted, and the span below it is the reason: the version above a line
    of a change log.
    """

    hit: Hit
    hit_rank: int
    span: Span
    heading: Heading | None = None

    @property
    def text(self) -> str:
        """The quoted characters."""
        if self.heading is not None:
            return self.heading.text
        return self.hit.passage.text[self.span.start : self.span.end]

    def citations(self) -> tuple[Citation, ...]:
        """Where the quoted characters stand, and for a heading the span below it as well; they support the whole answer."""
        if self.heading is None:
            return (self.citation(),)
        supports = (0, len(self.text))
        copies = [
            _cited_heading(passage, heading, supports)
            for passage in self.hit.copies
            for heading in passage.headings
            if heading.text == self.heading.text
        ]
        own = replace(_cited_heading(self.hit.passage, self.heading, supports), copies=tuple(copies))
        return own, replace(self.citation(), supports=supports)

    def citation(self, at: int = 0) -> Citation:
        """The span as one of its stored document version; `at` is where it begins in the answer's text."""
        words = self.hit.passage.text[self.span.start : self.span.end]
        supports = (at, at + len(words))
        copies = [
            _cited(passage, place, words, supports)
            for passage in self.hit.copies
            # A copy may differ in case or marks: it is cited where it has the very words.
            if (place := passage.text.find(words)) >= 0
        ]
        own = _cited(self.hit.passage, self.span.start, words, supports)
        return replace(own, copies=tuple(copies))


def _cited(passage: Passage, start: int, quote: str, supports: tuple[int, int]) -> Citation:
    return Citation(
        document=passage.document,
        version=passage.version,
        start=passage.start + start,
        end=passage.start + start + len(quote),
        quote=quote,
        heading=passage.heading,
        page=passage.page,
        supports=supports,
    )


def _cited_heading(passage: Passage, heading: Heading, supports: tuple[int, int]) -> Citation:
    place = heading.start - passage.start
    path = tuple(one.text for one in reversed(headings_above(passage, place)) if one.level < heading.level)
    return replace(_cited(passage, place, heading.text, supports), heading=path)


def headings_above(passage: Passage, place: int) -> tuple[Heading, ...]:
    """The headings that hold the character at `place` of a passage's text, the nearest first, without one that begins there."""
    found: list[Heading] = []
    for heading in reversed(passage.headings):
        if heading.start < passage.start + place and (not found or heading.level < found[-1].level):
            found.append(heading)
    return tuple(found)


def in_words(text: str, span: Span) -> str:
    """The span as it would be read aloud, for matching by meaning: a table row with its column names before the cells.

    >>> in_words("Studio | 34 USD", Span(start=0, end=15, kind="row", lead="Plan | Price"))
    'Plan: Studio; Price: 34 USD'
    """
    quoted = text[span.start : span.end]
    if span.kind != "row":
        if span.entry and span.key:
            quoted = f"{key_words(span.key)}: {quoted.partition(':')[2].strip()}"
        return f"{span.lead}\n{quoted}" if span.lead else quoted
    names, given = cells(span.lead), cells(quoted)
    if len(names) != len(given):
        return f"{span.lead}\n{quoted}" if span.lead else quoted
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, given, strict=True) if cell)


def spans_of(text: str, opening: str = "") -> tuple[Span, ...]:
    """The quotable spans of a passage's text, in text order, none empty, none overlapping, none longer than LONGEST_QUOTE.

    Every letter and digit of the text is in one. Rules and bare marks are in none. `opening` is what the passage goes on from; see
    `Passage.lead`.
    """
    found: list[Span] = []
    term = ""
    introduction = ""
    for lines in _blocks(text):
        lead = " ".join(part for part in (term, introduction) if part)
        spans = [piece for span in _block(text, lines, lead, opening) for piece in _fitted(text, span)]
        spans = [span for span in spans if not _RULE.fullmatch(text[span.start : span.end])]
        introduction = ""
        if spans and spans[-1].kind == "label":
            label = text[spans[-1].start : spans[-1].end]
            # A colon announces the next block alone; a term or a question holds until the next one.
            if label.endswith(":"):
                introduction = label
            else:
                term = label
        found += spans
    return tuple(found)


def completed(quote: Quote, spans: Sequence[Span]) -> Quote:
    """A label is no answer without what it introduces: `quote` extended over the spans after it while they fit one quotation.

    `spans` are all spans of the passage. Other quotes come back as they are.
    """
    if quote.span.kind != "label":
        return quote
    end = quote.span.end
    for span in spans:
        if span.start < quote.span.end:
            continue
        if span.kind == "label" or span.end - quote.span.start > LONGEST_QUOTE:
            break
        end = span.end
        if span.kind == "sentence":
            break
    return replace(quote, span=replace(quote.span, end=end))


def resolves(passage: Passage, citation: Citation) -> bool:
    """Whether a citation lies inside `passage` and says what stands there."""
    if (passage.document, passage.version) != (citation.document, citation.version):
        return False
    start, end = citation.start - passage.start, citation.end - passage.start
    return 0 <= start < end <= len(passage.text) and passage.text[start:end] == citation.quote


def _blocks(text: str) -> Iterator[list[Line]]:
    """Runs of lines between blank ones."""
    run: list[Line] = []
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            run.append((at, at + len(line)))
        elif run:
            yield run
            run = []
        at += len(line)
    if run:
        yield run


def _block(text: str, lines: list[Line], lead: str, opening: str) -> Iterator[Span]:
    written = [text[start:end].rstrip("\n") for start, end in lines]
    settings = len(written) > 1 and all(_SETTING.match(line) for line in written)
    if has_fields(written) or (settings and opening.startswith("- ")):
        yield from _fields(text, lines, opening)
    elif _is_table(written):
        yield from _rows(text, lines, lead)
    elif any(_ITEM.match(line) for line in written):
        yield from _items(text, lines, lead)
    elif settings:
        for start, end in lines:
            yield _keyed(text, _span(text, start, end, "line", lead))
    elif _is_code(written):
        whole = lines[-1][1] - lines[0][0] <= WHOLE_BLOCK
        for start, end in [(lines[0][0], lines[-1][1])] if whole else lines:
            yield _keyed(text, _span(text, start, end, "line", lead))
    elif len(written) == 1 and _is_label(written[0]):
        yield _span(text, *lines[0], "label")
    else:
        yield from _sentences(text, lines[0][0], lines[-1][1], "sentence", lead)


def _fields(text: str, lines: list[Line], opening: str) -> Iterator[Span]:
    """One span for each key with its value; a key without one introduces what is below it."""
    for field in fields(text, lines, opening):
        span = _span(text, field.start, field.end, "line" if field.value or not field.key else "label", field.lead)
        yield replace(span, key=field.key, entry=field.entry[1], date=field.date)


def _keyed(text: str, span: Span) -> Span:
    return replace(span, key=key_of(text[span.start : span.end]))


def _is_table(lines: Sequence[str]) -> bool:
    columns = sum(
        " | " in line or line.lstrip().startswith("|") or bool(_COLUMNS.search(line.strip())) for line in lines
    )
    bars = sum(" | " in line for line in lines)
    return bars == len(lines) or (len(lines) > 1 and columns * 3 >= len(lines) * 2)


def _is_code(lines: Sequence[str]) -> bool:
    marked = sum(bool(_CODE.search(line)) and not _ENDED.search(line.rstrip(";,")) for line in lines)
    return marked * 3 >= len(lines) * 2


def _is_label(line: str) -> bool:
    line = line.strip()
    return len(line) <= LONGEST_LABEL and (line.endswith("?") or not (_ENDED.search(line) or _VALUED.search(line)))


def _rows(text: str, lines: list[Line], lead: str) -> Iterator[Span]:
    """Table rows with the header as their lead. A first row with figures in it is data: the table was cut before it."""
    first = text[lines[0][0] : lines[0][1]].strip()
    headed = len(lines) > 1 and not any(letter.isdigit() for letter in first)
    if headed:
        yield _span(text, *lines[0], "label")
    for start, end in lines[headed:]:
        row = _span(text, start, end, "row", first if headed else lead)
        yield replace(row, entry=next((cell for cell in cells(text[row.start : row.end]) if cell), ""))


def cells(row: str) -> list[str]:
    """The cells of a table row, without white space at their ends."""
    cells = row.split("|") if "|" in row else _GAP.split(row.strip())
    return [cell.strip() for cell in cells]


def _items(text: str, lines: list[Line], lead: str) -> Iterator[Span]:
    """List items with the lines that continue them; what stands before the first item is prose that introduces the list."""
    starts = [place for place, (start, end) in enumerate(lines) if _ITEM.match(text[start:end])]
    if starts[0] > 0:
        before = _span(text, lines[0][0], lines[starts[0] - 1][1], "label")
        yield before
        lead = text[before.start : before.end]
    for first, following in zip(starts, [*starts[1:], len(lines)], strict=True):
        start, end = lines[first][0], lines[following - 1][1]
        if end - start <= WHOLE_BLOCK:
            yield _keyed(text, _span(text, start, end, "item", lead))
        else:
            yield from _sentences(text, start, end, "item", lead)


def _sentences(text: str, start: int, end: int, kind: Kind, lead: str) -> Iterator[Span]:
    """Sentences; a question, or a last sentence with a colon, is a label, and a question leads what follows it."""
    begun = start
    cuts = [match for match in STOP.finditer(text, start, end) if match.end() < end]
    for after in [*(match.end() for match in cuts), end]:
        whole = text[begun:after].strip()
        unfinished = ABBREVIATION.search(text, max(begun, after - 12), after) or len(whole) < SHORTEST_SENTENCE
        if after < end and unfinished and not whole.endswith("?"):
            continue
        label = whole.endswith("?") or (whole.endswith(":") and after == end)
        if whole:
            yield _span(text, begun, after, "label" if label else kind, "" if label else lead)
        if label:
            lead = whole
        begun = after


def _span(text: str, start: int, end: int, kind: Kind, lead: str = "") -> Span:
    first, last = _ends(text, start, end)
    return Span(start=first, end=last, kind=kind, lead=lead[-2 * LONGEST_LABEL :])


def _ends(text: str, start: int, end: int) -> Line:
    """The span without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _fitted(text: str, span: Span) -> Iterator[Span]:
    """The span, cut at clauses, else at spaces, into pieces no longer than a quote may be."""
    start = span.start
    while span.end - start > LONGEST_QUOTE:
        half, limit = start + LONGEST_QUOTE // 2, start + LONGEST_QUOTE
        ends = (text.rfind(mark, half, limit) for mark in ("; ", ": ", ", ", " ", "\n"))
        cut = next((end + 1 for end in ends if end >= 0), limit)
        first, last = _ends(text, start, cut)
        yield replace(span, start=first, end=last)
        start = cut
    first, last = _ends(text, start, span.end)
    yield replace(span, start=first, end=last)
