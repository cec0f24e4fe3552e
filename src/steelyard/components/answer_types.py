"""What kind of value a question asks for, and whether a text holds one."""

from __future__ import annotations

import re
from collections.abc import Callable

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety|hundred|"
    "thousand|million|billion|half|third|quarter|dozen|once|twice|none|zero|unlimited"
)

_ASKED = (
    ("default", r"\bdefault"),
    ("contact", r"\b(?:e-?mail|phone|telephone|address|url|link|number to (?:call|ring)|website|web site|endpoint)\b"),
    (
        "money",
        r"\bhow much (?:is|are|does|do|will|would|did|money|for)\b|\bprices?\b|\bcosts?\b|\bfees?\b|\bcharged?\b|\bpay\b|\bpaid\b|"
        r"\brate\b|\bper ?cent|\bdiscount|\bcredit\b|\bbonus|\bamount\b|\brefund|%",
    ),
    (
        "time",
        r"\bhow (?:long|soon|fast|quick(?:ly)?|often|old|early|late)\b|\bwhen\b|\b(?:what|which|by what) (?:time|day|date|year|month|"
        r"century|decade|hours)\b|\bdeadline|\bopening hours|\bhours\b|\bsince\b|\buntil\b|\bwhat age\b",
    ),
    (
        "number",
        r"\bhow (?:many|much|big|large|far|high|tall|wide|deep|fast|heavy)\b|\blimit|\bmax(?:imum)?\b|\bmin(?:imum)?\b|\bnumber of\b|"
        r"\bpercentage|\bwhat (?:percent|share|size|distance|population|version)|\bceiling\b|\bcap\b",
    ),
    ("person", r"\bwho(?:m|se)?\b|\bname of\b|\bwhat(?:'s| is) the name\b|\bnamed\b|\bcalled\b"),
    (
        "place",
        r"\bwhere\b|\bwhat (?:city|country|state|region|place|street|town|continent)|\bwhich (?:city|country|state|page|menu)",
    ),
    ("reason", r"\bwhy\b|\bhow come\b|\bwhat (?:caused?|makes|led)\b|\bfor what reason"),
    ("way", r"^how (?:do|can|does|did|should|to|would|was|were|is)\b|\bhow (?:do|can|should) (?:i|we|you)\b"),
)

_HELD: dict[str, Callable[[str], bool]] = {}


def _holds_pattern(pattern: str, flags: int = re.IGNORECASE) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.search(text) is not None


_ASKED_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _ASKED)
_HELD.update(
    default=_holds_pattern(
        r"\bdefault(?: \w+){0,3}? (?:is|are|of|to)\b|\bby default\b|\bdefaults? ?(?:to|:|=)|\bdefault\)"
    ),
    contact=_holds_pattern(r"https?://|\S@\S+\.\w|\b\d{3,}[ \-]\d{3,}|\bwww\.|/\w+/\w+"),
    money=_holds_pattern(
        r"(?:[$£€]\s?\d|\d[\d.,]*\s?(?:%|per ?cent|usd|eur|gbp|dollars?|cents?|pounds?|euros?)|\bfree\b|\bnothing\b|no charge)"
    ),
    time=_holds_pattern(
        rf"\b(?:\d{{1,2}}[:.]\d\d|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:{_MONTHS})|1\d{{3}}s?|20\d\d|"
        rf"(?:\d+|{_NUMBERS}|an?|same|working|next|each|every|first|last)[ \-](?:working |business |calendar )?"
        r"(?:ms|milliseconds?|seconds?|min(?:ute)?s?|hours?|days?|nights?|weeks?|months?|years?|century|centuries|decades?)|"
        r"immediately|straight away|at once|at night|daily|weekly|monthly|hourly|\d+(?:st|nd|rd|th) century)\b"
    ),
    number=_holds_pattern(rf"\d|\b(?:{_NUMBERS})\b"),
    person=_holds_pattern(r"(?<![.!?:]\s)(?<!^)(?<!- )\b[A-Z][a-zé]+", 0),
    place=_holds_pattern(r"\b(?:in|at|from|near|to|under|on|of)\s+(?:the\s+)?[A-Z]|\s>\s", 0),
    reason=_holds_pattern(
        r"\b(?:because|since|due to|so that|in order to|as a result|owing to|therefore|to (?:avoid|prevent|allow|keep))\b"
    ),
    way=_holds_pattern(r"\s>\s|\b(?:open|choose|click|press|hold|go to|send|write|use|by \w+ing|run|set|tap|select)\b"),
)


def asked_types(question: str) -> tuple[str, ...]:
    """The kinds of value a question may ask for; empty when its words show none.

    >>> asked_types("How much is the Studio plan?")
    ('money', 'number')
    """
    return tuple(kind for kind, pattern in _ASKED_PATTERNS if pattern.search(question))


def holds(kinds: tuple[str, ...], text: str) -> float:
    """Whether `text` holds a value of one of `kinds`: 1.0 for the first that its question showed, else 0.5, else 0.0.

    >>> holds(("money", "number"), "Studio costs 34 USD."), holds(("money", "number"), "It has 5 logins.")
    (1.0, 0.5)
    """
    for place, kind in enumerate(kinds):
        if holding(kind, text):
            return 1.0 if place == 0 else 0.5
    return 0.0


def holding(kind: str, text: str) -> bool:
    """Whether `text` holds a value of this kind, one of those that `asked_types` gives."""
    return _HELD[kind](text)
