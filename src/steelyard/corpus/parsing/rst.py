"""reStructuredText to plain text, line by line.

A light reader instead of docutils: docutils drops what directives and roles it does not know (Sphinx's, a team's own) would have
said, and is many times slower; `docs/explanation/documents.md` has the measurement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.builder import TextBuilder, link, row
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.lines import groups, items, kind_of
from steelyard.corpus.parsing.text import decode, split_front_matter

ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
DIRECTIVE = re.compile(r"\s*\.\. +(?:\|[^|]+\| +)?([\w:.+-]+?):: *(.*)")
OPTION = re.compile(r"\s+:[\w -]+:(\s.*)?$")
COMMENT = re.compile(r"\s*\.\.(\s+(?!\[)|$)")
TARGET = re.compile(r"\s*(\.\. _[^:]*:|__ )")
FOOTNOTE = re.compile(r"\s*\.\. \[[^\]]+\] ?")
SIMPLE_RULE = re.compile(r" *={2,}(?: +={2,})+ *")
GRID_RULE = re.compile(r" *\+(?:[-=]+\+)+ *")
CODE_NAMES = "code code-block sourcecode literalinclude parsed-literal math prompt doctest"
CODE_DIRECTIVES = frozenset(CODE_NAMES.split())
SILENT_NAMES = (
    "toctree contents include raw image index currentmodule module default-role role meta automodule autoclass autofunction "
    "tabularcolumns sectnum highlight"
)
SILENT_DIRECTIVES = frozenset(SILENT_NAMES.split())
MAX_LINE = 1_000_000


def parse(content: bytes, limits: Limits) -> Parsed:
    """Read reStructuredText with YAML front matter; sections, lists, simple and grid tables, literal blocks; directives give their text.

    Raises:
        ParseError: not text, an unreadable access rule, or above a limit.
    """
    text = decode(content)
    limits.check_characters(len(text))
    if max(map(len, text.split("\n"))) > MAX_LINE:
        raise ParseError(f"a line is longer than {MAX_LINE:,} characters")
    front, body = split_front_matter(text)
    builder = TextBuilder(limits)
    builder.add("front_matter", front.text)
    _Reader(builder, body.expandtabs(8).split("\n")).run()
    return builder.finish(title=front.title, allow=front.allow, deny=front.deny)


class _Reader:
    """Goes through the runs of lines between blank lines, with what the run before announced."""

    def __init__(self, builder: TextBuilder, lines: Sequence[str]) -> None:
        self._builder = builder
        self._lines = lines
        self._styles: list[str] = []
        self._literal_indent: int | None = None  # a literal block is announced: deeper lines are code
        self._silent_indent: int | None = None  # a comment or a silent directive: deeper lines say nothing

    def run(self) -> None:
        for _, lines in groups(self._lines):
            self._run_of_lines(list(lines))

    def _run_of_lines(self, lines: list[str]) -> None:
        indent = _indent(lines[0])
        if self._silent_indent is not None:
            if indent > self._silent_indent:
                return
            self._silent_indent = None
        if self._literal_indent is not None:
            if indent > self._literal_indent:
                self._builder.add("code", _dedent(lines))
                return
            self._literal_indent = None
        while lines:
            lines = self._step(lines)

    def _step(self, lines: list[str]) -> list[str]:
        """Read what the lines begin with; gives the lines left."""
        taken = self._heading(lines)
        if taken:
            return lines[taken:]
        if ADORNMENT.fullmatch(lines[0]) and not GRID_RULE.fullmatch(lines[0]) and len(lines) == 1:
            return []  # a transition
        if TARGET.match(lines[0]):
            return lines[1:]
        if directive := DIRECTIVE.match(lines[0]):
            return self._directive(lines, directive.group(1).rsplit(":", 1)[-1], directive.group(2))
        if FOOTNOTE.match(lines[0]):
            lines[0] = FOOTNOTE.sub("", lines[0])
        elif COMMENT.match(lines[0]):
            self._silent_indent = _indent(lines[0])
            return [line for line in lines[1:] if _indent(line) <= self._silent_indent]
        self._body(lines)
        return []

    def _heading(self, lines: list[str]) -> int:
        """Add the section title the lines begin with; how many lines it took, 0 for none."""
        if len(lines) >= 3 and ADORNMENT.fullmatch(lines[0]) and lines[2].rstrip() == lines[0].rstrip():
            title, style, taken = lines[1], lines[0][0] * 2, 3
        elif (
            len(lines) >= 2
            and ADORNMENT.fullmatch(lines[1])
            and not lines[0][:1].isspace()
            and not ADORNMENT.fullmatch(lines[0])
        ):
            title, style, taken = lines[0], lines[1][0], 2
            if len(lines[1].strip()) < len(title.strip()) - 2:
                return 0
        else:
            return 0
        if SIMPLE_RULE.fullmatch(lines[taken - 1]):
            return 0
        if style not in self._styles:
            self._styles.append(style)
        self._builder.heading(self._styles.index(style) + 1, inline(title))
        return taken

    def _directive(self, lines: list[str], name: str, argument: str) -> list[str]:
        indent = _indent(lines[0])
        below = lines[1:]
        while below and OPTION.match(below[0]) and _indent(below[0]) > indent:
            below = below[1:]
        if name in SILENT_DIRECTIVES:
            self._silent_indent = indent
            return [line for line in below if _indent(line) <= indent]
        if name in CODE_DIRECTIVES:
            self._literal_indent = indent
            code = [line for line in below if _indent(line) > indent]
            if code:
                self._builder.add("code", _dedent(code))
            return below[len(code) :]
        if argument:
            self._builder.add("paragraph", inline(argument))
        return [line.removeprefix(" " * 3) for line in below]

    def _body(self, lines: list[str]) -> None:
        literal = lines[-1].rstrip().endswith("::")
        if SIMPLE_RULE.fullmatch(lines[0]):
            self._builder.add("table", "\n".join(_simple_table(lines)))
        elif GRID_RULE.fullmatch(lines[0]):
            self._builder.add("table", "\n".join(_grid_table(lines)))
        elif kind_of(lines) == "list":
            self._builder.add("list", "\n".join(_items(lines)))
        else:
            words = " ".join(line.strip() for line in lines)
            if literal:
                words = words.rstrip()[:-1].removesuffix(" :")
            if words.strip(": "):
                self._builder.add("paragraph", inline(words))
        if literal:
            self._literal_indent = _indent(lines[0])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedent(lines: Sequence[str]) -> str:
    least = min(_indent(line) for line in lines)
    return "\n".join(line[least:].rstrip() for line in lines)


def _items(lines: Sequence[str]) -> list[str]:
    """List items, each on one line, with their marks; `#.` becomes the number it stands for."""
    numbers = count(1)
    found = [re.sub(r"^(\s*)#\.", lambda mark: f"{mark.group(1)}{next(numbers)}.", item) for item in items(lines)]
    return [" " * _indent(item) + inline(item.strip()) for item in found]


def _simple_table(lines: Sequence[str]) -> list[str]:
    spans = [match.span() for match in re.finditer(r"=+", lines[0])]
    # The last column has no right edge.
    edges = [
        (start, None if place == len(spans) - 1 else spans[place + 1][0]) for place, (start, _) in enumerate(spans)
    ]
    rows: list[list[str]] = []
    for line in lines:
        if SIMPLE_RULE.fullmatch(line) or re.fullmatch(r"[ -]+", line):
            continue
        cells = [line[start:end].strip() for start, end in edges]
        if rows and not cells[0]:
            rows[-1] = [f"{before} {more}".strip() for before, more in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return [row([inline(cell) for cell in cells]) for cells in rows]


def _grid_table(lines: Sequence[str]) -> list[str]:
    rows: list[list[str]] = []
    current: list[str] = []
    for line in lines:
        if GRID_RULE.fullmatch(line):
            if current:
                rows.append(current)
            current = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        wide = max(len(cells), len(current))
        before = current + [""] * (wide - len(current))
        current = [f"{one} {two}".strip() for one, two in zip(before, cells + [""] * (wide - len(cells)), strict=True)]
    if current:
        rows.append(current)
    return [row([inline(cell) for cell in cells]) for cells in rows]


# Bounded where nothing else ends a run: from every start to the end of the text is quadratic.
ROLE = re.compile(r":[\w:.+-]{1,80}:`([^`]*)`")
NAMED_LINK = re.compile(r"`([^`<]*)<([^`>]*)>`_{0,2}")
LITERAL = re.compile(r"``(.+?)``")
PHRASE = re.compile(r"`([^`]+)`_{0,2}")
STRONG = re.compile(r"\*\*(\S(?:.{0,500}?\S)?)\*\*")
EMPHASIS = re.compile(r"(?<![\w*])\*(\S(?:[^*]*?\S)?)\*(?![\w*])")
ROLE_TARGET = re.compile(r"\s*<[^>]*>$")


def inline(text: str) -> str:
    """The words of inline markup: roles and phrases give their text, links their text and outside address.

    >>> inline("See :ref:`the prices <prices>` and **act** on ``x``.")
    'See the prices and act on x.'
    """
    text = ROLE.sub(lambda match: ROLE_TARGET.sub("", match.group(1)).lstrip("~!"), text)
    text = LITERAL.sub(r"\1", text)
    text = NAMED_LINK.sub(lambda match: link(match.group(1).rstrip(), match.group(2)), text)
    text = PHRASE.sub(r"\1", text)
    return EMPHASIS.sub(r"\1", STRONG.sub(r"\1", text))
