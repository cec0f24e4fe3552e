"""Document versions to passages: spans that keep to headings, sentences, tables, lists and code, at exact offsets."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from steelyard.corpus.entries import entries, entry_of
from steelyard.schema.corpus import Block, DocumentVersion, Heading, Passage

WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
WIDE_WEIGHT = 4
"""A Chinese, Japanese or Korean character is about one token of the encoder; a Latin one about a quarter."""
HARD_FACTOR = 1.35
"""A table, list or code block up to this much above the size stays whole: 900 characters become 1,215, near the 256 tokens the
encoder reads."""
# A stop, closing quotes and brackets, then space and something a sentence begins with; or a stop of a script without spaces.
STOP = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[¿¡]*[^\W_a-z])|[。！？｡]+[」』”’）]*\s*|\n\s*\n\s*")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|approx|no|nos|fig|figs|sec|ch|vol|pp|p|mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co|dept|est|jan|feb|mar|apr|jun|jul|"
    r"aug|sep|sept|oct|nov|dec)|\b[A-Z])\.\s+$",
    re.IGNORECASE,
)
ENDED = re.compile(r"[.!?…。！？｡][\"'”’»)\]」』）]*$")
SMALL_SHARE = 0.25
"""A section below this share of the size joins its neighbours: evidence recall@5 of BM25 on the PostgreSQL manual .34 to .42."""
LEAD_CHARS = 80
CELLS = " | "
"""What parsers put between the cells of a table; columns that only line up may be anything."""
LONGEST_LEAD = 240
"""Characters of a header row or introduction that is repeated to the search of a passage: more would outweigh its own words."""
SEPARATE_LINES = frozenset(("table", "list", "code", "front_matter"))


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How passages are cut. `size` and `overlap` are in characters of Latin text; wide scripts count four a character.

    900 characters of English prose are about 180 tokens of the embedded encoder, whose window of 256 also takes the heading path.
    `overlap` is how much of the passage before, in whole sentences or lines, a passage may repeat inside one section.
    """

    size: int = 900
    overlap: int = 0

    @property
    def name(self) -> str:
        """The settings in a word; spans cut with different names never mix."""
        return f"headings-4-{self.size}-{self.overlap}"


Span = tuple[int, int]


@dataclass(frozen=True)
class _Atom:
    """A piece that is not cut: a sentence, a row, a line, or a whole block. `weight` is its length in Latin characters.

    `opens` says that a block begins with it; `leads` that it introduces the next (a line ending in a colon, a caption).
    """

    start: int
    end: int
    weight: int
    opens: bool
    leads: bool = False


@dataclass(frozen=True)
class _Section:
    """A heading's own text: `atoms` below it, and `pieces`, the heading's line with them."""

    level: int
    atoms: tuple[_Atom, ...]
    pieces: tuple[_Atom, ...]


def split(version: DocumentVersion, settings: SplitSettings | None = None) -> list[Passage]:
    """The passages of a version, in order; `version.text[start:end]` is each one's text, without white space at the ends.

    Every character that is not white space is in a passage, or in a heading that stands in the heading path of the passages below
    it. No passage crosses a heading, and none cuts a sentence, a row or a line of code that fits the size.
    """
    return [passage(version, span) for span in spans(version, settings or SplitSettings())]


def passage(version: DocumentVersion, span: Span) -> Passage:
    """The passage of a span: its id, heading path and page follow from the version."""
    start, end = span
    return Passage(
        id=passage_id(version.document, version.version, span),
        document=version.document,
        version=version.version,
        title=version.title,
        start=start,
        end=end,
        text=version.text[start:end],
        heading=heading_path(version.headings, start, end),
        page=page_of(version, start),
        access=version.access,
        valid_from=version.valid_from,
        lead=lead_of(version, start),
        headings=headings_of(version, span),
    )


def lead_of(version: DocumentVersion, place: int) -> str:
    """What the text at `place` goes on from: a table's header row, the line that introduces a list, the first line of an entry.

    "" where it begins a table or list or stands in neither, where the first row is no header (it has figures in it, or the table has
    no marked cells), where nothing introduces the list, and where the line is longer than LONGEST_LEAD. Entries
    are those of front matter.
    """
    at = bisect_left(version.blocks, place, key=lambda block: block.start) - 1
    if at < 0 or place >= version.blocks[at].end:
        return ""
    block, before = version.blocks[at], version.blocks[at - 1] if at else None
    line = ""
    if block.kind == "table":
        first = version.text[block.start : block.end].split("\n", 1)[0].strip()
        headed = CELLS in first and not any(letter.isdigit() for letter in first)
        line = first if headed and CELLS in version.text[place : block.end].split("\n", 1)[0] else ""
    elif block.kind == "front_matter":
        line = entry_of(version.text, block.start, place)
    elif block.kind == "list" and before is not None and before.kind == "paragraph":
        last = version.text[before.start : before.end].rstrip().rsplit("\n", 1)[-1].strip()
        line = last if last.endswith((":", "：")) else ""
    return line if len(line) <= LONGEST_LEAD else ""


def page_of(version: DocumentVersion, place: int) -> int | None:
    """The page, from 1, that the character at `place` stands on; None where the format has no pages."""
    return max(1, bisect_right(version.page_starts, place)) if version.page_starts else None


def passage_id(document: str, version: str, span: Span) -> str:
    """The id of a passage.

    >>> passage_id("docs/prices.md", "0123456789abcdef", (10, 90))
    'docs/prices.md@0123456789ab:10-90'
    """
    return f"{document}@{version[:12]}:{span[0]}-{span[1]}"


def heading_path(headings: Sequence[Heading], start: int, end: int) -> tuple[str, ...]:
    """The headings above the span [start:end), outermost first: those whose section holds all of it.

    `headings` stand in text order. A heading inside the span is not above it.

    >>> heading_path((Heading(level=1, text="Prices", start=0), Heading(level=2, text="Plans", start=8)), 15, 40)
    ('Prices', 'Plans')
    """
    first = bisect_left(headings, start, key=_start)
    inside = headings[first : bisect_left(headings, end, key=_start)]
    level = min((heading.level for heading in inside), default=None)
    return tuple(heading.text for heading in _above(headings, first, level))


def headings_of(version: DocumentVersion, span: Span) -> tuple[Heading, ...]:
    """The headings above the first character of a span, outermost first, then those inside it; see `Passage.headings`.

    Only those whose words stand at their place as they are: such a heading can be quoted.
    """
    first = bisect_left(version.headings, span[0], key=_start)
    inside = version.headings[first : bisect_left(version.headings, span[1], key=_start)]
    both = (*_above(version.headings, first, None), *inside)
    return tuple(heading for heading in both if version.text.startswith(heading.text, heading.start))


def _above(headings: Sequence[Heading], first: int, level: int | None) -> list[Heading]:
    """The headings before number `first` that hold what follows, outermost first; below `level` where one is given."""
    path: list[Heading] = []
    for place in range(first - 1, -1, -1):
        heading = headings[place]
        if level is None or heading.level < level:
            path.append(heading)
            level = heading.level
            if level == 1:
                break
    return path[::-1]


def _start(heading: Heading) -> int:
    return heading.start


def spans(version: DocumentVersion, settings: SplitSettings) -> list[Span]:
    """Where the passages of a version are cut, in order."""
    found: list[Span] = []
    sections = list(_sections(version, settings))
    for group in _gathered(sections, settings):
        atoms = [atom for section in group for atom in section.pieces] if len(group) > 1 else list(group[0].atoms)
        found.extend(_packed(atoms, settings))
    return found


def _sections(version: DocumentVersion, settings: SplitSettings) -> Iterator[_Section]:
    """What stands under each heading up to the next one, whatever its level."""
    levels = {heading.start: heading.level for heading in version.headings}
    heading: Block | None = None
    atoms: list[_Atom] = []
    level = 0
    for block in version.blocks or _paragraphs(version.text):
        if block.kind != "heading":
            atoms.extend(_atoms(version.text, block, settings))
            continue
        following = levels.get(block.start, 1)
        if heading is not None or atoms:
            yield _section(version.text, heading, level, atoms, parent=following > level)
        heading, level, atoms = block, following, []
    if heading is not None or atoms:
        yield _section(version.text, heading, level, atoms, parent=False)


def _section(text: str, heading: Block | None, level: int, atoms: Sequence[_Atom], *, parent: bool) -> _Section:
    """A section; a heading with nothing under it and no deeper heading is said nowhere else, so it is its own text."""
    title: tuple[_Atom, ...] = ()
    if heading is not None:
        weight = _weight(text[heading.start : heading.end])
        title = (_Atom(heading.start, heading.end, weight, opens=True, leads=bool(atoms)),)
    own = tuple(atoms) if atoms or parent else title
    return _Section(level=level, atoms=own, pieces=title + tuple(atoms))


def _gathered(sections: Sequence[_Section], settings: SplitSettings) -> Iterator[list[_Section]]:
    """Sections one by one, but small ones together with the small ones after them on the same level or below.

    A line or two under each of many headings make poor passages alone: BM25 favours them for being short.
    """
    group: list[_Section] = []
    weight = 0
    for section in sections:
        more = sum(atom.weight + 1 for atom in section.pieces)
        small = min(weight, more) < settings.size * SMALL_SHARE
        if group and small and weight + more <= settings.size and section.level >= group[0].level > 0:
            group.append(section)
            weight += more
            continue
        if group:
            yield group
        group, weight = [section], more
    if group:
        yield group


def _paragraphs(text: str) -> list[Block]:
    """Blocks of a text that came without any: what stands between blank lines."""
    runs = re.finditer(r"[^\S\n]*\S.*(?:\n[^\S\n]*\S.*)*", text)
    return [Block(kind="paragraph", start=run.start(), end=run.end()) for run in runs]


def _weight(text: str) -> int:
    return len(text) if text.isascii() else len(text) + (WIDE_WEIGHT - 1) * len(WIDE.findall(text))


def _trimmed(text: str, start: int, end: int) -> Span | None:
    """The span without white space at its ends; None when nothing is left."""
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - (len(piece) - len(piece.rstrip()))
    return (left, right) if left < right else None


def _atoms(text: str, block: Block, settings: SplitSettings) -> Iterator[_Atom]:
    """A block as pieces: whole when it fits, else its sentences or lines; what is still too long is cut at spaces."""
    whole = _trimmed(text, block.start, block.end)
    if whole is None:
        return
    weight = _weight(text[whole[0] : whole[1]])
    separate = block.kind in SEPARATE_LINES
    if weight <= (settings.size * HARD_FACTOR if separate else settings.size / 3):
        yield _Atom(*whole, weight, opens=True, leads=not separate and _introduces(text, whole))
        return
    pieces = _lines(text, whole) if separate else _sentences(text, whole)
    if block.kind == "front_matter":
        pieces = _records(text, whole, settings.size)
    opens = True
    for start, end in pieces:
        for piece in _cut(text, start, end, settings.size):
            size = _weight(text[piece[0] : piece[1]])
            yield _Atom(*piece, size, opens=opens, leads=not separate and end == whole[1] and _introduces(text, piece))
            opens = False


def _introduces(text: str, span: Span) -> bool:
    """Whether a piece announces what follows: it ends in a colon, or is a short line without a stop (a term, a caption)."""
    start, end = span
    line = text[start:end]
    return line.endswith(":") or (len(line) <= LEAD_CHARS and "\n" not in line and not ENDED.search(line))


def _lines(text: str, span: Span) -> Iterator[Span]:
    start, end = span
    while start < end:
        cut = text.find("\n", start, end)
        after = end if cut < 0 else cut + 1
        if piece := _trimmed(text, start, after):
            yield piece
        start = after


def _records(text: str, span: Span, size: int) -> Iterator[Span]:
    """The entries of front matter: a list item whole where it fits, for its first line says what the others are about."""
    for start, end in entries(text, *span):
        if _weight(text[start:end]) > size:
            yield from _lines(text, (start, end))
        elif piece := _trimmed(text, start, end):
            yield piece


def _sentences(text: str, span: Span) -> Iterator[Span]:
    """The sentences of a span; abbreviations and initials do not end one."""
    start, end = span
    begin = start
    for match in STOP.finditer(text, start, end):
        if match.end() >= end or ABBREVIATION.search(text, max(begin, match.end() - 12), match.end()):
            continue
        if piece := _trimmed(text, begin, match.end()):
            yield piece
        begin = match.end()
    if piece := _trimmed(text, begin, end):
        yield piece


def _cut(text: str, start: int, end: int, size: int) -> Iterator[Span]:
    """A piece too long for a passage, cut at spaces, or anywhere where there is none; a piece that fits comes back as it is."""
    step = size if text[start:end].isascii() else max(1, size // WIDE_WEIGHT)
    limit = size if _weight(text[start:end]) > size else end - start
    while end - start > limit:
        reach = min(end, start + step)
        space = max(text.rfind(" ", start + step // 2, reach), text.rfind("\n", start + step // 2, reach))
        after = space if space > start else reach
        if piece := _trimmed(text, start, after):
            yield piece
        start = after
        limit = step
    if piece := _trimmed(text, start, end):
        yield piece


def _packed(atoms: Sequence[_Atom], settings: SplitSettings) -> Iterator[Span]:
    """Atoms of one section gathered into passages of about equal weight, none above the size unless one atom is."""
    left = list(accumulate((atom.weight + 1 for atom in reversed(atoms)), initial=0))[::-1]
    first = 0
    while first < len(atoms):
        # Shared out anew each time, so that what is left over never ends as a crumb.
        target = left[first] / ceil(left[first] / settings.size)
        last, weight = first, atoms[first].weight
        while last + 1 < len(atoms):
            following = atoms[last + 1]
            heavier = weight + 1 + following.weight
            if heavier > settings.size * (HARD_FACTOR if atoms[last].leads and weight < settings.size / 2 else 1):
                break
            # Near the target, stop where a block ends, or where going on would overshoot by more than stopping falls short.
            if heavier > target and heavier - target > target - weight and not atoms[last].leads:
                break
            last, weight = last + 1, heavier
        while last > first and last + 1 < len(atoms) and atoms[last].leads:
            last -= 1  # what announces the next piece goes with it
        yield atoms[first].start, atoms[last].end
        if last + 1 >= len(atoms):
            return
        first = _restart(atoms, first, last + 1, settings)


def _restart(atoms: Sequence[_Atom], first: int, following: int, settings: SplitSettings) -> int:
    """Where the next passage begins: past `first`, repeating at most the overlap and leaving room for what follows."""
    room = min(settings.overlap, settings.size - atoms[following].weight)
    begin = following
    while begin - 1 > first and atoms[begin - 1].weight < room:
        begin -= 1
        room -= atoms[begin].weight + 1
    return begin
