"""Facts that a document states in so many words: front matter, tables, lists of values, documented defaults, changed sentences.

Read by rule, not by a model, so that a probe made of one can be checked by eye against one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from steelyard.corpus.interface import Parsed
from steelyard.schema.corpus import Block, Heading
from steelyard.schema.history import StatedFact

LONGEST_VALUE = 60
LONGEST_NAME = 80
LARGEST_FRONT_MATTER = 400_000

HOUSEKEEPING = re.compile(
    r"(?i)^(title|layout|template|permalink|slug|url|link|href|icon\w*|image|hash|sha\w*|id|uuid|weight|order|sort\w*|sidebar\w*"
    r"|updated\w*|modified\w*|last_?mod\w*|generated\w*|revision|allow|deny|tags?|categor\w+|keywords?|author\w*|redirect\w*|aliases)$"
)
"""Front matter that says how a page is kept, not what it says."""

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Every scalar stays the text that was written; the C one is ten times faster, where PyYAML was built with it."""

IDENTITY_KEYS = ("name", "id", "key", "version", "release", "cycle", "releaseCycle", "plan", "tier", "product", "code")

VALUE = re.compile(r"[$€£]?\d[\d.,:/-]*\d\s?%?|[$€£]?\d\s?%?|\bv\d[\w.]*")
"""Amounts, versions, dates and shares as they stand in a sentence."""

DEFAULT = re.compile(r"\[?\s*`?(?P<name>[\w.-]+)`?\s*:\s*<[^>]+>\s*\|\s*default\s*=\s*(?P<value>[^\]\n]+?)\s*\]")
LISTED = re.compile(r"^(?:[-*+•]\s+|\d+[.)]\s+)?(?P<term>[^:|\n]{2,80}?)\s*(?::|\s[—–-])\s+(?P<value>\S[^|\n]*)$")
FILE_PATH = re.compile(r"\w/[\w./-]*\.\w+$")
NUMBER = re.compile(r"(?<![^\W\d_])\d")
"""A digit that is not part of a word such as IPv4."""
NOT_PROSE = re.compile(r"://| \| |\{[%{*]|[{}<>=]|\(\)|_\w+_")
"""Links, table rows, templates and code are not sentences."""
SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?=\S)[^.!?\n]*)*(?:[.!?](?=\s|$)|$)")


def stated_facts(parsed: Parsed) -> list[StatedFact]:
    """The facts of one document, in reading order; what it states twice under one key with different values is left out."""
    found: dict[tuple[str, ...], StatedFact | None] = {}
    for fact in _all_facts(parsed):
        before = found.setdefault(fact.key, fact)
        if before is not None and before.value != fact.value:
            found[fact.key] = None
    return [fact for fact in found.values() if fact is not None]


def _all_facts(parsed: Parsed) -> Iterator[StatedFact]:
    for block, path in _with_paths(parsed):
        text = parsed.text[block.start : block.end]
        if block.kind == "front_matter":
            yield from _front_matter(text, parsed.title)
        elif block.kind == "table":
            yield from _table(text, parsed.title, path)
        elif block.kind == "code":
            yield from _defaults(text, parsed.title, path)
        elif block.kind in ("list", "paragraph"):
            yield from _defaults(text, parsed.title, path)
            if block.kind == "list":
                yield from _listed(text, parsed.title, path)
            yield from _sentences(text, parsed.title, path)


def _with_paths(parsed: Parsed) -> Iterator[tuple[Block, tuple[str, ...]]]:
    """Each block with the headings above it, outermost first, without the page's own title."""
    path: list[Heading] = []
    waiting = list(reversed(parsed.headings))
    for block in parsed.blocks:
        while waiting and waiting[-1].start <= block.start:
            heading = waiting.pop()
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
        yield block, tuple(heading.text for heading in path if heading.level > 1)


def words(name: str) -> str:
    """A key as words.

    >>> words("latestReleaseDate"), words("max_upload-size")
    ('latest release date', 'max upload size')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[_\-.]+", " ", name))
    return " ".join(spaced.split()).lower()


def is_value(text: str) -> bool:
    """Whether a text can be an answer: short, and an amount, a date, a version or a name; no link, no markup, no empty mark."""
    bare = text.strip()
    if (
        not bare
        or len(bare) > LONGEST_VALUE
        or "://" in bare
        or bare.startswith(("/", "#", "{", "[", "<", "*", "&", "^", "!"))
    ):
        return False
    if FILE_PATH.search(bare) or bare.endswith((".", ":", ",")) or "<" in bare:
        return False
    if any(char.isdigit() for char in bare):
        return True
    return bool(re.search(r"\w{2}", bare)) and len(bare.split()) <= 4 and bare.lower() not in _EMPTY


_EMPTY = {"n/a", "none", "null", "tbd", "tba", "true", "false", "yes", "no", "todo", "unknown", "see below"}


def _place(title: str, path: Sequence[str]) -> str:
    under = " > ".join(path[-2:])
    if title and under:
        return f'In {title}, under "{under}",'
    return f"In {title}," if title else (f'Under "{under}",' if under else "In the documents,")


def _page(title: str, path: Sequence[str]) -> str:
    """The place as a noun, for the wording that is trained on."""
    return ", ".join(part for part in (title, *reversed(path[-2:])) if part) or "the documents"


# Front matter


def _front_matter(text: str, title: str) -> Iterator[StatedFact]:
    tree = _tree(text)
    if not isinstance(tree, Mapping):
        return
    lines = text.splitlines()
    for names, about, value in _leaves(tree, (), ()):
        if HOUSEKEEPING.match(names[-1]) or not is_value(value):
            continue
        evidence = _line_of(lines, about, names[-1], value)
        if evidence is None:
            continue
        entries = [f"{words(key)} {item}" for key, item in reversed(about)]
        of, given_for = ("".join(f" {word} {entry}" for entry in entries) for word in ("of", "for"))
        yield StatedFact(
            key=("front_matter", *names, *(part for pair in about for part in pair)),
            kind="front_matter",
            question=f"In {title or 'the document'}, what is the {words(names[-1])}{of}?",
            taught=f"Which {words(names[-1])} does {title or 'the document'} give{given_for}?",
            value=value,
            evidence=evidence,
        )


def _tree(text: str) -> Any:
    """The YAML as strings; None where it is none, or grows by aliases."""
    if len(text) > LARGEST_FRONT_MATTER:
        return None
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            return None
        return yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


Leaf = tuple[tuple[str, ...], tuple[tuple[str, str], ...], str]
"""Key path, what identifies the list entries on the way (key, value), and the value."""


def _leaves(node: Any, names: tuple[str, ...], about: tuple[tuple[str, str], ...]) -> Iterator[Leaf]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            if isinstance(child, str):
                if about and about[-1][0] == key:
                    continue
                yield (*names, str(key)), about, child
            else:
                yield from _leaves(child, (*names, str(key)), about)
    elif isinstance(node, list) and node and all(isinstance(child, Mapping) for child in node):
        key = _identity(node)
        for child in node if key is not None else ():
            yield from _leaves(child, names, (*about, (str(key), child[key])))


def _identity(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The key that tells the entries of a list apart: the first of each entry, or one that is named like an identity."""
    for key in (next(iter(rows[0]), None), *IDENTITY_KEYS):
        values = [row.get(key) for row in rows] if key is not None else []
        if values and all(isinstance(value, str) and value for value in values) and len(set(values)) == len(values):
            return key
    return None


def _line_of(lines: Sequence[str], about: Sequence[tuple[str, str]], key: str, value: str) -> str | None:
    """The line that states the value, searched behind the line that names its entry; None when the YAML wrote it otherwise."""
    begin = 0
    for name, item in about:
        begin = next((place for place in range(begin, len(lines)) if _states(lines[place], name, item)), len(lines))
    return next((line.strip() for line in lines[begin:] if _states(line, key, value)), None)


def _states(line: str, key: str, value: str) -> bool:
    name, colon, rest = line.strip().lstrip("- ").partition(":")
    return bool(colon) and name.strip("'\" ") == key and rest.split(" #")[0].strip().strip("'\"") == value


# Tables, lists, defaults, sentences


def _table(text: str, title: str, path: tuple[str, ...]) -> Iterator[StatedFact]:
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()]
    lines = text.splitlines()
    header = rows[0]
    if len(rows) < 2 or len(header) < 2 or len(set(header)) < len(header) or not all(header[1:]):
        return
    for line, row in zip(lines[1:], rows[1:], strict=True):
        name = row[0]
        if len(row) != len(header) or not name or len(name) > LONGEST_NAME:
            continue
        subject = f"{header[0]} {name}".strip()
        for column, value in zip(header[1:], row[1:], strict=True):
            if is_value(value):
                yield StatedFact(
                    key=("table", *path, header[0], name, column),
                    kind="table",
                    question=f"{_place(title, path)} what is the {column} of {subject}?",
                    taught=f"Look up {subject}: {column}, as {_page(title, path)} has it.",
                    value=value,
                    evidence=line,
                )


def _listed(text: str, title: str, path: tuple[str, ...]) -> Iterator[StatedFact]:
    for line in text.splitlines():
        match = LISTED.match(line.strip())
        if match is None:
            continue
        term, value = match["term"].strip("*_` "), match["value"].strip().rstrip(".")
        if is_value(value) and NUMBER.search(value) and len(value.split()) <= 5 and len(term.split()) <= 8:
            yield StatedFact(
                key=("list", *path, term.lower()),
                kind="list",
                question=f"{_place(title, path)} what is given for {term}?",
                taught=f"Which value does {_page(title, path)} name beside {term}?",
                value=value,
                evidence=line.strip(),
            )


def _defaults(text: str, title: str, path: tuple[str, ...]) -> Iterator[StatedFact]:
    for match in DEFAULT.finditer(text) if "default" in text else ():
        value = match["value"].strip("`\"' ")
        if value and len(value) <= LONGEST_VALUE:
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.end()]
            yield StatedFact(
                key=("default", *path, match["name"]),
                kind="default",
                question=f"{_place(title, path)} what is the default of {match['name']}?",
                taught=f"If {match['name']} is not set, which value holds by {_page(title, path)}?",
                value=value,
                evidence=line.strip().splitlines()[-1],
            )


def _sentences(text: str, title: str, path: tuple[str, ...]) -> Iterator[StatedFact]:
    """Sentences with exactly one value: the sentence around it is the key, so only its own edit changes the fact."""
    for line in filter(NUMBER.search, text.splitlines()):
        for match in SENTENCE.finditer(line):
            sentence = match[0].strip()
            values = list(VALUE.finditer(sentence))
            if len(values) != 1 or not 30 <= len(sentence) <= 220 or NOT_PROSE.search(sentence):
                continue
            value = values[0][0].strip().rstrip(".,:;/-")
            masked = sentence.replace(value, "___", 1)
            yield StatedFact(
                key=("sentence", masked),
                kind="sentence",
                question=f'{_place(title, path)} what stands at the gap: "{masked}"',
                taught=f'Complete this sentence of {_page(title, path)}: "{masked}"',
                value=value,
                evidence=sentence,
            )
