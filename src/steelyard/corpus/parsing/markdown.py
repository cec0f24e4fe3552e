"""Markdown to plain text: marks go, words, code, tables and outside addresses stay."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing import html
from steelyard.corpus.parsing.builder import TextBuilder, link, row, tidy
from steelyard.corpus.parsing.hidden import hiding_tag
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.text import decode, split_front_matter

ATTRIBUTES = re.compile(r"\s*\{\s*[#.:][^}]*\}\s*$")
"""`## Prices { #prices }`: an anchor that site generators take and readers never see."""
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)")
MAX_LINE = 1_000_000
"""A single line beyond this is data, not prose; inline rules are worse than linear in it."""

MAX_NESTING = 40
"""Levels of blocks; a list takes two for each of its own."""


def parse(content: bytes, limits: Limits) -> Parsed:
    """Markdown (CommonMark and tables), with YAML front matter kept as text.

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
    tokens = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table").parse(body)
    # What lies deeper the library drops without a word.
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        raise ParseError(f"lists and quotes are nested too deeply (the limit is {MAX_NESTING // 2} levels)")
    tree = SyntaxTreeNode(tokens)
    for node in tree.children:
        _block(node, builder)
    return builder.finish(title=front.title, allow=front.allow, deny=front.deny)


def _block(node: SyntaxTreeNode, builder: TextBuilder) -> None:
    kind = node.type
    if kind == "heading":
        builder.heading(int(node.tag[1:]), ATTRIBUTES.sub("", _inline(node)))
    elif kind in ("bullet_list", "ordered_list"):
        builder.add("list", "\n".join(_list_lines(node, "")))
    elif kind in ("fence", "code_block"):
        builder.add("code", node.content)
    elif kind == "table":
        builder.add("table", "\n".join(_rows(node)))
    elif kind == "html_block":
        html.append(node.content, builder)
    elif kind == "blockquote":
        for child in node.children:
            _block(child, builder)
    elif kind != "hr":
        builder.add("paragraph", _inline(node))


def _list_lines(node: SyntaxTreeNode, indent: str) -> Iterator[str]:
    """The lines of a list: a mark before each item's first line, what belongs to the item indented below it."""
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else 0
    for place, item in enumerate(node.children):
        mark = f"{number + place}. " if node.type == "ordered_list" else "- "
        below = indent + " " * len(mark)
        first = True
        for line in _item_lines(item, below):
            yield (indent + mark + line.lstrip()) if first else line
            first = False


def _item_lines(item: SyntaxTreeNode, indent: str) -> Iterator[str]:
    for child in item.children:
        if child.type in ("bullet_list", "ordered_list"):
            yield from _list_lines(child, indent)
        elif child.type in ("fence", "code_block"):
            yield from (indent + line for line in child.content.rstrip("\n").split("\n"))
        elif child.type == "table":
            yield from (indent + line for line in _rows(child))
        elif child.type == "blockquote":
            yield from _item_lines(child, indent)
        elif child.type == "html_block":
            yield from (indent + line for line in html.plain(child.content).split("\n"))
        elif child.type != "hr":
            yield from (indent + line for line in _inline(child).split("\n"))


def _rows(table: SyntaxTreeNode) -> Iterator[str]:
    for part in table.children:
        for line in part.children:
            if cells := row([_inline(cell) for cell in line.children]):
                yield cells


def _inline(node: SyntaxTreeNode) -> str:
    """The words of a node: soft line breaks become spaces, hard ones stay."""
    return tidy("".join(_words(node)))


def _words(node: SyntaxTreeNode) -> Iterator[str]:
    hidden, depth = "", 0  # the name of the raw HTML element that hides what follows, and how often it is open
    for child in node.children:
        if child.type == "html_inline":
            if tag := TAG.match(child.content):
                closing, name = tag.group(1), tag.group(2).lower()
                if not hidden and not closing and hiding_tag(child.content):
                    hidden, depth = name, 0
                depth += (-1 if closing else 1) * (name == hidden)
                hidden = hidden if depth else ""
            if not hidden and BREAK.fullmatch(child.content):
                yield "\n"
        elif not hidden:
            yield from _word(child)


def _word(child: SyntaxTreeNode) -> Iterator[str]:
    if child.type in ("text", "code_inline", "text_special"):
        yield child.content.replace("\n", " ")
    elif child.type == "softbreak":
        yield " "
    elif child.type == "hardbreak":
        yield "\n"
    elif child.type == "link":
        yield link("".join(_words(child)), str(child.attrs.get("href", "")))
    elif child.type == "image":
        yield child.content
    else:
        yield from _words(child)
