"""The sealed holdout: opened to score, counted each time, and never fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from steelyard.dataset.duplicates import normalised
from steelyard.dataset.personal import masked
from steelyard.schema.errors import DataError
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item, Split


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What is written down about a holdout: its dataset, how many rows, the SHA-256 of their ids, and each opening's purpose."""

    dataset: str
    items: int
    digest: str
    openings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The seal as JSON: dataset, items, digest, openings."""
        return {**self.__dict__, "openings": list(self.openings)}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Seal:
        """The seal that `to_json` wrote."""
        return cls(**{**raw, "openings": tuple(raw["openings"])})


class Holdout:
    """The holdout rows of a split, behind a seal.

    Not a sequence: rows come out through `open` only, which counts. `seal` given: the rows must be those it was made for.

    Raises:
        DataError: `seal` belongs to other rows.
    """

    def __init__(self, split: Split, seal: Seal | None = None) -> None:
        self._items = split.holdout
        self._texts = {normalised(item.text): item for item in split.holdout}
        self._ids = {item.id for item in split.holdout}
        digest = hashlib.sha256("\n".join(sorted(self._ids)).encode()).hexdigest()
        if seal is not None and (seal.digest, seal.dataset) != (digest, split.dataset):
            raise _refused(
                "dataset.seal_broken",
                "these are not the holdout rows that were sealed.",
                "Cut the dataset again with the same seed and shares, or weigh again.",
            )
        self.seal = seal or Seal(dataset=split.dataset, items=len(self._items), digest=digest)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def uses(self) -> int:
        """How often it was opened."""
        return len(self.seal.openings)

    def open(self, purpose: str) -> tuple[Item, ...]:
        """The rows, to score; `purpose` is written into the seal."""
        self.seal = replace(self.seal, openings=(*self.seal.openings, purpose))
        return self._items

    def guard(self, rows: Sequence[Item]) -> None:
        """Let `rows` be fitted on only if none is in the holdout, by id or by what it says.

        A text that is in the holdout is refused whatever its label: a memorised text is no evidence.

        Raises:
            DataError: at least one is; every one is a finding.
        """
        seen = [row for row in rows if row.id in self._ids or normalised(row.text) in self._texts]
        if seen:
            findings = [_seen(row) for row in seen]
            raise _refused(
                "dataset.holdout_fitted",
                f"{len(seen)} of the rows to learn from {'are' if len(seen) > 1 else 'is'} in the sealed holdout.",
                "Take them out of the training rows.",
                findings,
            )

    def findings(self) -> list[Finding]:
        """A warning once it was opened more than once: choices made after the first look make its numbers optimistic."""
        if self.uses <= 1:
            return []
        message = f"the holdout was opened {self.uses} times."
        remedy = "Treat its figures as optimistic; add fresh rows for the next decision."
        return [Finding(code="dataset.holdout_reused", severity="warning", message=message, remedy=remedy)]


def _seen(row: Item) -> Finding:
    message = f"'{masked(row.text)[:60]}' is in the sealed holdout."
    return Finding(
        code="dataset.holdout_fitted",
        severity="error",
        message=message,
        remedy="Take it out of the training rows.",
        row=row.row,
    )


def _refused(code: str, message: str, remedy: str, findings: Iterable[Finding] = ()) -> DataError:
    return DataError(message, findings=list(findings), remedy=remedy, code=code)
