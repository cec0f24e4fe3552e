"""Trials of other versions beside production: what is being tried, on whom, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TrialKind = Literal["canary", "shadow"]
"""A canary answers a share of the callers; a shadow is asked the same questions and answers nobody."""

TrialState = Literal["running", "stopped", "ended", "promoted"]
"""`stopped`: the test found it worse; `ended`: somebody ended it; `promoted`: it became a release."""

Arm = Literal["production", "canary", "shadow"]
"""Which side a request was on."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One canary or shadow: versions by component as (candidate, version), and the share of requests, 0 to 1.

    `release` is the one in force when it began: another release ends the trial, since it is compared with that one. Times are UTC seconds
    since 1970. `split_by` says what is hashed: a caller stays on one side (`caller`), or every request is drawn anew (`request`).
    """

    number: int
    kind: TrialKind
    versions: Mapping[str, tuple[str, int]]
    share: float
    split_by: Literal["caller", "request"]
    release: int | None
    began: float
    state: TrialState
    ended: float | None
    who: str
    why: str

    @property
    def names(self) -> tuple[str, ...]:
        """The versions as `COMPONENT/CANDIDATE@VERSION`."""
        return tuple(f"{name}/{candidate}@{version}" for name, (candidate, version) in self.versions.items())

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON, versions as `COMPONENT/CANDIDATE@VERSION`."""
        return {**self.__dict__, "versions": list(self.names)}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One figure of a canary beside production: events among requests, and the evidence that the canary is worse.

    `evidence` is the e-value so far: at `needed` the canary is stopped. `not_worse` says that evidence as strong was found that it is not
    worse by more than `margin`.
    """

    metric: str
    production: float | None
    canary: float | None
    requests: int
    canary_requests: int
    margin: float
    evidence: float
    needed: float
    worse: bool
    not_worse: bool

    def to_json(self) -> dict[str, Any]:
        """The figure as JSON, by its field names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class CanaryReport:
    """A canary and what was seen of it; `reason` says why it was stopped, `callers` how many distinct ones it answered."""

    trial: Trial
    figures: tuple[Compared, ...]
    reason: str
    callers: int
    blocks: int

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `canary status --json`."""
        return {
            **self.trial.to_json(),
            "figures": [one.to_json() for one in self.figures],
            "reason": self.reason,
            "callers": self.callers,
            "blocks": self.blocks,
        }


@dataclass(frozen=True, kw_only=True)
class ShadowPart:
    """How often one component of a shadow said what production said, with Wilson's 95 % interval of the share that agrees.

    `only_production` and `only_shadow` count requests that one side answered and the other declined; latencies are medians in milliseconds.
    """

    component: str
    compared: int
    agreed: int
    low: float
    high: float
    only_production: int
    only_shadow: int
    failed: int
    production_ms: float | None
    shadow_ms: float | None

    def to_json(self) -> dict[str, Any]:
        """The part as JSON, by its field names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class ShadowReport:
    """A shadow, each of its components compared, and the ids of some requests on which the two sides differ."""

    trial: Trial
    parts: tuple[ShadowPart, ...]
    differing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `shadow status --json`."""
        return {
            **self.trial.to_json(),
            "parts": [one.to_json() for one in self.parts],
            "differing": list(self.differing),
        }
