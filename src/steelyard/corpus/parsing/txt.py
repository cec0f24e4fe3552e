"""Plain text: kept as it is, with the headings that its layout shows."""

from __future__ import annotations

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.builder import TextBuilder
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.lines import groups, kind_of, laid_out
from steelyard.corpus.parsing.text import decode, split_front_matter

MAX_HEADING_WORDS = 10
MAX_HEADING_CHARS = 70
UNDERLINES = "=-~*#^"


def parse(content: bytes, limits: Limits) -> Parsed:
    """Plain text with YAML front matter.

    A heading is a short line alone between blank ones that starts like a title and ends without a stop, or a line with an
    underline; lines in capitals and those over `===` are of level 1.

    Raises:
        ParseError: not text, an unreadable access rule, or above a limit.
    """
    text = decode(content)
    limits.check_characters(len(text))
    front, body = split_front_matter(text)
    builder = TextBuilder(limits)
    builder.add("front_matter", front.text)
    runs = [run for _, run in groups(body.expandtabs(4).split("\n"))]
    for place, run in enumerate(runs):
        level = _underlined(run)
        if level:
            builder.heading(level, run[0])
            if run[2:]:
                builder.add(*laid_out(run[2:]))
        elif place + 1 < len(runs) and _is_heading(run) and not _is_heading(runs[place + 1]):
            builder.heading(1 if run[0].isupper() else 2, run[0])
        elif place + 1 < len(runs) and len(run) == 1 and run[0].isupper() and _is_heading(run):
            builder.heading(1, run[0])
        else:
            builder.add(*laid_out(run))
    return builder.finish(title=front.title, allow=front.allow, deny=front.deny)


def _underlined(run: list[str]) -> int:
    """The level of a heading with an underline at least three long and about as long as it; 0 for none."""
    if len(run) < 2 or len(run[0]) > MAX_HEADING_CHARS:
        return 0
    mark = run[1].strip()
    if len(mark) < 3 or len(set(mark)) != 1 or mark[0] not in UNDERLINES or len(mark) < len(run[0].strip()) - 2:
        return 0
    return 1 if mark[0] == "=" else 2


def _is_heading(run: list[str]) -> bool:
    line = run[0]
    text = line.strip()
    return (
        len(run) == 1
        and not line[:1].isspace()
        and len(text) <= MAX_HEADING_CHARS
        and len(text.split()) <= MAX_HEADING_WORDS
        and (text[:1].isupper() or text[:1].isdigit())
        and text[-1:] not in ".!?,;:…"
        and any(character.isalpha() for character in text)
        and kind_of(run) == "paragraph"
        and "  " not in text
    )
