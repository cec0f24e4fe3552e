"""Versions of labelled data: what was there when, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.schema.items import Item


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """One state of a component's rows. Never changes; `number` counts from 1 for each component.

    `dataset` is the content hash of all rows, `current` that of the rows that held on the day it was made (what versions of candidates
    name). `parent` is the number it followed, None for the first. `files` are the SHA-256 of the files it was read from by name.
    `named` counts the rows whose file names their part, for train, validation and holdout; the others are drawn by `shares` and `seed`,
    the same way every time.
    """

    component: str
    number: int
    dataset: str
    current: str
    parent: int | None
    created: str
    who: str
    note: str
    files: Mapping[str, str]
    rows: int
    named: Mapping[str, int]
    shares: Mapping[str, float]
    seed: int

    @property
    def name(self) -> str:
        """What commands take: `COMPONENT@NUMBER`."""
        return f"{self.component}@{self.number}"

    def to_json(self) -> dict[str, Any]:
        """The version as JSON."""
        return {
            **self.__dict__,
            "name": self.name,
            **{key: dict(getattr(self, key)) for key in ("files", "named", "shares")},
        }


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """A row that is in both versions and says something else: the values before and after of each changed field."""

    before: Item
    after: Item
    fields: Mapping[str, tuple[Any, Any]]

    def to_json(self) -> dict[str, Any]:
        """The change as JSON: id, row (of the newer version), text, fields with before and after."""
        fields = {name: {"before": old, "after": new} for name, (old, new) in self.fields.items()}
        return {"id": self.after.id, "row": self.after.row, "text": self.after.text, "fields": fields}


@dataclass(frozen=True, kw_only=True)
class DatasetDiff:
    """What turns one state of the rows into another; `before` and `after` name them. Rows are in the order of their file."""

    before: str
    after: str
    added: tuple[Item, ...]
    removed: tuple[Item, ...]
    changed: tuple[RowChange, ...]
    unchanged: int

    @property
    def relabelled(self) -> tuple[RowChange, ...]:
        """The changes that give a row another label or other answers."""
        return tuple(one for one in self.changed if {"label", "answers", "answerable", "output"} & set(one.fields))

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON: counts and rows."""
        counts = {name: len(getattr(self, name)) for name in ("added", "removed", "changed", "relabelled")}
        return {
            "before": self.before,
            "after": self.after,
            "counts": {**counts, "unchanged": self.unchanged},
            "added": [_short(item) for item in self.added],
            "removed": [_short(item) for item in self.removed],
            "changed": [change.to_json() for change in self.changed],
        }


def _short(item: Item) -> dict[str, Any]:
    row = {"id": item.id, "row": item.row, "text": item.text, "label": item.label, "answers": list(item.answers)}
    return {**row, "output": item.output}
