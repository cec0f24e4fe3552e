"""Keys and values as they stand in a text: front matter, settings, list items that name what they give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

Line = tuple[int, int]

IDENTITY = frozenset({"name", "id", "key", "cycle", "version", "release", "code", "plan", "tier", "product", "sku"})
"""Last words of keys whose value says which entry of a list this is; without one the first key does."""

KEYED_SHARE = 0.7
"""Share of the lines of entries that are `key: value`; the others are comments, bare items and values over several lines."""

_LINE = re.compile(
    r"""(?P<indent>[ \t]*)(?P<dash>(?:-[ \t]+)*)(?P<key>"[^"\n]{1,60}"|'[^'\n]{1,60}'|[^\s\-#:'"][^:#\n]{0,60}?)[ \t]*:"""
    r"(?:[ \t]+(?P<value>\S.*?))?[ \t]*$"
)
_IDENTIFIER = re.compile(r"(?:\[[ \t]*)?[\w.$/'\"-]+")
_COMMENT = re.compile(r"[ \t]+#(?:[ \t]|$)")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_TERM = re.compile(
    r"[\s\-*+•\[(|>]*(?P<key>`[^`\n]{1,60}`|[^\W_][^:=|\n]{0,60}?)[*_`]*\s*(?::|=|\s[–—]|\s-\s)[*_`]*\s+\S"
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """Characters [start:end) with a key and a value. `entry` names the list entry they stand in: its own key and value.

    `above` are the keys that enclose it, outermost first. `date` is the first ISO date of the entry, as text; "" where there is none.
    A field without a value introduces those below it; without a key it is a comment or a bare item. `comment` is what the lines right
    above it say of it.
    """

    start: int
    end: int
    key: str = ""
    value: str = ""
    entry: tuple[str, str] = ("", "")
    above: tuple[str, ...] = ()
    date: str = ""
    comment: str = ""

    @property
    def lead(self) -> str:
        """What introduces it, in words: the enclosing keys, and which entry it belongs to."""
        if self.entry[1]:
            return f"{key_words(self.entry[0])} {self.entry[1]}"
        return " ".join((*map(key_words, self.above), self.comment)).strip()


@dataclass(frozen=True)
class _Row:
    line: Line
    indent: int
    item: bool
    key: str
    value: str
    end: int  # of the value, before a comment


def key_words(key: str) -> str:
    """A key as words.

    >>> key_words("latestReleaseDate"), key_words("max_upload-size")
    ('latest release date', 'max upload size')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[_\-.]+", " ", key))
    return " ".join(spaced.split()).lower()


def key_of(text: str) -> str:
    """What a line or item gives a value for, "" where it does not say.

    >>> key_of("- Solo: 15 USD a month"), key_of("[ port: <int> | default = 80 ]"), key_of("Nothing is due.")
    ('Solo', 'port', '')
    """
    found = _TERM.match(text)
    return found["key"].strip("`*_ ") if found else ""


def has_fields(lines: Sequence[str]) -> bool:
    """Whether lines are mostly `key: value` and more than a flat list of them: YAML, as front matter and settings are.

    It takes a list entry of several keys, or comments beside keys that are names.
    """
    matches = [_LINE.match(line) for line in lines]
    commented = [line.lstrip().startswith("#") for line in lines]
    keyed = sum(match is not None and not comment for match, comment in zip(matches, commented, strict=True))
    if not keyed or keyed < KEYED_SHARE * (len(lines) - sum(commented)):
        return False
    if any(commented) and all(match is None or _IDENTIFIER.fullmatch(match["key"]) for match in matches):
        return True
    return any(
        one is not None
        and other is not None
        and one["dash"]
        and not other["dash"]
        and len(other["indent"]) > len(one["indent"])
        for one, other in pairwise(matches)
    )


def fields(text: str, lines: Sequence[Line], lead: str = "") -> Iterator[Field]:
    """The fields of YAML-like lines, in order; every character that is not white space is in one.

    `lead` is the first line of the entry that the first lines go on from.
    """
    rows = _rows(text, lines)
    opening = _LINE.match(lead)
    if opening and not rows[0].item:
        # A passage begins without the white space that stood before it.
        rows[0] = replace(rows[0], indent=max(1, rows[1].indent if len(rows) > 1 else 1))
    entry = (opening["key"].strip("'\""), _bare(opening["value"] or "")) if opening else ("", "")
    for group, belongs in _grouped(rows):
        named = _named(group) if belongs else (entry if group and group[0].indent > 0 else ("", ""))
        date = (
            next((found[0] for row in group if (found := _DATE.search(row.value))), "") if belongs or named[1] else ""
        )
        for field in _fields_of(text, group):
            yield replace(field, entry=named, date=date)


def _rows(text: str, lines: Sequence[Line]) -> list[_Row]:
    rows = []
    for start, end in lines:
        written = text[start:end].rstrip()
        match = _LINE.match(written)
        indent = len(written) - len(written.lstrip())
        key = value = ""
        stop = start + len(written)
        if match and not written.lstrip().startswith("#"):
            key, value = match["key"].strip("[ '\""), match["value"] or ""
            if comment := _COMMENT.search(written, match.start("value") if value else match.end("key")):
                stop = start + comment.start()
                value = text[start + match.start("value") : stop] if value else ""
        rows.append(_Row((start, start + len(written)), indent, written.lstrip().startswith("- "), key, value, stop))
    first = rows[0]
    others = [row.indent for row in rows[1:] if row.item]
    if first.item and others and first.indent < min(others):
        rows[0] = replace(first, indent=min(others))  # white space before a passage is not part of it
    return rows


def _grouped(rows: Sequence[_Row]) -> Iterator[tuple[list[_Row], bool]]:
    """Runs of rows: the entries of an outermost list one by one, and what stands outside of entries."""
    group: list[_Row] = []
    within = -1
    for row in rows:
        if within >= 0 and row.indent > within:
            group.append(row)
            continue
        opens = row.item and bool(row.key)
        if group and (opens or within >= 0):
            yield group, within >= 0
            group = []
        within = row.indent if opens else -1
        group.append(row)
    if group:
        yield group, within >= 0


def _named(group: Sequence[_Row]) -> tuple[str, str]:
    """The key and value that tell an entry from the others of its list."""
    given = [(row.key, _bare(row.value)) for row in group if row.key and row.value]
    named = (pair for pair in given if key_words(pair[0]).rsplit(" ", 1)[-1] in IDENTITY)
    # An entry of one key is no record: it says what it is by itself.
    return next(named, given[0]) if len(given) > 1 else ("", "")


def _fields_of(text: str, group: Sequence[_Row]) -> Iterator[Field]:
    above: list[tuple[int, str]] = []
    running: Field | None = None
    said: list[str] = []
    for row in group:
        start, end = row.line
        remark = text[start:end].lstrip().startswith("#")
        while above and row.key and above[-1][0] >= row.indent:
            above.pop()
        path = tuple(key for _, key in above)
        if not row.key and running is not None and not remark and not row.item:
            running = replace(running, end=end)  # a value over several lines
            continue
        if running is not None:
            yield running
        comment = "" if remark else " ".join(said)
        running = Field(start=start, end=row.end, key=row.key, value=_bare(row.value), above=path, comment=comment)
        said = [*said, text[start:end].strip(" \t#")] if remark else []
        if row.end < end:
            yield running
            running = Field(start=row.end, end=end, above=path)
        if row.key and not row.value:
            above.append((row.indent, row.key))
    if running is not None:
        yield running


def _bare(value: str) -> str:
    return value.strip().strip("'\"")
