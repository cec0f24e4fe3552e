"""What is noted of every answer, what the monitors make of it, and the alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from steelyard.schema.trials import Arm

ALERTS: Mapping[str, str] = MappingProxyType(
    {
        "freshness_lag": "a source changed, and answers do not know it yet",
        "ingest_failing": "documents cannot be read, or nothing was taken in for too long",
        "retrieval_quality_drop": "the gold questions find their documents less often than in earlier generations",
        "router_drift": "messages are routed to other labels than they used to be",
        "refusal_rate_high": "more answers are declined than measured, or than before",
        "latency_high": "more than one answer in twenty takes longer than the limit",
        "error_rate_high": "requests fail",
        "spend_over_plan": "the month will cost more than planned",
        "break_even_near": "traffic grows towards the volume at which another approach is cheaper",
        "base_model_ending": "a model that answers will be switched off",
    }
)
"""Every alert by its name, and what it says."""

BUCKETS_MS = (1, 2.5, 5, 10, 25, 50, 75, 100, 150, 200, 250, 350, 500, 750, 1000, 1500, 2500, 5000, 10000)
"""Upper ends of the latency buckets in milliseconds; one more holds the rest."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One call of one component, as it is kept for watching: no text of question or answer.

    `at` is UTC seconds since 1970; `usd` what the call itself cost; `error` the code of the error, None when it went well. `source` is that
    of the first citation, `groups` and `key` are the asker's. `trial` is the number of the canary or shadow that it belonged to. The whole
    request is noted as one more call, under the component `request`.
    """

    id: str
    at: float
    component: str
    candidate: str
    version: int
    release: int | None
    generation: int
    latency_ms: float
    usd: float = 0.0
    label: str | None = None
    probability: float | None = None
    out_of_scope: bool = False
    abstained: bool = False
    error: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    source: str | None = None
    groups: tuple[str, ...] = ()
    key: str | None = None
    arm: Arm = "production"
    trial: int | None = None


WHOLE_REQUEST = "request"
"""The component name under which a whole request, all its parts together, is noted."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """Calls of one component (and slice) in one span of time, added up.

    `dimension` is `all`, or what `slice` is a value of: `label`, `source`, `group`, `key`. `buckets` are counts by BUCKETS_MS, the last
    for what took longer; `slow` counts calls above the limit that held when they were noted.
    """

    component: str
    candidate: str
    version: int
    arm: str
    dimension: str
    slice: str
    requests: int = 0
    errors: int = 0
    abstained: int = 0
    out_of_scope: int = 0
    slow: int = 0
    usd: float = 0.0
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    buckets: tuple[int, ...] = ()

    def quantile_ms(self, share: float) -> float | None:
        """The latency below which `share` of the calls lie, interpolated inside its bucket; None without calls.

        Above the last bound that bound is given: the histogram knows no more.
        """
        total = sum(self.buckets)
        if not total:
            return None
        wanted, seen, low = share * total, 0, 0.0
        for count, high in zip(self.buckets, BUCKETS_MS, strict=False):
            if count and seen + count >= wanted:
                return low + (high - low) * (wanted - seen) / count
            seen, low = seen + count, high
        return float(BUCKETS_MS[-1])


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that wants attention: its name (one of ALERTS), the component, source or slice to blame, the evidence and the remedy."""

    name: str
    blame: str
    severity: Literal["warning", "critical"]
    message: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The alert as JSON, by its field names."""
        return {**self.__dict__, "evidence": dict(self.evidence)}


@dataclass(frozen=True, kw_only=True)
class SliceHealth:
    """One component, or one slice of it, over the window that is watched; shares are of its calls, latencies in milliseconds.

    `refused_low` and `refused_high` bound the share of declined calls (Wilson, 95 %). `disliked` counts feedback that said wrong or unsafe.
    """

    component: str
    dimension: str
    slice: str
    requests: int
    error_rate: float
    refused: float
    refused_low: float
    refused_high: float
    out_of_scope: float
    p50_ms: float | None
    p95_ms: float | None
    usd: float
    liked: int = 0
    disliked: int = 0

    def to_json(self) -> dict[str, Any]:
        """The slice as JSON, by its field names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class RouterDrift:
    """How far the labels of late messages moved from those before: population stability index, and the chance of it in one mixed pool.

    `moved` are the labels whose share changed most, as (label, share before, share now).
    """

    component: str
    now: int
    before: int
    index: float
    p_value: float
    out_of_scope_before: float
    out_of_scope_now: float
    moved: tuple[tuple[str, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """The drift as JSON, by its field names."""
        moved = [{"label": label, "before": before, "now": now} for label, before, now in self.moved]
        return {**self.__dict__, "moved": moved}


@dataclass(frozen=True, kw_only=True)
class Spend:
    """One component's money in the month so far and expected to its end, beside the plan, in USD.

    Lines are `calls` (what they were metered at) and `handoffs` (declined calls at the price of a person). The plan is what the
    decision foresaw for a month of the planned traffic. `expected_low` and `expected_high` bound the month at 95 % from day to day spread;
    None before enough days.
    """

    component: str
    requests: int
    requests_planned: float
    month_to_date_usd: Mapping[str, float]
    planned_usd: Mapping[str, float]
    expected_usd: float | None
    expected_low: float | None
    expected_high: float | None
    days: float

    def to_json(self) -> dict[str, Any]:
        """The spend as JSON, by its field names."""
        return {
            **self.__dict__,
            "month_to_date_usd": dict(self.month_to_date_usd),
            "planned_usd": dict(self.planned_usd),
        }


@dataclass(frozen=True, kw_only=True)
class BreakEvenDistance:
    """How far one component's traffic is from the volume at which two approaches cost the same.

    `growth_per_month` was measured on daily counts (0.12 is 12 %) with its 95 % interval; None, with a reason in `sentence`, before
    enough days. `weeks` is None where traffic does not move towards the break-even.
    """

    component: str
    queries_per_month: float
    break_even: float
    first: str
    second: str
    growth_per_month: float | None
    growth_low: float | None
    growth_high: float | None
    weeks: float | None
    weeks_low: float | None
    weeks_high: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The distance as JSON, by its field names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class DecisionNow:
    """What the decision's own arithmetic says on what was measured since: `holds`, or what it would be now and what to do."""

    component: str
    holds: bool
    decided: str
    now: str
    because: str
    do: str
    inputs: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The check as JSON, by its field names."""
        return {**self.__dict__, "inputs": dict(self.inputs)}


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A model behind a component or the generator, and the day it is switched off (ISO), None when no day is known."""

    name: str
    used_by: str
    ends: str | None
    days: int | None

    def to_json(self) -> dict[str, Any]:
        """The model as JSON, by its field names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Everything that is watched, at one moment; `hours` is the window of traffic that the figures are over."""

    at: str
    hours: int
    release: int | None
    generation: int
    requests: int
    alerts: tuple[Alert, ...]
    components: tuple[SliceHealth, ...]
    slices: tuple[SliceHealth, ...]
    drift: tuple[RouterDrift, ...]
    spend: tuple[Spend, ...]
    break_even: tuple[BreakEvenDistance, ...]
    decisions: tuple[DecisionNow, ...]
    models: tuple[BaseModel, ...]
    trials: tuple[Mapping[str, Any], ...]
    feedback: Mapping[str, int]
    by_day: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The record with the keys of `status --json` under `watched`, and of `/api/status`."""
        lists = ("alerts", "components", "slices", "drift", "spend", "break_even", "decisions", "models")
        return {
            **self.__dict__,
            **{name: [one.to_json() for one in getattr(self, name)] for name in lists},
            "trials": [dict(one) for one in self.trials],
            "feedback": dict(self.feedback),
            "by_day": [dict(one) for one in self.by_day],
        }
