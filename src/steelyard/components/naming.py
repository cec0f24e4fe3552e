"""Whether a question names the entry and the key that a value stands under."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from steelyard.components.fields import key_words
from steelyard.components.quotes import Span, cells
from steelyard.stores.analysis import terms

_NAME = re.compile(r"[^\W_]+(?:[._\-:/][^\W_]+)*")
_WORD = re.compile(r"[^\W_]+")
_NEWEST = re.compile(r"\b(?:most recent(?:ly)?|latest|newest|current(?:ly)?)\b", re.IGNORECASE)
_FOCUS = re.compile(
    r"\b(?:which|what)(?:'s|\s+(?:is|are|was|were))?\b(?P<focus>.*?)"
    r"(?:\b(?:of|in|for|on|at|by|with|from|is|are|was|were|has|have|does|do|did|will|can)\b|[?.,]|$)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"v(?=\d)")
_ZEROS = re.compile(r"(?:\.0)+$")
INITIALS = range(3, 6)
"""Words that a key may abbreviate by their first letters: `eol` is an end of life, `ttl` a time to live. Two letters are anything."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a quote is about by its place: the names of its row or entry, the words of its key or keys, the terms of its value.

    `date` is the first date of the entry, as text.
    """

    names: frozenset[str] = frozenset()
    keys: tuple[tuple[str, frozenset[str]], ...] = ()
    value: frozenset[str] = frozenset()
    date: str = ""


NOT_NAMED = (0.0,) * 7
"""The features of a quote that stands in no row or entry and under no key, whatever is asked: most quotes of prose."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a question names: its words as they are written, their stems, and the initials of its words in a row.

    `focus` are the stems of what it asks for by name, "release cycle" in "Which release cycle of Harrow is the newest?".
    """

    names: frozenset[str]
    stems: frozenset[str]
    initials: frozenset[str]
    focus: frozenset[str]
    newest: bool

    @classmethod
    def of(cls, question: str) -> Self:
        """Read a question."""
        letters = "".join(word[0] for word in _WORD.findall(question.lower()))
        runs = {letters[at : at + length] for length in INITIALS for at in range(len(letters) - length + 1)}
        return cls(
            names=frozenset(_names(question)),
            stems=frozenset(terms(question)),
            initials=frozenset(runs),
            focus=frozenset(terms(focus["focus"])) if (focus := _FOCUS.search(question)) else frozenset(),
            newest=bool(_NEWEST.search(question)),
        )

    def says(self, named: Named) -> float:
        """The share of the names of an entry that the question says, 0 to 1; 0 where it has none."""
        return len(named.names & self.names) / len(named.names) if named.names else 0.0

    def features(self, named: Named, newest: str) -> tuple[float, ...]:
        """The features `named`, `unnamed`, `key`, `unkeyed`, `focus`, `echo`, `newest`; see `reader.FEATURES`.

        `newest` is of `newest_of` for the document of the quote.
        """
        if not (named.names or named.keys or named.date):
            return NOT_NAMED
        said = self.says(named)
        key = max((self._key(whole, stems, self.stems) for whole, stems in named.keys), default=0.0)
        return (
            said,
            1.0 - said if named.names else 0.0,
            key,
            1.0 - key if named.keys else 0.0,
            max((self._key(whole, stems, self.focus) for whole, stems in named.keys), default=0.0),
            float(bool(named.keys) and named.value <= self.stems),
            float(bool(newest) and named.date == newest),
        )

    def _key(self, whole: str, stems: frozenset[str], said: frozenset[str]) -> float:
        if whole in self.initials:
            return 1.0
        return len(stems & said) / len(stems) if stems else 0.0


def naming(text: str, span: Span) -> Named:
    """What a span of a passage's `text` is about by its place."""
    quoted = text[span.start : span.end]
    if span.kind == "row":
        keys, value = cells(span.lead)[1:], " ".join(cells(quoted)[1:])
    elif span.key:
        keys, value = [span.key], quoted.partition(":")[2]
    else:
        return Named(names=frozenset(_names(span.entry)), date=span.date)
    return Named(
        names=frozenset(_names(span.entry)),
        keys=tuple((key.lower(), frozenset(terms(key_words(key)))) for key in keys if key),
        value=frozenset(terms(value)),
        date=span.date,
    )


def newest_of(asking: Asking, entries: Sequence[Named]) -> str:
    """The date of the newest of the entries of a document, when the question asks for the newest and names none; else ""."""
    if not asking.newest or any(one.date and asking.says(one) == 1.0 for one in entries):
        return ""
    return max((one.date for one in entries), default="")


def _names(text: str) -> list[str]:
    """Words as they are written, for `3.10` is neither 3.1 nor 10, but `v8.0.0` is 8; plain words by their stems."""
    found = []
    for name in _NAME.findall(text.lower()):
        found += terms(name) if name.isalpha() else [_ZEROS.sub("", _VERSION.sub("", name, count=1))]
    return found
