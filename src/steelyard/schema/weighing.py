"""What a bake-off found: the record behind `weigh --json`, the report and the decision record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from steelyard.schema.curves import LearningCurve
from steelyard.schema.decision import ComponentDecision
from steelyard.schema.items import Approach, Task
from steelyard.schema.search import Searched
from steelyard.schema.statistics import Comparison, Interval

NO_NUMBERS: Mapping[str, float] = MappingProxyType({})
NO_TEXTS: Mapping[str, str] = MappingProxyType({})
NO_INTERVALS: Mapping[str, Interval] = MappingProxyType({})

REFUSAL_RECALL = "refusal_recall", "out_of_scope_recall"
REFUSAL_PRECISION = "refusal_precision", "out_of_scope_precision"
"""What declining is called in the metrics of answers and of labels."""


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """One candidate of a component after the bake-off.

    Money is USD over the horizon: `usd_lines` by line, `usd_monthly` per month, both adding up to `usd_total`; `usd_low` and
    `usd_high` bound 90 % of the draws. `metrics` holds further metrics with their intervals. A candidate that was not measured has
    `quality` None and says why in `not_measured`. `why_not` names the requirement an infeasible candidate misses. `samples` are a
    few holdout items with what the candidate made of them. Tokens and `usd_generator` are means a query; `made_with` has the prompt and
    the generator of a candidate that asks one.
    """

    name: str
    approach: Approach
    role: str
    feasible: bool
    why_not: str | None = None
    not_measured: str | None = None
    version: int | None = None
    metric: str = ""
    quality: Interval | None = None
    metrics: Mapping[str, Interval] = field(default_factory=lambda: NO_INTERVALS)
    p50_ms: float | None = None
    p95_ms: float | None = None
    usd_per_query: float | None = None
    usd_setup: float | None = None
    usd_total: float | None = None
    usd_low: float | None = None
    usd_high: float | None = None
    usd_lines: Mapping[str, float] = field(default_factory=lambda: NO_NUMBERS)
    usd_monthly: tuple[float, ...] = ()
    p_cheapest: float | None = None
    error_rate: float | None = None
    handoff_rate: float | None = None
    build_s: float | None = None
    refresh_s: float | None = None
    peak_mb: float | None = None
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    tokens_cached: float = 0.0
    usd_generator: float = 0.0
    made_with: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS)
    leaks: int = 0
    refusal_recall: float | None = None
    run_key: str | None = None
    samples: tuple[Mapping[str, Any], ...] = ()

    @property
    def refusals(self) -> Mapping[str, Interval]:
        """How it declines, as far as the rows could show.

        `recall`: share of what it should decline that it declines; `precision`: share of its refusals that were right; `coverage`: share
        of the rest that it does not decline.
        """
        names = {"recall": REFUSAL_RECALL, "precision": REFUSAL_PRECISION, "coverage": ("coverage",)}
        found = {
            kind: next((self.metrics[name] for name in of if name in self.metrics), None) for kind, of in names.items()
        }
        return {kind: interval for kind, interval in found.items() if interval is not None}

    def to_json(self) -> dict[str, Any]:
        """The candidate with the keys of `weigh --json`."""
        return {
            "name": self.name,
            "approach": self.approach,
            "role": self.role,
            "feasible": self.feasible,
            "why_not": self.why_not,
            "measured": self.quality is not None,
            "not_measured": self.not_measured,
            "version": self.version,
            "quality": None if self.quality is None else {"metric": self.metric, **self.quality.to_json()},
            "metrics": {name: interval.to_json() for name, interval in self.metrics.items()},
            "latency_ms": None if self.p50_ms is None else {"p50": self.p50_ms, "p95": self.p95_ms},
            "usd": {
                "per_query": self.usd_per_query,
                "setup": self.usd_setup,
                "total": self.usd_total,
                "low": self.usd_low,
                "high": self.usd_high,
                "lines": dict(self.usd_lines),
                "monthly": list(self.usd_monthly),
                "p_cheapest": self.p_cheapest,
                "generator_per_query": self.usd_generator,
            },
            "error_rate": self.error_rate,
            "handoff_rate": self.handoff_rate,
            "build_s": self.build_s,
            "refresh_s": self.refresh_s,
            "peak_mb": self.peak_mb,
            "tokens": {"in": self.tokens_in, "cached": self.tokens_cached, "out": self.tokens_out},
            "made_with": {key: text for key, text in self.made_with.items() if key != "text"},
            "leaks": self.leaks,
            "refusal_recall": self.refusal_recall,
            "refusals": {kind: interval.to_json() for kind, interval in self.refusals.items()},
            "run": self.run_key,
            "samples": [dict(sample) for sample in self.samples],
        }


@dataclass(frozen=True, kw_only=True)
class CostCurve:
    """Total USD over the horizon of some candidates at several volumes; `totals[name][i]` belongs to `queries_per_month[i]`.

    `break_even` is the volume at which the two named candidates cost the same, None where they never do; `at` is today's volume.
    """

    queries_per_month: tuple[float, ...]
    totals: Mapping[str, tuple[float, ...]]
    first: str
    second: str
    break_even: float | None
    at: float

    def to_json(self) -> dict[str, Any]:
        """The curve as JSON."""
        return {**self.__dict__, "totals": {name: list(values) for name, values in self.totals.items()}}


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """How much one uncertain input moves the cost difference: Sobol total-order index, and USD that knowing it is worth."""

    input: str
    total_order: float
    evppi_usd: float

    def to_json(self) -> dict[str, Any]:
        """The sensitivity as JSON: input, total_order, evppi_usd."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class ComponentResult:
    """One component after the bake-off: its data, its candidates (best first), and the decision."""

    name: str
    task: Task
    metric: str
    dataset: str
    n_train: int
    n_validation: int
    n_holdout: int
    candidates: tuple[CandidateResult, ...]
    comparisons: tuple[Comparison, ...]
    decision: ComponentDecision
    smallest_detectable_difference: float
    curve: CostCurve | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    evpi_usd: float | None = None
    holdout_uses: Mapping[str, float] = field(default_factory=lambda: NO_NUMBERS)
    leaks_into_training: int = 0
    ageing: Mapping[str, Any] | None = None
    search: Searched | None = None
    learning: LearningCurve | None = None

    def to_json(self) -> dict[str, Any]:
        """The component with the keys of `weigh --json`."""
        decision = self.decision.to_json()
        return {
            **decision,
            "task": self.task,
            "candidate": self.decision.candidate,
            "metric": self.metric,
            "dataset": self.dataset,
            "rows": {"train": self.n_train, "validation": self.n_validation, "holdout": self.n_holdout},
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "smallest_detectable_difference": self.smallest_detectable_difference,
            "curve": None if self.curve is None else self.curve.to_json(),
            "sensitivity": [one.to_json() for one in self.sensitivity],
            "evpi_usd": self.evpi_usd,
            "holdout_uses": dict(self.holdout_uses),
            "leaks_into_training": self.leaks_into_training,
            "ageing": None if self.ageing is None else dict(self.ageing),
            "search": None if self.search is None else self.search.to_json(),
            "learning": None if self.learning is None else self.learning.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """A whole system measured end to end; `parts` names the candidate of each component.

    `quality` is the share of cases handled right in all their parts; `metrics` has each part's own share.
    """

    name: str
    parts: Mapping[str, str]
    quality: Interval
    metrics: Mapping[str, Interval]
    p50_ms: float
    p95_ms: float
    usd_per_query: float
    usd_total: float
    leaks: int
    samples: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The system as JSON."""
        return {
            "parts": dict(self.parts),
            "quality": {"metric": "handled_right", **self.quality.to_json()},
            "metrics": {name: interval.to_json() for name, interval in self.metrics.items()},
            "latency_ms": {"p50": self.p50_ms, "p95": self.p95_ms},
            "usd": {"per_query": self.usd_per_query, "total": self.usd_total},
            "leaks": self.leaks,
            "samples": [dict(sample) for sample in self.samples],
        }


@dataclass(frozen=True, kw_only=True)
class WeighReport:
    """Everything one `weigh` found and what it rests on.

    `inputs` holds the resolved settings that the numbers follow from, `provenance` the versions of code, data, encoder and corpus.
    `skipped` says what was taken from an earlier run because nothing it depends on had changed. `files` are paths in the workspace.
    `systems_note` says why systems were not measured, when they were not.
    """

    workspace: str
    created: str
    inputs: Mapping[str, Any]
    provenance: Mapping[str, str]
    components: tuple[ComponentResult, ...]
    systems: tuple[SystemResult, ...] = ()
    system_comparisons: tuple[Comparison, ...] = ()
    systems_note: str | None = None
    skipped: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `weigh --json`."""
        return {
            "workspace": self.workspace,
            "created": self.created,
            "components": {component.name: component.to_json() for component in self.components},
            "systems": {system.name: system.to_json() for system in self.systems},
            "system_comparisons": [comparison.to_json() for comparison in self.system_comparisons],
            "systems_note": self.systems_note,
            "inputs": dict(self.inputs),
            "provenance": dict(self.provenance),
            "skipped": list(self.skipped),
            "files": dict(self.files),
        }
