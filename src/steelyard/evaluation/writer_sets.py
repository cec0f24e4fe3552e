"""Open sets of approved replies as rows of a writer: placeholders become slots, values of dialogue acts are taken out of the sentence."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steelyard.schema.items import Item

BITEXT_SLOTS: Mapping[str, re.Pattern[str]] = {
    "phone": re.compile(r"(support |service |^)phone number", re.IGNORECASE),
    "hours": re.compile(r"(support|service|team) (hours|availability)", re.IGNORECASE),
    "email": re.compile(r"(support|service) email", re.IGNORECASE),
    "website": re.compile(r"^(company )?website( name| url|$)", re.IGNORECASE),
    "company": re.compile(r"^company( name)?$", re.IGNORECASE),
    "number": re.compile(r"^(order|purchase|bill|invoice|tracking) (number|id)|^[0-9]+$", re.IGNORECASE),
}
"""What differs from vendor to vendor or from customer to customer is a slot; a button's label is text."""

VALUES = {
    "phone": "+1 555 0134",
    "hours": "weekdays from 8 to 18",
    "email": "help@alder.example",
    "website": "alder.example",
    "company": "Alder",
    "number": "A-20417",
}
"""Made-up values: a writer must copy them, whatever they are."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_LONG_NUMBER = re.compile(r"\b[0-9]{6,}\b")


def bitext_rows(folder: Path) -> tuple[list[Item], list[Item]]:
    """Bitext support replies, (train, test) by the file's own split, each text once, rows in an order drawn by hash."""
    parts: dict[str, list[Item]] = {"train": [], "test": []}
    seen: set[str] = set()
    for row in sorted(_read(folder / "bitext_support.jsonl.gz"), key=lambda row: _digest(row["id"])):
        item = _bitext(row)
        if item.output not in seen:
            seen.add(item.output or "")
            parts[row["split"]].append(item)
    return parts["train"], parts["test"]


def sgd_rows(folder: Path) -> tuple[list[Item], list[Item]]:
    """Sentences of the Schema-Guided Dialogue systems, (train, test), rows in an order drawn by hash.

    The message is what the acts ask to be said, without values, and the user's sentence. Left out are rows whose values do not stand
    in the sentence verbatim exactly once (or in the name of a slot placed before): nothing says what a writer should do with those.
    """
    return _sgd(folder / "train.jsonl.gz"), _sgd(folder / "test.jsonl.gz")


def _bitext(row: Mapping[str, Any]) -> Item:
    used: dict[str, str] = {}

    def place(found: re.Match[str]) -> str:
        name = found[1].strip()
        slot = next((slot for slot, pattern in BITEXT_SLOTS.items() if pattern.search(name)), None)
        if slot is None:
            return name.removesuffix(" Anonymized")
        used[slot] = VALUES[slot]
        return f"{{{slot}}}"

    def number(_: re.Match[str]) -> str:
        used["number"] = VALUES["number"]
        return "{number}"

    reply = _LONG_NUMBER.sub(number, _PLACEHOLDER.sub(place, row["response"].replace("\r\n", "\n"))).strip()
    slots = {slot: used[slot] for slot in BITEXT_SLOTS if slot in used}
    return Item(id=row["id"], task="write", text=row["instruction"], label=row["intent"], slots=slots, output=reply)


def _sgd(path: Path) -> list[Item]:
    found = [item for row in _read(path) if (item := _sgd_row(row)) is not None]
    return sorted(found, key=lambda item: _digest(item.id))


def _sgd_row(row: Mapping[str, Any]) -> Item | None:
    reply, slots, asked = row["response"], {}, []
    for act in row["acts"]:
        asked.append(" ".join([act["act"].lower(), (act["slot"] or "").replace("_", " ")]).strip())
        if act["slot"] in (None, "intent"):
            asked[-1] += "".join(f" {value}" for value in act["values"])
            continue
        for place, value in enumerate(act["values"]):
            name = act["slot"] + (f"_{place + 1}" if place else "")
            if name in slots or reply.count(value) != 1:
                return None
            slots[name] = value
            reply = reply.replace(value, f"{{{name}}}")
    if any(f"{{{name}}}" not in reply for name in slots):
        return None
    text = f"{'; '.join(asked)}\n{row['user']}"
    return Item(id=row["id"], task="write", text=text, slots=slots, output=reply, group=row["id"].rpartition("-")[0])


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
