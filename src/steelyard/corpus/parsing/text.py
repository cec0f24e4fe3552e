"""Bytes to characters, and the YAML front matter that text files may carry."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from steelyard.corpus.access import names
from steelyard.corpus.parsing.limits import ParseError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAX_FRONT_MATTER = 2**20
FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
ACCESS_LINE = re.compile(r"^[ \t]*(allow|deny)[ \t]*:", re.MULTILINE | re.IGNORECASE)
UNCLOSED_LINES = 30
"""How far an access rule is looked for below a `---` that is never closed."""
ACCESS_KEYS = ("allow", "deny")
WIDE_HEAD = 4096
WIDE_SHARE = 0.9
"""Zeros on one side in this share of the pairs, and in hardly any on the other; less even is no text that we can be sure of."""


def decode(content: bytes, declared: str | None = None) -> str:
    """The characters of a text file: by its byte order mark, the `declared` encoding, UTF-8, else Windows-1252.

    UTF-16 without a mark is known by zeros in every other byte. Line ends become line feeds.

    Raises:
        ParseError: the bytes are not text.
    """
    text = _decode(content, declared)
    if "\0" in text:
        raise ParseError("the file is not text (it holds NUL bytes)")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(content: bytes, declared: str | None) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                raise ParseError(f"the file says it is {encoding.upper()} and is not") from None
    for candidate in (_wide(content), declared, "utf-8"):
        try:
            if candidate:
                return content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("cp1252", errors="replace")


def _wide(content: bytes) -> str | None:
    """UTF-16 little or big endian where the beginning shows it: Latin letters and spaces leave every other byte zero."""
    head = content[:WIDE_HEAD]
    if len(head) < 4 or b"\0" not in head:
        return None
    low, high = head[0::2].count(0) / len(head[0::2]), head[1::2].count(0) / len(head[1::2])
    if high >= WIDE_SHARE and low <= 1 - WIDE_SHARE:
        return "utf-16-le"
    return "utf-16-be" if low >= WIDE_SHARE and high <= 1 - WIDE_SHARE else None


@dataclass(frozen=True, kw_only=True)
class FrontMatter:
    """What stands between the `---` lines: as text without its access keys, and the keys that steer."""

    text: str = ""
    title: str = ""
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] | None = None


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """The front matter of a text, and the rest of it.

    The front matter stays text, for facts live there; only its access keys are taken out. A block that is not a YAML mapping is
    not front matter: the text comes back whole.

    Raises:
        ParseError: the block looks like front matter and is broken YAML or too long, or an access rule in it is not a list of
            names. Reading such a file without its rule could show it to everyone.
    """
    match = FRONT_MATTER.match(text)
    if match is None:
        head = text.lstrip().split("\n", UNCLOSED_LINES)[:UNCLOSED_LINES]
        if head[0].rstrip() == "---" and ACCESS_LINE.search("\n".join(head)):
            raise ParseError("the front matter holds an access rule and is not closed by a line of `---`")
        return FrontMatter(), text
    block = match.group(1)
    if len(block) > MAX_FRONT_MATTER:
        raise ParseError(f"the front matter is too long (the limit is {MAX_FRONT_MATTER // 2**10} KiB)")
    try:
        # Composed, not constructed: no objects, no expansion of aliases, and every key knows its line.
        node = yaml.compose(block, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except yaml.YAMLError as error:
        if not ACCESS_LINE.search(block):
            return FrontMatter(), text
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ParseError(f"the front matter holds an access rule and is not valid YAML ({problem})") from None
    except RecursionError:
        raise ParseError("the front matter is nested too deeply") from None
    if not isinstance(node, yaml.MappingNode):
        return FrontMatter(), text
    return _front_matter(node, block), text[match.end() :]


def _front_matter(node: yaml.MappingNode, block: str) -> FrontMatter:
    lines = block.split("\n")
    title = ""
    rules: dict[str, tuple[str, ...]] = {}
    for key, value in node.value:
        name = key.value.strip().lower() if isinstance(key, yaml.ScalarNode) else ""
        if name == "title" and isinstance(value, yaml.ScalarNode):
            title = value.value
        if name in ACCESS_KEYS:
            rules[name] = tuple(_names(name, value))
            first, end = key.start_mark.line, value.end_mark
            # A block value ends at the start of the line after it; an inline one within its last line.
            last = end.line if end.column == 0 and end.line > first else end.line + 1
            lines[first:last] = [""] * (last - first)
    kept = "\n".join(line for line in lines if line.strip())
    return FrontMatter(text=kept, title=title, allow=rules.get("allow"), deny=rules.get("deny"))


def _names(key: str, value: yaml.Node) -> Iterator[str]:
    """Group names of a scalar (`guild, staff`) or a list of scalars; null gives none."""
    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for item in items:
        if not isinstance(item, yaml.ScalarNode) or item.tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"):
            raise ParseError(f"`{key}:` in the front matter is not a list of group names")
        if item.tag != "tag:yaml.org,2002:null":
            yield from names(item.value)
