"""The entries of YAML as it stands in a text: which lines belong to one item of a list, read by indentation alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

ITEM = re.compile(r"([ \t]*)-(?:[ \t]+|$)")
INDENT = re.compile(r"[ \t]*")
FARTHEST = 200
"""Lines that an entry is followed back; a longer one is forgotten by its last passages."""


def entries(text: str, start: int, end: int) -> Iterator[Span]:
    r"""The lines [start:end) of a text in pieces: an outermost list item with all that is indented below it, else a single line.

    Pieces stand in order and hold every character; white space at their ends stays.

    >>> yaml = "kept:\n- name: a\n  size: 1\n- name: b"
    >>> [yaml[first:last] for first, last in entries(yaml, 0, len(yaml))]
    ['kept:\n', '- name: a\n  size: 1\n', '- name: b']
    """
    begun, within = start, -1
    for first, last in _lines(text, start, end):
        indent = _indent(text, first, last)
        blank = not text[first:last].strip()
        item = ITEM.match(text, first, last)
        # What is indented below an item belongs to it, and so does a blank line.
        if within >= 0 and (blank or indent > within):
            continue
        if first > begun:
            yield begun, first
        begun, within = first, indent if item and not blank else -1
    if end > begun:
        yield begun, end


def entry_of(text: str, start: int, place: int) -> str:
    r"""The first line of the outermost list item that goes on at `place`, in the block that begins at `start`; "" outside of one.

    It is looked for over FARTHEST lines: every passage asks, and a block may have no items at all.

    >>> entry_of("kept:\n- name: a\n  size: 1", 0, 17)
    '- name: a'
    """
    first = text.rfind("\n", start, place) + 1 or start
    found = text[first:place].strip() if ITEM.match(text, first, place) else ""
    within = _indent(text, first, len(text))
    for _ in range(FARTHEST):
        if within == 0 or first <= start:
            break
        last, first = first - 1, text.rfind("\n", start, first - 1) + 1 or start
        indent = _indent(text, first, last)
        if indent < within and indent < last - first:
            within = indent
            found = text[first:last].strip() if ITEM.match(text, first, last) else found
    return found


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end:
        cut = text.find("\n", start, end)
        after = end if cut < 0 else cut + 1
        yield start, after
        start = after


def _indent(text: str, first: int, last: int) -> int:
    found = INDENT.match(text, first, last)
    return found.end() - first if found else 0
