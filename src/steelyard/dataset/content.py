"""What a row says, as one canonical text: its hash names the row, and the text brings it back."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from types import MappingProxyType
from typing import Any

from steelyard.schema.items import Item

TEXT_COLUMN = {"classify": "text", "answer": "question", "write": "input"}
"""What files call the text of a row."""


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False)  # made once: 100,000 rows are written in one go


def content_text(item: Item) -> str:
    """What a row says as canonical JSON, whatever its id or place in the file."""
    content: dict[str, Any] = {
        "task": item.task,
        "text": item.text,
        "label": item.label,
        "answers": list(item.answers),
        "answerable": item.answerable,
        "source": item.source,
        "groups": sorted(item.groups),
        "valid_from": item.valid_from.isoformat() if item.valid_from else None,
        "valid_to": item.valid_to.isoformat() if item.valid_to else None,
        "slots": dict(sorted(item.slots.items())),
        "output": item.output,
        "group": item.group,
    }
    if item.split is not None:
        content["split"] = item.split
    return _CANONICAL.encode(content)


def content_key(item: Item) -> str:
    """SHA-256, in hex, of what a row says, whatever its id or place in the file."""
    return key_of(content_text(item))


def key_of(text: str) -> str:
    """SHA-256, in hex, of a canonical text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def item_of(text: str, *, name: str, row: int) -> Item:
    """The row that `content_text` described, under its name and line."""
    values = json.loads(text)
    for field in ("valid_from", "valid_to"):
        values[field] = datetime.fromisoformat(values[field]) if values[field] else None
    values["answers"] = tuple(values["answers"])
    values["groups"] = frozenset(values["groups"])
    values["slots"] = MappingProxyType(values["slots"])
    return Item(id=name, row=row, **values)


def content_row(item: Item) -> dict[str, Any]:
    """The row as a line of a file: its columns as Steelyard reads them, without empty ones."""
    values = json.loads(content_text(item))
    task = values.pop("task")
    values[TEXT_COLUMN[task]] = values.pop("text")
    if task != "answer":
        values.pop("answerable")
    row = {"id": item.id, **{name: value for name, value in values.items() if value not in (None, [], {})}}
    if task == "answer" and item.label is not None:
        row["intent"] = row.pop("label")
    return row
