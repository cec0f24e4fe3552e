"""Whether a quote stands under another release than the one that a question names."""

from __future__ import annotations

import re

from steelyard.components.headed import AskedAbove, releases_in_heading
from steelyard.components.quotes import Quote, headings_above

_FIGURE = re.compile(r"[^\W_]+(?:[._\-:/][^\W_]+)*")
_ENTRY = re.compile(r"v?\d")
_LETTER_V = re.compile(r"v(?=\d)")
_ZEROS = re.compile(r"(?:\.0)+$")
_NUMBER = re.compile(r"(?<![#/\w.:\-])[^\W_]+(?:[.\-][^\W_]+)*(?![/:\w])")
_MARKED = re.compile(r"#(\d+)\b")
_DOTTED = re.compile(r"(?<![\w.])v?\d+(?:\.\w+)+")
_NAME = re.compile(r"(?<=\w )[A-Z][\w+\-]*[\w+]|\b[a-z]+[A-Z]\w*")
_RELEASE = re.compile(
    r"(?<![\w.])v?(?P<dotted>\d+(?:\.\w+)+)|\b(?:[Vv]ersion|[Rr]elease|[Cc]ycle|[Ss]eries)\s+v?(?P<after>\d+)(?!\.?\w)"
    r"|(?<![\w.])(?P<before>\d+)\s+(?:release|cycle|series)\b|(?<=\w )(?:[A-Z][\w.]*|[a-z]+[A-Z]\w*)\s+v?(?P<named>\d{1,3})(?!\.?\w|%)"
)


def misplaced(question: str, quote: Quote) -> bool:
    """Whether the quote cannot answer the question, for it stands under another release than the one that the question names.

    So it is when its list entry, its row or a heading above it names a release, and neither these nor the quote say the one that is
    asked about; or when the entry is of a document that says none of the names in the question. A heading that is the answer must have
    every figure that the question names in its passage: #812 in "Which version has #812?" says which line is meant. What is no version
    answers no question for one. Where nothing around the quote names a release, nothing is known to be wrong.
    """
    passage = quote.hit.passage
    if quote.heading is not None:
        return not _told(_figures(question), _figures(passage.search_text))
    if AskedAbove.of(question).version:
        marked = frozenset(_plain(one) for one in (*_MARKED.findall(question), *_DOTTED.findall(question)))
        if not _numbers(quote.text) - _numbers(question) or not _told(marked, _figures(passage.search_text)):
            return True
    placed = bool(_ENTRY.match(quote.span.entry))
    names = _NAME.findall(question) if placed else []
    if names and not any(name.lower() in f"{passage.document} {passage.search_text}".lower() for name in names):
        return True
    asked = _releases(question)
    above = [heading.text for heading in headings_above(passage, quote.span.start)] if asked else []
    if not asked or not (placed or any(map(releases_in_heading, above))):
        return False
    around = (quote.text, quote.span.lead, quote.span.entry, passage.title, *above, *passage.heading)
    return not _told(asked, _figures("\n".join(around)))


def _numbers(text: str) -> frozenset[str]:
    """What may be a version in a text, as it is written: not the numbers of requests, and nothing of an address."""
    return frozenset(one.lower() for one in _NUMBER.findall(text) if _any_digit(one))


def _told(asked: frozenset[str], said: frozenset[str]) -> bool:
    """Whether all that is asked about is said: `31` by `31` and by `31.4`, but not by `310`."""
    return all(one in said or any(other.startswith(f"{one}.") for other in said) for one in asked)


def _figures(text: str) -> frozenset[str]:
    return frozenset(_plain(one) for one in _FIGURE.findall(text.lower()) if _any_digit(one))


def _releases(text: str) -> frozenset[str]:
    return frozenset(_plain(next(one for one in found.groups() if one).lower()) for found in _RELEASE.finditer(text))


def _plain(figure: str) -> str:
    """`v8.0.0` as `8`: they name the same release."""
    return _ZEROS.sub("", _LETTER_V.sub("", figure, count=1))


def _any_digit(text: str) -> bool:
    return any(sign.isdigit() for sign in text)
