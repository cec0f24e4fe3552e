"""Patterns that name documents, and which of two is more specific."""

from __future__ import annotations

import re
from functools import lru_cache

WILD = re.compile(r"[*?]")


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """What `pattern` matches: `*` and `?` inside one part of a path, `**` across parts; a trailing `/` names a whole folder.

    >>> [bool(compiled("docs/*.md").fullmatch(name)) for name in ("docs/a.md", "docs/more/a.md")]
    [True, False]
    >>> [bool(compiled("docs/**/a.md").fullmatch(name)) for name in ("docs/a.md", "docs/x/y/a.md")]
    [True, True]
    >>> bool(compiled("docs/").fullmatch("docs/x/y.md"))
    True
    """
    pattern = pattern + "**" if pattern.endswith("/") else pattern
    out, place = "", 0
    while place < len(pattern):
        if pattern.startswith("**/", place):
            out, place = out + "(?:.*/)?", place + 3
        elif pattern.startswith("**", place):
            out, place = out + ".*", place + 2
        elif pattern[place] == "*":
            out, place = out + "[^/]*", place + 1
        elif pattern[place] == "?":
            out, place = out + "[^/]", place + 1
        else:
            out, place = out + re.escape(pattern[place]), place + 1
    return re.compile(out, re.DOTALL)


def matches(pattern: str, document: str) -> bool:
    """Whether `pattern` names `document`."""
    return compiled(pattern).fullmatch(document) is not None


def is_plain(pattern: str) -> bool:
    """Whether a pattern names one document and no other."""
    return not WILD.search(pattern) and not pattern.endswith("/")


def specificity(pattern: str) -> tuple[bool, int, int]:
    """A number that is larger for the more specific of two patterns.

    One that names a single document is most specific, then the one with the longer beginning before its first wildcard, then the
    one with more plain characters.
    """
    wild = WILD.search(pattern)
    return is_plain(pattern), wild.start() if wild else len(pattern), len(WILD.sub("", pattern))
