"""What keeping the corpus in order did: compaction, erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steelyard.schema.findings import Finding


@dataclass(frozen=True, kw_only=True)
class CompactReport:
    """What one compaction did, or would do. `versions` are document states and `passages` index rows that were removed.

    `answers` are a generator's kept answers that were dropped.

    `first_kept` is the date of the oldest generation that stays: earlier ones cannot be asked any more. The sizes are those of the
    whole state folder, 0 in a dry run.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    first_kept: datetime | None
    versions: int
    passages: int
    bytes_before: int
    bytes_after: int
    seconds: float
    dry_run: bool = False
    answers: int = 0

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `steelyard compact --json`."""
        return {
            **self.__dict__,
            "kept": list(self.kept),
            "dropped": list(self.dropped),
            "first_kept": None if self.first_kept is None else self.first_kept.isoformat(),
        }


@dataclass(frozen=True, kw_only=True)
class Remnant:
    """A place that still holds something of what was erased, and why it was left."""

    place: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """The place as JSON: place, why."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class EraseReport:
    """What one erasure closed and removed. `versions` are the hashes of the bytes that are not taken in again.

    `runs` and `models` are files below the state folder that quoted the text and were removed, `texts` the pieces of feedback and the
    kept questions whose words quoted it and were emptied; `left` is what this command does not
    touch, each with what to do about it; `found` are files below the state folder in which the text was still found afterwards: empty
    when the erasure is complete.
    """

    documents: tuple[str, ...]
    versions: tuple[str, ...]
    passages: int
    runs: tuple[str, ...]
    models: tuple[str, ...]
    left: tuple[Remnant, ...]
    found: tuple[str, ...]
    seconds: float
    texts: int = 0
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `steelyard erase --json`."""
        lists = ("documents", "versions", "runs", "models", "found")
        return {
            **self.__dict__,
            **{name: list(self.__dict__[name]) for name in lists},
            "left": [one.to_json() for one in self.left],
        }


@dataclass(frozen=True, kw_only=True)
class DoctorReport:
    """What an examination found, after the repairs in `repaired` where there were any. `passages` were compared one by one."""

    findings: tuple[Finding, ...]
    repaired: tuple[str, ...]
    passages: int
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether no error is left."""
        return not any(one.severity == "error" for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `steelyard doctor --json`."""
        found = [one.to_json() for one in self.findings]
        return {**self.__dict__, "findings": found, "repaired": list(self.repaired)}


@dataclass(frozen=True, kw_only=True)
class GenerationState:
    """One kept generation. `answers` says whether it is the one in force; `since` is when it last began to answer, None if never."""

    number: int
    created_at: datetime
    as_of: datetime
    documents: int
    passages: int
    answers: bool
    since: datetime | None

    def to_json(self) -> dict[str, Any]:
        """The generation with the keys of `steelyard generations list --json`."""
        times = {name: getattr(self, name) for name in ("created_at", "as_of", "since")}
        return {**self.__dict__, **{name: None if at is None else at.isoformat() for name, at in times.items()}}
