"""What somebody said of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["right", "wrong", "unsafe"]
"""Right, wrong, or harmful to somebody."""

FeedbackState = Literal["new", "accepted", "rejected"]
"""Waiting for a reviewer; become a labelled row; not used."""


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """One verdict on one answer. `request` is its trace id; `versions` those that made it, as `COMPONENT/CANDIDATE@VERSION`.

    `component` is the one that the verdict is about, None: the whole answer. `label` and `answer` are what would have been right.
    `question` is kept only where the settings keep questions or the caller sent it along. `row` is the labelled row it became, as JSON.
    """

    number: int
    at: str
    request: str
    component: str | None
    versions: tuple[str, ...]
    verdict: Verdict
    caller: str
    label: str | None = None
    answer: str | None = None
    comment: str | None = None
    question: str | None = None
    state: FeedbackState = "new"
    reviewed: str | None = None
    reviewer: str | None = None
    row: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The feedback with the keys of `feedback list --json`."""
        return {**self.__dict__, "versions": list(self.versions)}
