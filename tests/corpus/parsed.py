"""Parsing one file, and what holds for anything that was parsed."""

from __future__ import annotations

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing import PARSERS
from steelyard.corpus.parsing.limits import Limits


def parse(name: str, content: str | bytes, limits: Limits | None = None) -> Parsed:
    raw = content if isinstance(content, bytes) else content.encode()
    return PARSERS.load(name)(raw, limits or Limits())


def kinds(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def headings(parsed: Parsed) -> list[tuple[int, str]]:
    for heading in parsed.headings:
        assert parsed.text[heading.start : heading.start + len(heading.text)] == heading.text
    return [(heading.level, heading.text) for heading in parsed.headings]


def check_structure(parsed: Parsed) -> None:
    end = 0
    for block in parsed.blocks:
        assert parsed.text[end : block.start].strip() == ""
        assert end <= block.start < block.end <= len(parsed.text)
        end = block.end
    assert parsed.text[end:].strip() == ""
    assert list(parsed.page_starts) == sorted(parsed.page_starts)
    headings(parsed)
    parsed.text.encode("utf-8")
