"""Releases: which versions answer, what was checked before they did, and which of them answered a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """A row that two forms of one candidate answer differently."""

    item: str
    text: str
    reference: str
    served: str

    def to_json(self) -> dict[str, str]:
        """The row as JSON: item, text, reference, served."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How often the served form of a candidate says what its reference form says, over `rows` rows; all flipped rows are listed."""

    reference: str
    served: str
    rows: int
    flipped: tuple[Flipped, ...]

    @property
    def agreement(self) -> float:
        """Share of rows with the same output, 0 to 1; 1 for no rows."""
        return 1.0 - len(self.flipped) / self.rows if self.rows else 1.0

    def to_json(self) -> dict[str, Any]:
        """The parity as JSON."""
        flipped = [one.to_json() for one in self.flipped]
        return {**self.__dict__, "agreement": self.agreement, "flipped": flipped}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Parity:
        """The parity that `to_json` wrote."""
        rows = tuple(Flipped(**row) for row in raw["flipped"])
        return cls(reference=raw["reference"], served=raw["served"], rows=raw["rows"], flipped=rows)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One check before a promotion. `detail` is one sentence with its numbers; `more_rows` says how many to label where it cannot tell."""

    component: str
    metric: str
    passed: bool
    detail: str
    more_rows: int | None = None
    flipped: tuple[Flipped, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The gate as JSON: component, metric, passed, detail, more_rows, flipped."""
        return {**self.__dict__, "flipped": [one.to_json() for one in self.flipped]}


@dataclass(frozen=True, kw_only=True)
class Release:
    """An immutable, numbered set of versions, one a component, and the generation of the corpus when it was made.

    `versions` maps a component to (candidate, version). A `pinned` release answers from its generation; another follows the newest.
    `previous` is the release in force before it, where a rollback leads. `forced` releases went out although a gate had failed.
    """

    number: int
    created: str
    previous: int | None
    generation: int
    pinned: bool
    forced: bool
    who: str
    why: str
    versions: Mapping[str, tuple[str, int]]
    gates: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The release as JSON, versions as `COMPONENT/CANDIDATE@VERSION`."""
        names = [f"{component}/{candidate}@{version}" for component, (candidate, version) in self.versions.items()]
        return {**self.__dict__, "versions": names, "gates": [dict(gate) for gate in self.gates]}


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What one `release` did: its number (None when a gate failed), the release in force before, and every gate."""

    release: int | None
    previous: int | None
    gates: tuple[Gate, ...]
    versions: tuple[str, ...] = ()
    unchanged: bool = False
    forced: bool = False

    @property
    def refused(self) -> bool:
        """Whether a gate failed and nothing was forced."""
        return not self.forced and not all(gate.passed for gate in self.gates)

    def to_json(self) -> dict[str, Any]:
        """The promotion with the keys of `release --json`."""
        gates = [gate.to_json() for gate in self.gates]
        return {**self.__dict__, "gates": gates, "versions": list(self.versions)}


@dataclass(frozen=True, kw_only=True)
class RequestTrace:
    """Which versions answered one request. `text` is kept only where the settings say so."""

    id: str
    at: str
    component: str
    candidate: str
    version: int
    release: int | None
    generation: int
    dataset: str
    text: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The trace as JSON."""
        return dict(self.__dict__)
