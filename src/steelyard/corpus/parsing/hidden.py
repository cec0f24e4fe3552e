"""What a page hides from its readers: text that people cannot see must not answer them.

Hidden text is the usual way to put instructions for a machine into a page that looks harmless. Judged are the element itself, its style,
and the page's own style sheets; a sheet that lies elsewhere is never fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
NAMED: Mapping[str, Colour] = {
    "white": WHITE,
    "black": (0, 0, 0),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "floralwhite": (255, 250, 240),
    "mintcream": (245, 255, 250),
    "azure": (240, 255, 255),
}
"""Names that are used to hide text on a white page; others are taken for visible."""
NEAR = 30
"""Colours that differ by no more than this, summed over red, green and blue, cannot be told apart by a reader."""
FAR_PX = 500.0
"""Moved this far to the left or up, text is outside the window."""
SMALL_PX = 2.0
"""Type below this cannot be read."""
PIXELS = {
    "px": 1.0,
    "pt": 1.33,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
    "%": 0.16,
    "vw": 12.0,
    "vh": 8.0,
    "cm": 38.0,
    "mm": 3.8,
    "": 1.0,
}
LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(px|pt|rem|em|ex|%|vw|vh|cm|mm|)(?![\w%])")
NUMBERS = re.compile(r"-?[\d.]+%?")
BRACE = re.compile(r"[{}]")
ALWAYS = re.compile(r"@(?:media\s+(?:all|screen)|layer\b[^;]*|supports\b.*)", re.DOTALL)
"""At-rules whose content holds for every reader; what is for print or for small windows hides nothing here."""
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
MAX_SHEET = 500_000
MAX_RULES = 200
"""Rules of a page's sheets that are applied; each looks through the whole page."""
DYNAMIC = re.compile(r":(?:hover|focus|active|target|before|after|not|has|is|where)|::")
"""Selectors whose effect depends on what the reader does, or that name no element."""


def declarations(style: str) -> dict[str, str]:
    """Properties of a style in lower case, the last of each name; `!important` is dropped."""
    found = {}
    for part in COMMENT.sub(" ", style).split(";"):
        name, colon, value = part.partition(":")
        if colon:
            found[name.strip().lower()] = value.lower().replace("!important", "").strip()
    return found


def hides(style: Mapping[str, str]) -> bool:
    """Whether an element of this style is not shown, too small to read, transparent, or outside the window."""
    if style.get("display") == "none" or style.get("visibility") in ("hidden", "collapse"):
        return True
    if style.get("content-visibility") == "hidden" or _zero(style.get("opacity"), 0.05):
        return True
    size = _pixels(style.get("font-size") or _font_size(style.get("font", "")))
    if size is not None and 0 <= size < SMALL_PX:
        return True
    return _clipped(style) or _moved_away(style) or colour(style.get("color", "")) == "transparent"


def _clipped(style: Mapping[str, str]) -> bool:
    edges = (style.get(name) for name in ("width", "height", "max-width", "max-height"))
    thin = any(size is not None and 0 <= size <= 1 for size in map(_pixels, edges))
    overflow = f"{style.get('overflow', '')} {style.get('overflow-x', '')} {style.get('overflow-y', '')}"
    if thin and ("hidden" in overflow or "clip" in overflow):
        return True
    clip = style.get("clip", "").replace(" ", "").replace(",", "")
    if re.match(r"rect\((0(px)?|1px){4}\)", clip):
        return True
    shape = style.get("clip-path", "").replace(" ", "")
    return bool(re.match(r"inset\((50|100)%|circle\(0|polygon\(00", shape)) or "scale(0)" in style.get("transform", "")


def _moved_away(style: Mapping[str, str]) -> bool:
    moves = [style.get("text-indent"), style.get("margin-left"), style.get("margin-top")]
    if style.get("position") in ("absolute", "fixed", "relative"):
        moves += [style.get(edge) for edge in ("left", "top", "right", "bottom")]
    shift = re.match(r"translate[xy]?\(([^,)]*)", style.get("transform", ""))
    moves.append(shift.group(1) if shift else None)
    return any(size is not None and size <= -FAR_PX for size in map(_pixels, moves))


def _pixels(value: str | None) -> float | None:
    found = LENGTH.match(value.strip()) if value else None
    return float(found.group(1)) * PIXELS[found.group(2)] if found else None


def _font_size(font: str) -> str | None:
    """The size in the short form `font: italic 1px/1 serif`."""
    found = LENGTH.search(font)
    return found.group(0) if found and found.group(2) else None


def _zero(value: str | None, limit: float) -> bool:
    found = LENGTH.match(value) if value else None
    return found is not None and abs(float(found.group(1))) * (0.01 if found.group(2) == "%" else 1.0) <= limit


def colour(value: str) -> Colour | str | None:
    """Red, green and blue from 0 to 255; "transparent"; None for what is not known.

    >>> colour("#FFF"), colour("rgb(255, 255, 250)"), colour("rgba(0,0,0,0)"), colour("rebeccapurple")
    ((255, 255, 255), (255, 255, 250), 'transparent', None)
    """
    value = value.strip().lower()
    if value == "transparent":
        return value
    if re.fullmatch(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", value):
        digits = value[1:] if len(value) > 5 else "".join(2 * digit for digit in value[1:])
        if digits[6:] == "00":
            return "transparent"
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if value.startswith(("rgb(", "rgba(")):
        numbers = [_channel(number) for number in NUMBERS.findall(value)[:4]]
        if len(numbers) == 4 and numbers[3] <= 0.0:
            return "transparent"
        return (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) >= 3 else None
    if value.startswith(("hsl(", "hsla(")) and re.search(r"100%\s*(?:[,/].*)?\)$", value):
        return WHITE  # full lightness
    return NAMED.get(value)


def _channel(number: str) -> float:
    try:
        return float(number[:-1]) * 2.55 if number.endswith("%") else float(number)
    except ValueError:
        return 255.0


def alike(one: Colour | str | None, two: Colour | str | None) -> bool:
    """Whether text of one colour cannot be read on the other."""
    if not isinstance(one, tuple) or not isinstance(two, tuple):
        return False
    return sum(abs(a - b) for a, b in zip(one, two, strict=True)) <= NEAR


class Visibility:
    """Says of each element of one page whether readers see it. A walk asks from the outside in and hands the background down."""

    def __init__(self, page: LexborHTMLParser | None = None) -> None:
        self._by_sheet: dict[int, dict[str, str]] = {} if page is None else _sheet_styles(page)

    def judge(self, node: LexborNode, background: Colour | None) -> tuple[bool, Colour | None]:
        """(hidden, background for what is inside). `background` None: a picture or a colour that is not known."""
        attributes = node.attributes
        style = self._by_sheet.get(node.mem_id, {}) if self._by_sheet else {}
        if not attributes and not style:
            return False, background
        if "hidden" in attributes or attributes.get("aria-hidden") == "true" or attributes.get("role") == "navigation":
            return True, background
        if own := attributes.get("style"):
            style = style | declarations(own)
        text = colour(style.get("color", "") or attributes.get("color") or "")
        behind = style.get("background-color") or style.get("background") or attributes.get("bgcolor")
        if behind and behind not in ("none", "inherit", "initial", "transparent"):
            known = colour(behind) or colour(behind.split()[0])
            background = known if isinstance(known, tuple) else None if known is None else background
        elif style.get("background-image", "none") != "none":
            background = None
        return (bool(style) and hides(style)) or alike(text, background), background


def _sheet_styles(page: LexborHTMLParser) -> dict[int, dict[str, str]]:
    """What the page's own sheets say of its elements, as far as it can hide or show them; later rules win, whatever their selectors."""
    sheet = "\n".join(node.text() or "" for node in page.css("style"))[:MAX_SHEET]
    found: dict[int, dict[str, str]] = {}
    if not sheet:
        return found
    rules = 0
    for selector, body in _rules(COMMENT.sub(" ", sheet)):
        style = {name: value for name, value in declarations(body).items() if name in TELLING}
        if not style or DYNAMIC.search(selector) or rules >= MAX_RULES:
            continue
        rules += 1
        try:
            nodes = page.css(selector)
        except (SelectolaxError, ValueError):
            continue
        for node in nodes:
            found[node.mem_id] = found.get(node.mem_id, {}) | style
    return found


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """(selector, declarations) of the rules that hold for every reader."""
    heads: list[str] = []
    start = 0
    for brace in BRACE.finditer(sheet):
        text, start = sheet[start : brace.start()].strip(), brace.end()
        if brace.group() == "{":
            heads.append(text.rpartition(";")[2].strip())
        elif heads:
            selector = heads.pop()
            if not selector.startswith("@") and all(ALWAYS.fullmatch(head) for head in heads):
                yield selector, text


TELLING_NAMES = (
    "display visibility content-visibility opacity font font-size width height max-width max-height overflow overflow-x overflow-y clip "
    "clip-path transform text-indent margin-left margin-top position left top right bottom color background background-color "
    "background-image"
)
TELLING = frozenset(TELLING_NAMES.split())
"""Properties that can hide text."""


def hiding_tag(tag: str) -> bool:
    """Whether an opening tag, as it stands inside a Markdown paragraph, hides what follows it."""
    node = LexborHTMLParser(f"<body>{tag}").css_first("body > *")
    return node is not None and Visibility().judge(node, WHITE)[0]
