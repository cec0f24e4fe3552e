"""What changed between two states of a dataset."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from steelyard.dataset.content import content_key
from steelyard.dataset.duplicates import normalised
from steelyard.schema.datasets import DatasetDiff, RowChange
from steelyard.schema.items import Item

FIELDS = (
    "text",
    "label",
    "answers",
    "answerable",
    "output",
    "slots",
    "source",
    "groups",
    "valid_from",
    "valid_to",
    "group",
    "split",
)
"""What a row says, in the order in which changes are told."""


def diff_items(before: Sequence[Item], after: Sequence[Item], names: tuple[str, str]) -> DatasetDiff:
    """Rows added, removed and changed from `before` to `after`; `names` are what the two are called.

    Rows that say the same are paired first. Of the rest, rows with one id are one row that changed; then rows with the same text, dates
    and groups; then rows with the same text. Several with one text are paired in file order. Takes time linear in the rows.
    """
    left, right = list(before), list(after)
    pairs: list[tuple[Item, Item]] = []
    left, right, same = _paired(left, right, content_key)
    keys: tuple[Callable[[Item], Hashable], ...] = (
        lambda item: item.id,
        lambda item: (normalised(item.text), item.valid_from, item.valid_to, item.groups),
        lambda item: normalised(item.text),
    )
    for key in keys:
        left, right, found = _paired(left, right, key)
        pairs += found
    changed = [RowChange(before=old, after=new, fields=_changes(old, new)) for old, new in pairs]
    changed.sort(key=lambda change: change.after.row)
    return DatasetDiff(
        before=names[0],
        after=names[1],
        added=tuple(right),
        removed=tuple(left),
        changed=tuple(changed),
        unchanged=len(same),
    )


def _paired(
    left: list[Item], right: list[Item], key: Callable[[Item], Hashable]
) -> tuple[list[Item], list[Item], list[tuple[Item, Item]]]:
    """Rows of both sides that have no partner with the same key, in order, and the pairs."""
    waiting: dict[Hashable, deque[Item]] = defaultdict(deque)
    for item in left:
        waiting[key(item)].append(item)
    alone: list[Item] = []
    pairs: list[tuple[Item, Item]] = []
    for item in right:
        queue = waiting.get(key(item))
        if queue:
            pairs.append((queue.popleft(), item))
        else:
            alone.append(item)
    rest = {id(item) for queue in waiting.values() for item in queue}
    return [item for item in left if id(item) in rest], alone, pairs


def _changes(old: Item, new: Item) -> dict[str, tuple[Any, Any]]:
    found = {}
    for field in FIELDS:
        before, after = (_plain(getattr(item, field)) for item in (old, new))
        if before != after:
            found[field] = (before, after)
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value
