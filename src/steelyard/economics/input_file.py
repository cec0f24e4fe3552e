"""Strict reading of the JSON files that people write by hand: scenarios, facts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from steelyard.schema.errors import FactsError, nearest

LARGEST_FILE_BYTES = 1_000_000
"""A scenario is a page of numbers; a megabyte is some other file."""

DEEPEST_NESTING = 20
"""Levels of objects and lists; a scenario needs four."""

EXACT_DIGITS = 40
"""Integers longer than this are kept as Decimal: Python refuses to build very long ints from text."""


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key it was given twice."""

    repeated: str | None = None


def read_object(path: Path, kind: str = "scenario") -> dict[str, Any]:
    """The JSON object in a file: integers as int, other numbers as Decimal, all of them finite.

    `kind` is the word for the file in error texts.

    Raises:
        FactsError: the file is missing, too large, not UTF-8, not JSON, empty, nested too deeply, not an object, names a key
            twice, or holds NaN or an infinite number.
    """
    return parse_object(read_text(path, kind), where=str(path), kind=kind)


def parse_object(text: str, *, where: str, kind: str = "scenario") -> dict[str, Any]:
    """The JSON object in a text; as `read_object`, with `where` as the place in errors."""
    if not text.strip():
        raise FactsError(
            "the file is empty.",
            where=where,
            remedy=f"Write a {kind} as JSON; {{}} takes every default.",
            code="facts.empty",
        )
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=lambda name: Decimal(name),
        )
    except json.JSONDecodeError as error:
        raise FactsError(
            f"this is not JSON: {error.msg.lower()}.",
            where=f"{where} line {error.lineno} column {error.colno}",
            remedy="Mend the text there; names and texts stand in double quotes, and no comma follows the last entry.",
            code="facts.not_json",
        ) from error
    except RecursionError as error:
        raise _too_deep(where) from error
    if not isinstance(tree, dict):
        raise FactsError(
            "the file does not hold an object.",
            where=where,
            remedy=f"A {kind} starts with {{ and names its values.",
            code="facts.not_object",
        )
    _check_tree(tree, where, "", depth=1)
    return tree


def check_keys(tree: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse a key that is not in `known`, naming the nearest.

    Raises:
        FactsError: an unknown key.
    """
    for key in tree:
        if key not in known:
            near = nearest(key, list(known))
            remedy = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(known)}."
            raise FactsError(f"unknown key '{printable(key)}'.", where=where, remedy=remedy, code="facts.unknown_key")


def printable(text: str) -> str:
    r"""The text as one short line any terminal can show.

    >>> print(printable("a" + chr(10) + "b"))
    a\nb
    """
    shown = text if len(text) <= 60 else text[:57] + "..."
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in shown)


def read_text(path: Path, kind: str) -> str:
    """The text of a small UTF-8 file; a byte-order mark is dropped.

    Raises:
        FactsError: the file is missing, unreadable, larger than a megabyte or not UTF-8.
    """
    where = str(path)
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise FactsError(
                f"the file holds {path.stat().st_size / 1e6:.1f} MB; a {kind} holds at most {LARGEST_FILE_BYTES / 1e6:.0f} MB.",
                where=where,
                remedy=f"Check that this is the {kind} you meant.",
                code="facts.too_large",
            )
        # A byte-order mark is what some editors write; it carries no meaning in UTF-8.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FactsError(
            f"byte {error.start + 1} is not UTF-8.",
            where=where,
            remedy="Save the file as UTF-8.",
            code="facts.not_utf8",
        ) from error
    except OSError as error:
        raise FactsError(
            f"the file could not be read: {(error.strerror or 'unknown reason').lower()}.",
            where=where,
            remedy="Check the path and its permissions.",
            code="facts.unreadable",
        ) from error


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object()
    for key, value in pairs:
        if key in found and found.repeated is None:
            found.repeated = key
        found[key] = value
    return found


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= EXACT_DIGITS else _number(text)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal can hold
        return Decimal("Infinity")


def _check_tree(node: Any, where: str, path: str, depth: int) -> None:
    place = f"{where} {path}" if path else where
    if depth > DEEPEST_NESTING:
        raise _too_deep(place)
    if isinstance(node, Decimal) and not node.is_finite():
        raise FactsError(
            f"{node} is not a finite number.",
            where=place,
            remedy="Write the number itself, or leave the key out for its default.",
            code="facts.not_finite",
        )
    if isinstance(node, _Object):
        if node.repeated is not None:
            raise FactsError(
                f"the key '{printable(node.repeated)}' stands there twice.",
                where=place,
                remedy="Remove one of the two.",
                code="facts.repeated_key",
            )
        for key, value in node.items():
            _check_tree(value, where, f"{path}.{printable(key)}" if path else printable(key), depth + 1)
    elif isinstance(node, list):
        for number, value in enumerate(node, 1):
            _check_tree(value, where, f"{path}[{number}]", depth + 1)


def _too_deep(where: str) -> FactsError:
    return FactsError(
        f"the file is nested deeper than {DEEPEST_NESTING} levels.",
        where=where,
        remedy="Check that this is the file you meant.",
        code="facts.too_deep",
    )
