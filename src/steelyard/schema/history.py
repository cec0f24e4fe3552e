"""How documents changed, and what was asked of them when: the records of a backtest's input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """One document that came, changed, moved or went.

    `at` is UTC. `path` has forward slashes. `key` names the bytes it holds from then on in its history; None: it was deleted.
    `before` is the path it had until then, when it moved.
    """

    at: datetime
    path: str
    key: str | None
    before: str | None = None

    @property
    def deleted(self) -> bool:
        """Whether the document is gone from then on."""
        return self.key is None


@dataclass(frozen=True, kw_only=True)
class StatedFact:
    """One fact that a document states: `value` is the answer to `question`, read at `evidence`, a line of the text verbatim.

    `taught` is the same question in another form, to train on what is then asked with `question`.

    `key` names the fact inside its document and stays the same while the value changes. `kind` says where it stood:
    `front_matter`, `table`, `list`, `default` or `sentence`.
    """

    key: tuple[str, ...]
    kind: str
    question: str
    taught: str
    value: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question with the answer that held from `valid_from` (inclusive) to `valid_to` (exclusive; None: it still holds).

    Rows of one `fact` ask the same question; outside all their periods the documents do not answer it and declining is right.
    `values` is how many answers the fact had over its history. `taught` are other wordings of the question, to train on.
    """

    id: str
    fact: str
    kind: str
    question: str
    answers: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime | None
    source: str
    evidence: str
    values: int
    taught: tuple[str, ...] = ()
