"""Runs: one candidate on one set of items, item by item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from steelyard.schema.items import Approach, Task

NO_FILES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """What a candidate did with one item.

    `scores` holds per-item metrics (0 to 1 unless the name has a unit); a metric that does not apply to the item is absent, not
    zero. `error` is the message of a failed prediction; such an item scores 0 on the primary metric. `cluster` is what
    the item shares with others (its source document), for intervals. Where a generator was asked, `generator_s` is the part of
    `seconds` that it took and `usd` what it cost; `tokens_cached` are those of `tokens_in` that its provider read from a cache.
    """

    item: str
    text: str
    output: str
    expected: str
    scores: Mapping[str, float]
    seconds: float
    tokens_in: int
    tokens_out: int
    cluster: str
    abstained: bool = False
    citations: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None
    tokens_cached: int = 0
    generator_s: float = 0.0
    usd: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        out = dict(self.__dict__)
        out["scores"] = dict(self.scores)
        out["citations"] = [dict(citation) for citation in self.citations]
        return out

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ItemResult:
        """The result that `to_json` wrote."""
        return cls(**{**raw, "citations": tuple(raw["citations"])})


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One candidate version on one holdout. `key` names what went in: version, items, generation, code.

    `build_s` is the time of the fit, `refresh_s` the time from an edited document or label to the right answer (None where the
    candidate could not be refreshed here), `peak_mb` the resident memory of the process after the run.
    `made_with` has the prompt (name and version), its text and the generator of a candidate that asks one.
    """

    key: str
    component: str
    task: Task
    candidate: str
    approach: Approach
    version: int
    metric: str
    items: tuple[ItemResult, ...]
    build_s: float
    refresh_s: float | None
    peak_mb: float
    leaks: int
    created: str
    made_with: Mapping[str, str] = field(default_factory=lambda: NO_FILES)

    def scores(self, metric: str) -> dict[str, float]:
        """Per item id, the score of `metric`; items to which it does not apply are left out."""
        return {result.item: result.scores[metric] for result in self.items if metric in result.scores}

    def to_json(self) -> dict[str, Any]:
        """The run as JSON."""
        items = [result.to_json() for result in self.items]
        return {**self.__dict__, "items": items, "made_with": dict(self.made_with)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> RunRecord:
        """The run that `to_json` wrote."""
        return cls(**{**raw, "items": tuple(ItemResult.from_json(result) for result in raw["items"])})


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """One fitted candidate in the registry.

    `dataset` is the content hash of its rows, `inputs` the hash of everything the fit depends on. `artefact` is the hash over the files
    of `folder`, `files` the SHA-256 of each of them by its path in there. `code_version` is the package's version, the hash of the code
    behind results, and the commit where the package runs from a checkout. `parity` is how far the saved form agreed with the fitted
    one, see `Parity`. `seconds` and `cost_usd` are what the fit took.
    """

    component: str
    candidate: str
    version: int
    dataset: str
    inputs: str
    artefact: str
    folder: str
    code_version: str
    seed: int
    seconds: float
    metrics: Mapping[str, float]
    created: str
    files: Mapping[str, str] = field(default_factory=lambda: NO_FILES)
    parity: Mapping[str, Any] = field(default_factory=lambda: NO_FILES)
    cost_usd: float = 0.0

    @property
    def name(self) -> str:
        """What a command takes: `COMPONENT/CANDIDATE@VERSION`."""
        return f"{self.component}/{self.candidate}@{self.version}"

    def to_json(self) -> dict[str, Any]:
        """The version as JSON."""
        mappings = {name: dict(getattr(self, name)) for name in ("metrics", "files", "parity")}
        return {**self.__dict__, **mappings}
