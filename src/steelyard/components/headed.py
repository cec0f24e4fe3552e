"""Answers that stand above the line that is asked about: the version or the day in a heading of a change log."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from steelyard.components.quotes import Quote, headings_above

KEPT_QUESTIONS = 256
"""Questions remembered: each is read for its quotes, for the best of them, and for whether that may be given."""

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"

_VERSION_ASKED = re.compile(
    r"\b(?:which|what)(?:'s|\s+(?:is|was|are|were))?(?:\s+[\w.+#'/\-]+){0,4}?\s+(?:version|release)s?\b"
    r"(?!\s+(?:cycle|date|history|notes?|polic|schedule|timeline|type|name))",
    re.IGNORECASE,
)
_DAY_ASKED = re.compile(
    r"\bwhen\s+(?:was|were|did|has|have)\b|\bsince\s+when\b|\b(?:which|what)\s+(?:day|date|month|year)\b", re.IGNORECASE
)
_VERSION = re.compile(r"(?<![\w.])v?(?P<number>\d+(?:\.\d+)+[\w.\-]*)", re.IGNORECASE)
_PLAIN_VERSION = re.compile(r"\b(?:version|release)\s+v?(?P<number>\d+)\b|^v?(?P<alone>\d{1,4})$", re.IGNORECASE)
_DAY = re.compile(
    rf"\b\d{{4}}-(?:\d\d|{_MONTHS})(?:-\d\d)?\b|\b(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTHS}\.?\s+(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s+)?\d{{4}}\b",
    re.IGNORECASE,
)


_SECTION = re.compile(
    r"^\s*\d+(?:\.\d+)*\.?\s+(?!releases?\b|version\b)[^\W\d_]|\d\.\s+\S"
    r"|\b(?:table|figure|chapter|section|part|appendix|example|step)\s+\w*\d",
    re.IGNORECASE,
)
"""What numbers a section, a table, a step: no release, though it looks like one."""


def releases_in_heading(text: str) -> frozenset[str]:
    """The versions that a heading names; the number of a section is none.

    >>> sorted(releases_in_heading("Breaking changes (8.0)")), releases_in_heading("20.10. Automatic vacuuming")
    (['8.0'], frozenset())
    """
    if _SECTION.search(text):
        return frozenset()
    plain = (found["number"] or found["alone"] for found in _PLAIN_VERSION.finditer(text.strip()))
    return _versions(text) | frozenset(plain)


def _versions(text: str) -> frozenset[str]:
    return frozenset(found["number"].rstrip(".-").lower() for found in _VERSION.finditer(text))


def _days(text: str) -> frozenset[str]:
    return frozenset(found[0].lower() for found in _DAY.finditer(text))


@dataclass(frozen=True)
class _Wanted:
    """A kind of value that a question asks for: those a line gives, those a heading gives, and those that the question says itself."""

    in_line: Callable[[str], frozenset[str]]
    in_heading: Callable[[str], frozenset[str]]
    said: frozenset[str]


@dataclass(frozen=True)
class AskedAbove:
    """What a question asks for that a heading may say: a version, a release, a day. `version`: one of the first two."""

    wanted: tuple[_Wanted, ...]
    version: bool = False

    @classmethod
    def of(cls, question: str) -> Self:
        """Read a question."""
        return cls(*_asked(question))

    def answered(self, quote: Quote) -> Quote:
        """The quote with the nearest heading above it that says what is asked for; as it is where the quote says it itself.

        What the question says already, as in "What is new in version 3.2?", is no answer to it.
        """
        if not self.wanted:
            return quote
        plain = replace(quote, heading=None)
        above = headings_above(quote.hit.passage, quote.span.start)
        for one in self.wanted:
            if one.in_line(plain.text) - one.said:
                continue
            heading = next((heading for heading in above if one.in_heading(heading.text) - one.said), None)
            if heading is not None:
                return replace(quote, heading=heading)
        return plain


@lru_cache(maxsize=KEPT_QUESTIONS)
def _asked(question: str) -> tuple[tuple[_Wanted, ...], bool]:
    wanted = []
    version = bool(_VERSION_ASKED.search(question))
    if version:
        wanted.append(_Wanted(_versions, releases_in_heading, _versions(question)))
    if _DAY_ASKED.search(question):
        wanted.append(_Wanted(_days, _days, _days(question)))
    return tuple(wanted), version
