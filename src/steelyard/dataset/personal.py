"""Hints of personal data in texts: what looks like an address, a number or a name of a person, and the text without it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from steelyard.schema.findings import Finding
from steelyard.schema.items import Item

Kind = Literal["e-mail address", "phone number", "IBAN", "card number", "name"]

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\d+])(?:\d[ -]?){12,18}\d(?!\d)")
# International with + or 00, (area) number, or a leading 0 with separators: bare runs of digits are order numbers more often.
_PHONE = re.compile(
    r"(?<![\w+])(?<!\d[ -])(?:(?:\+|00)[1-9](?:[ ()/.-]{0,2}\d){7,13}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}|0[1-9]\d{0,3}[ /-]\d{3,4}[ -]?\d{3,5})(?![ -]?\d)"
)
_GREETED = re.compile(
    r"\b(?:[Dd]ear|[Hh]ello|[Hh]i|[Hh]ey|[Hh]allo|[Ll]iebe[rs]?|[Bb]onjour|[Cc]her|[Cc]hère|[Hh]ola)\s+"
    r"(?P<name>(?:(?:[Mm]rs?|[Mm]s|[Dd]r)\.?\s+)?[A-ZÀ-Þ][a-zß-ÿ'’-]+(?:\s[A-ZÀ-Þ][a-zß-ÿ'’-]+)?)(?=\s*[,!.:\n]|$)"
)
_TITLED = re.compile(r"\b(?:Mrs?|Ms|Dr|Herr|Frau|Mme|Señora?)\.?\s+(?P<name>[A-ZÀ-Þ][a-zß-ÿ'’-]{2,})")
_SAID = re.compile(r"\b[Mm]y name(?: is|['’]s)\s+(?P<name>[A-ZÀ-Þ][a-zß-ÿ'’-]+(?:\s[A-ZÀ-Þ][a-zß-ÿ'’-]+)?)")
_NO_NAMES = frozenset(
    {
        "all",
        "again",
        "agent",
        "both",
        "bot",
        "chat",
        "colleague",
        "colleagues",
        "customer",
        "everybody",
        "everyone",
        "folks",
        "friend",
        "friends",
        "guys",
        "help",
        "madam",
        "member",
        "nobody",
        "sales",
        "service",
        "sir",
        "somebody",
        "someone",
        "staff",
        "support",
        "team",
        "there",
        "user",
        "world",
        "you",
    }
)

WRITTEN_BY_THE_TEAM = ("output", "answers")
REMEDY = "Replace it by a made-up one, or by a slot: weights and cited examples can repeat what they were given."


@dataclass(frozen=True, kw_only=True)
class Hint:
    """One place in a text that looks personal: what it looks like, and its character offsets."""

    kind: Kind
    start: int
    end: int


def personal_hints(text: str) -> list[Hint]:
    """What looks like personal data in `text`, in reading order, without overlaps; a hint, not a proof.

    Card numbers must pass the Luhn check, IBANs their check digits (ISO 13616); names are taken after greetings, titles and "my name is".
    """
    found: list[Hint] = []
    for hint in _all_hints(text):
        if all(hint.end <= other.start or hint.start >= other.end for other in found):
            found.append(hint)
    return sorted(found, key=lambda hint: hint.start)


def masked(text: str) -> str:
    """`text` with each hint replaced by its kind.

    >>> masked("Write to ann@example.org, please")
    'Write to [e-mail address], please'
    """
    out, at = [], 0
    for hint in personal_hints(text):
        out += [text[at : hint.start], f"[{hint.kind}]"]
        at = hint.end
    return "".join([*out, text[at:]])


def check_personal(items: Sequence[Item], file: str | None = None) -> list[Finding]:
    """A note for each row and field with hints of personal data; what was found is masked in it.

    What stands in several rows' replies or answers is the team's own number or address, and people named in answers are facts that
    documents state: neither is noted.
    """
    hinted = [
        (item, field, text, hints) for item in items for field, text in _fields(item) if (hints := personal_hints(text))
    ]
    written = Counter(
        value
        for _, field, text, hints in hinted
        if field in WRITTEN_BY_THE_TEAM
        for value in {text[hint.start : hint.end] for hint in hints}
    )
    found = []
    for item, field, text, hints in hinted:
        if field in WRITTEN_BY_THE_TEAM:
            hints = [hint for hint in hints if written[text[hint.start : hint.end]] == 1]
        kinds = list(dict.fromkeys(hint.kind for hint in hints if field != "answers" or hint.kind != "name"))
        if kinds:
            shown = masked(text)
            message = (
                f"looks like personal data ({', '.join(kinds)}): '{shown if len(shown) <= 60 else shown[:57] + '…'}'."
            )
            found.append(
                Finding(
                    code="dataset.personal_data",
                    severity="note",
                    message=message,
                    remedy=REMEDY,
                    file=file,
                    row=item.row,
                    field=field,
                )
            )
    return found


def _fields(item: Item) -> Iterator[tuple[str, str]]:
    yield {"classify": "text", "answer": "question", "write": "input"}[item.task], item.text
    # Slot values are meant to be personal: they are put in when a reply is sent, and never learned.
    if item.output:
        yield "output", item.output
    for answer in item.answers:
        yield "answers", answer


def _all_hints(text: str) -> Iterator[Hint]:
    """Hints of every kind, the surest first; they may overlap."""
    if "@" in text:
        yield from _matches("e-mail address", _EMAIL, text)
    if any(sign.isdigit() for sign in text):
        yield from _matches("IBAN", _IBAN, text, _is_iban)
        yield from _matches("card number", _CARD, text, _is_card)
        yield from _matches("phone number", _PHONE, text)
    for pattern in (_GREETED, _TITLED, _SAID):
        yield from _matches("name", pattern, text, _is_name)


def _matches(
    kind: Kind, pattern: re.Pattern[str], text: str, really: Callable[[str], bool] = lambda _: True
) -> Iterable[Hint]:
    group = "name" if "name" in pattern.groupindex else 0
    for match in pattern.finditer(text):
        if really(match[group]):
            yield Hint(kind=kind, start=match.start(group), end=match.end(group))


def _is_name(word: str) -> bool:
    return not _NO_NAMES & set(word.lower().split())


def _is_card(text: str) -> bool:
    """Luhn check (ISO/IEC 7812-1) and a first digit that card networks use."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    if digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """Check digits: the number read with letters as 10 to 35, its first four signs last, is 1 modulo 97 (ISO 13616)."""
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1
