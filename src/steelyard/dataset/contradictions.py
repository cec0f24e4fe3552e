"""Questions that are answered twice, differently, for the same asker at the same time; and replies whose slots do not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations

from steelyard.dataset.duplicates import normalised
from steelyard.dataset.personal import masked
from steelyard.dataset.places import places_of
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item

_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_COMPARED = 50  # wordings of one question compared with each other; more only repeat the message
_SHORTEST_VALUE = 3  # shorter slot values stand in replies by chance


def contradictory_answers(items: Sequence[Item], file: str | None = None) -> list[Finding]:
    """Pairs of rows with the same question, the same groups and overlapping dates whose answers have nothing in common.

    Texts are compared as `normalised`; an answer that contains another agrees with it. Each finding names both rows.
    """
    same: dict[tuple[str, frozenset[str]], list[Item]] = defaultdict(list)
    for item in items:
        same[normalised(item.text), item.groups].append(item)
    found = []
    for rows in same.values():
        for first, second in combinations(rows[:_COMPARED], 2):
            if not contradict(first, second):
                continue
            said = " / ".join(masked(_said(row)) for row in (first, second))
            message = f"answered differently here and in row {first.row} ('{_short(second.text)}': {said})."
            remedy = "Decide on one answer, or give each its valid_from and valid_to, or its groups."
            found.append(_finding("dataset.contradictory_answers", message, remedy, file, second.row, "answers"))
    return found


def contradict(first: Item, second: Item) -> bool:
    """Whether two rows with one question and one asker cannot both be right at some moment."""
    begins, ends = ([getattr(row, name) for row in (first, second)] for name in ("valid_from", "valid_to"))
    if max(begin or _EVER for begin in begins) >= min(end or _NEVER for end in ends):
        return False
    if first.answerable != second.answerable:
        return True
    left, right = ({normalised(answer) for answer in row.answers} for row in (first, second))
    if not left or not right:
        return False
    return not any(a and b and (f" {a} " in f" {b} " or f" {b} " in f" {a} ") for a in left for b in right)


def misfitting_slots(items: Sequence[Item], file: str | None = None) -> list[Finding]:
    """Slots that no reply of the file uses, places that no row has a value for, and values written out where a place belongs."""
    places = [set(places_of(item.output or "")) for item in items]
    used = set().union(*places) if places else set()
    first_with: dict[str, int] = {}
    for item in items:
        for slot in item.slots:
            first_with.setdefault(slot, item.row)
    found = [
        _finding(
            "dataset.slot_never_used",
            f"the slot '{slot}' has values and no reply has a place {{{slot}}}.",
            "Write the place into the replies that need it, or leave the slot out.",
            file,
            row,
            "slots",
        )
        for slot, row in first_with.items()
        if slot not in used
    ]
    empty: dict[str, int] = {}
    for item, names in zip(items, places, strict=True):
        for name in sorted(names - set(first_with)):
            empty.setdefault(name, item.row)
        found += _written_out(item, names, file)
    found += [
        _finding(
            "dataset.slot_without_value",
            f"no row has a value for the place {{{name}}}.",
            "Give the rows that use it slots with a value, or take the place out.",
            file,
            row,
            "output",
        )
        for name, row in empty.items()
    ]
    return sorted(found, key=lambda finding: finding.row or 0)


def _written_out(item: Item, places: set[str], file: str | None) -> list[Finding]:
    text = f" {normalised(item.output or '')} "
    return [
        _finding(
            "dataset.slot_written_out",
            f"the value of the slot '{slot}' stands in the output as text.",
            f"Write {{{slot}}} there: a reply is learned with its places, and the value is put in when it is sent.",
            file,
            item.row,
            "output",
        )
        for slot, value in _values(item.slots)
        if slot not in places and f" {value} " in text
    ]


def _values(slots: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(slot, plain) for slot, value in slots.items() if len(plain := normalised(value)) >= _SHORTEST_VALUE]


def _said(item: Item) -> str:
    if not item.answerable:
        return "not answerable"
    return f"'{_short(item.answers[0])}'" if item.answers else "no answer"


def _short(text: str) -> str:
    shown = masked(text)
    return shown if len(shown) <= 40 else shown[:37] + "…"


def _finding(code: str, message: str, remedy: str, file: str | None, row: int, field: str) -> Finding:
    return Finding(code=code, severity="warning", message=message, remedy=remedy, file=file, row=row, field=field)
