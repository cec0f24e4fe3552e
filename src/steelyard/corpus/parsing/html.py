"""HTML to plain text: what a reader sees, without navigation, scripts and hidden parts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from steelyard.corpus.access import names
from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing.builder import TextBuilder, link, one_line, row, tidy
from steelyard.corpus.parsing.hidden import WHITE, Colour, Visibility
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.text import decode

HEADINGS = {f"h{level}": level for level in range(1, 7)}
SKIPPED_TAGS = (
    "nav script style noscript template svg math canvas iframe object embed audio video button select textarea input "
    "datalist dialog footer head"
)
SKIPPED = frozenset(SKIPPED_TAGS.split())
BLOCK_TAGS = (
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure form header hgroup hr "
    "html legend main menu p section summary caption"
)
BLOCKS = frozenset(BLOCK_TAGS.split())
LISTS = frozenset(("ul", "ol"))
CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
TECHNICAL = re.compile(
    r"viewport|generator|robots|theme-color|referrer|format-detection|(google|msapplication|twitter|og|apple)\b.*"
)
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
VOID_TAGS = "area base br col embed hr img input link meta source track wbr"
OPTIONAL_TAGS = "p li dt dd td th tr thead tbody tfoot option optgroup colgroup rp rt html head body"
OPTIONAL_END = frozenset(f"{VOID_TAGS} {OPTIONAL_TAGS}".split())
"""Elements that need no end tag, so a page of a hundred thousand of them is not deep."""
MAX_DEPTH = 10_000
TAG_TEXT, TAG_COMMENT = "-text", "-comment"


def parse(content: bytes, limits: Limits) -> Parsed:
    """An HTML page, as far as its readers see it (`hidden` says how that is judged).

    `<meta name="allow">` and `deny` are its access rule; other named metas stay as text, as front matter does.

    Raises:
        ParseError: not text, or above a limit.
    """
    declared = CHARSET.search(content[:4096])
    text = decode(content, declared.group(1).decode("ascii") if declared else None)
    limits.check_characters(len(text))
    page = _page(text)
    builder = TextBuilder(limits)
    rules: dict[str, tuple[str, ...]] = {}
    facts = []
    for meta in page.css("head > meta[name]"):
        name = (meta.attributes.get("name") or "").strip().lower()
        value = one_line(meta.attributes.get("content") or "")
        if name in ("allow", "deny"):
            rules[name] = rules.get(name, ()) + names(value)
        elif value and not TECHNICAL.fullmatch(name):
            facts.append(f"{name}: {value}")
    builder.add("front_matter", "\n".join(facts))
    mains = page.css("main")
    start = mains[0] if len(mains) == 1 and mains[0].text(strip=True) else page.body
    if start is not None:
        _Walk(builder, page).run(start)
    title = page.css_first("head > title")
    return builder.finish(title=title.text() if title else "", allow=rules.get("allow"), deny=rules.get("deny"))


def _page(text: str) -> LexborHTMLParser:
    """The parsed page.

    Raises:
        ParseError: elements are nested so deeply that the parser, which looks through all open ones for each, would take minutes.
    """
    depth = 0
    for closing, name in TAG.findall(text):
        if name.lower() not in OPTIONAL_END:
            depth = max(0, depth - 1) if closing else depth + 1
            if depth > MAX_DEPTH:
                raise ParseError(f"elements are nested too deeply (the limit is {MAX_DEPTH:,})")
    return LexborHTMLParser(text)


def append(fragment: str, builder: TextBuilder) -> None:
    """Add the blocks of an HTML fragment, as it stands inside Markdown."""
    page = _page(fragment)
    if page.body is not None:
        _Walk(builder, page).run(page.body)


def plain(fragment: str) -> str:
    """The text of an HTML fragment alone."""
    builder = TextBuilder(Limits())
    append(fragment, builder)
    return builder.finish().text


def _events(start: LexborNode, visibility: Visibility) -> Iterator[tuple[bool, LexborNode, str]]:
    """(entering, node, tag) of a depth-first walk without recursion: hostile pages nest ten thousand deep.

    Skipped and hidden elements and comments are passed over.
    """
    open_nodes: list[tuple[LexborNode, str, Colour | None]] = []
    behind: Colour | None = WHITE
    node: LexborNode | None = start
    while node is not None:
        tag = node.tag or ""
        skipped, inside = tag == TAG_COMMENT or tag in SKIPPED, behind
        if not skipped and tag != TAG_TEXT:
            skipped, inside = visibility.judge(node, behind)
        if not skipped:
            yield True, node, tag
            below = node.child
            if below is not None:
                open_nodes.append((node, tag, behind))
                node, behind = below, inside
                continue
            yield False, node, tag
        while node is not None:
            if not open_nodes:
                return
            after = node.next
            if after is not None:
                node = after
                break
            node, tag, behind = open_nodes.pop()
            yield False, node, tag


class _Walk:
    """Turns the events of one page into blocks."""

    def __init__(self, builder: TextBuilder, page: LexborHTMLParser) -> None:
        self._builder = builder
        self._visibility = Visibility(page)
        self._words: list[str] = []
        self._links: list[tuple[int, str]] = []
        self._lists: list[int | None] = []  # the next number of an ordered list, None for bullets
        self._lines: list[str] = []  # of the outermost open list
        self._mark = ""
        self._rows: list[str] | None = None  # of the open data table
        self._cells: list[str] = []
        self._pre = 0
        self._heading = 0

    def run(self, start: LexborNode) -> None:
        for entering, node, tag in _events(start, self._visibility):
            if tag == TAG_TEXT:
                if entering:
                    text = node.text_content or ""
                    self._words.append(text if self._pre else text.replace("\n", " ").replace("\t", " "))
            elif entering:
                self._enter(node, tag)
            else:
                self._leave(tag)
        self._flush()

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag == "br":
            self._words.append(" " if self._rows is not None else "\n")
        elif tag == "img":
            self._words.append(node.attributes.get("alt") or "")
        elif tag == "a":
            self._links.append((len(self._words), node.attributes.get("href") or ""))
        elif self._rows is not None:
            self._words.append(" " if tag in BLOCKS or tag in LISTS or tag == "li" else "")
        elif tag == "table":
            self._flush()
            # Headings or tables inside make it a layout grid, whose cells are blocks of the page.
            if not self._lists and node.css_first("h1,h2,h3,h4,h5,h6,table table") is None:
                self._rows = []
        elif tag in LISTS:
            self._flush()
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._flush()
            self._next_mark()
        elif tag == "pre":
            self._flush()
            self._pre += 1
        elif tag in HEADINGS:
            self._flush()
            self._heading = HEADINGS[tag]
        elif tag in BLOCKS or tag in ("tr", "td", "th"):
            self._flush()

    def _leave(self, tag: str) -> None:
        if tag == "a" and self._links:
            start, target = self._links.pop()
            text = "".join(self._words[start:])
            self._words[start:] = [link(text, target)]
        elif self._rows is not None:
            self._leave_table(tag)
        elif tag in LISTS and self._lists:
            self._flush()
            self._lists.pop()
            if not self._lists:
                self._builder.add("list", "\n".join(self._lines))
                self._lines = []
        elif tag == "pre" and self._pre:
            self._flush()
            self._pre -= 1
        elif tag in HEADINGS:
            self._flush()
            self._heading = 0
        elif tag in BLOCKS or tag in ("li", "tr", "td", "th"):
            self._flush()

    def _leave_table(self, tag: str) -> None:
        assert self._rows is not None
        if tag in ("td", "th"):
            self._cells.append(self._take())
        elif tag == "tr":
            if line := row(self._cells):
                self._rows.append(line)
            self._cells = []
        elif tag == "caption":
            self._rows.append(one_line(self._take()))
        elif tag == "table":
            self._builder.add("table", "\n".join(line for line in self._rows if line))
            self._rows, self._cells = None, []

    def _next_mark(self) -> None:
        if not self._lists:
            return  # an item without a list is a paragraph
        number = self._lists[-1]
        self._mark = "- " if number is None else f"{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _take(self) -> str:
        text = "".join(self._words)
        self._words.clear()
        # A link that spans a block break keeps its text only.
        self._links = [(0, "") for _ in self._links]
        return text

    def _flush(self) -> None:
        text = self._take()
        if not text.strip():
            return
        if self._lists:
            indent = "  " * min(len(self._lists) - 1, 8)
            for line in text.strip("\n").split("\n") if self._pre else tidy(text).split("\n"):
                self._lines.append(indent + (self._mark or "  ") + line)
                self._mark = ""
        elif self._pre:
            self._builder.add("code", text)
        elif self._heading:
            self._builder.heading(self._heading, text)
        else:
            self._builder.add("paragraph", tidy(text))
