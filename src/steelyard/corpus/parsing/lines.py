"""Marks of structure in text that is only lines: lists, tables, aligned columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from steelyard.schema.corpus import BlockKind

LIST_ITEM = re.compile(r"\s*(?:[-*+•–◦▪‣]|\(?\d{1,3}[.)]|#\.|\(?[a-zA-Z][.)])\s+\S")
WRAPPED_CHARS = 45
"""A line at least this long that runs into the next was broken by the margin; shorter ones (addresses, verse) end by intent."""
COLUMNS = re.compile(r"\S(?: {2,}|\t+)\S")


def groups(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank ones, each with the number of its first line, counting from 0."""
    start = 0
    run: list[str] = []
    for number, line in enumerate(lines):
        if line.strip():
            if not run:
                start = number
            run.append(line)
        elif run:
            yield start, run
            run = []
    if run:
        yield start, run


def kind_of(lines: Sequence[str]) -> BlockKind:
    """What a run of lines is: a list, a table (aligned columns in most lines), code (all indented), else a paragraph."""
    if LIST_ITEM.match(lines[0]) and (
        len(lines) == 1 or all(LIST_ITEM.match(line) or line[:1].isspace() for line in lines[1:])
    ):
        return "list"
    columns = sum(1 for line in lines if COLUMNS.search(line.strip()))
    if len(lines) > 1 and columns * 3 >= len(lines) * 2:
        return "table"
    if len(lines) > 1 and all(line.startswith(("    ", "\t")) for line in lines):
        return "code"
    return "paragraph"


def items(lines: Sequence[str]) -> list[str]:
    """List items, each on one line with its mark and indent: what continues an item is joined to it."""
    found: list[list[str]] = []
    for line in lines:
        if LIST_ITEM.match(line) or not found:
            found.append([line.rstrip()])
        else:
            found[-1].append(line.strip())
    return [" ".join(parts) for parts in found]


def unwrap(lines: Sequence[str]) -> str:
    """A paragraph's lines with the breaks of the margin taken out, so that a quote reads as a sentence.

    >>> unwrap(["We refund within 14 days; the money goes back", "to the card it came from."])
    'We refund within 14 days; the money goes back to the card it came from.'
    """
    text = ""
    before = ""
    for line in lines:
        text += (" " if len(before.strip()) >= WRAPPED_CHARS else "\n") + line.strip() if text else line.strip()
        before = line
    return text


def laid_out(lines: Sequence[str]) -> tuple[BlockKind, str]:
    """What a run of lines is, with its text: paragraphs unwrapped, one line an item; tables and code as they stand."""
    kind = kind_of(lines)
    if kind == "paragraph":
        return kind, unwrap(lines)
    return kind, "\n".join(items(lines) if kind == "list" else [line.rstrip() for line in lines])
