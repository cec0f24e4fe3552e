"""Labelled rows: what candidates learn from and are measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

Task = Literal["classify", "answer", "write"]
Approach = Literal["prompt", "rag", "fine_tune", "hybrid"]
SplitName = Literal["train", "validation", "holdout"]

NO_SLOTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Item:
    """One labelled row of any task. Fields that a task does not use keep their defaults.

    classify: `text`, `label`. answer: `text` (the question), `answers` (any of which counts), `answerable`, `source` (document),
    `groups` of the asker, `valid_from`/`valid_to`. write: `text` (the situation), `slots`, `output` with `{slot}` places.
    system cases use all of them. `group` keeps rows together in a split (None: only near-duplicates are kept together).
    `split` is the part that the file puts the row in; None: it is drawn. `row` is the line in the file the row came from. `fact` names what
    several wordings of one question ask for, and binds nothing.
    """

    id: str
    task: Task
    text: str
    label: str | None = None
    answers: tuple[str, ...] = ()
    answerable: bool = True
    source: str | None = None
    groups: frozenset[str] = frozenset()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    slots: Mapping[str, str] = field(default_factory=lambda: NO_SLOTS)
    output: str | None = None
    group: str | None = None
    split: SplitName | None = None
    row: int = 0
    fact: str | None = None


@dataclass(frozen=True, kw_only=True)
class Split:
    """Train, validation and holdout rows of one dataset. `dataset` is the content hash they were cut from.

    The holdout is scored once and never fitted or tuned on.
    """

    dataset: str
    train: tuple[Item, ...]
    validation: tuple[Item, ...]
    holdout: tuple[Item, ...]
