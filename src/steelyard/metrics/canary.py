"""What of a canary's requests is compared with production's, and the test that stops it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.config import CanarySettings
from steelyard.metrics.sequential import WorseTest

ERROR, REFUSED, SLOW, TAIL, DISLIKED = "errors", "declined", "slow_half", "slow_tail", "disliked"
METRICS = (ERROR, REFUSED, SLOW, TAIL, DISLIKED)
"""Failing requests; declined ones; slower than production's median, than its 95th percentile; verdicts of wrong or unsafe."""

PRODUCTION, CANARY = 0, 1

Counts = tuple[float, float, float, float]
"""Of one block and one metric: hits and requests of production, hits and requests of the canary."""

NOTHING: Counts = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The latencies in milliseconds that count as slow, production's own; fixed before the first block is counted."""

    half_ms: float
    tail_ms: float

    @classmethod
    def of(cls, latencies_ms: Sequence[float]) -> Limits:
        """The median and the 95th percentile of some latencies, at least one."""
        ordered = sorted(latencies_ms)
        last = len(ordered) - 1
        return cls(half_ms=ordered[round(0.5 * last)], tail_ms=ordered[round(0.95 * last)])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one request, on which side (PRODUCTION or CANARY)."""

    side: int
    failed: bool
    declined: bool
    latency_ms: float


def margins(settings: CanarySettings) -> dict[str, float]:
    """By metric, how much worse the canary may be."""
    return {
        ERROR: settings.error_margin,
        REFUSED: settings.refusal_margin,
        SLOW: settings.latency_margin,
        TAIL: settings.latency_margin,
        DISLIKED: settings.feedback_margin,
    }


def counts(
    outcomes: Iterable[Outcome], verdicts: Iterable[tuple[int, bool]], limits: Limits, settings: CanarySettings
) -> dict[str, Counts]:
    """One block counted: `verdicts` are (side, whether it said wrong or unsafe).

    A canary is slow only from [canary] latency_tolerance times, and latency_tolerance_ms above, the limit that production is held to: one
    that is up to that much slower is not worse.
    Failed requests count as failed, and neither as declined nor as slow.
    """
    found = {metric: list(NOTHING) for metric in METRICS}

    def add(metric: str, side: int, hit: bool) -> None:
        found[metric][2 * side] += hit
        found[metric][2 * side + 1] += 1

    def bound(limit: float, side: int) -> float:
        far = max(settings.latency_tolerance * limit, limit + settings.latency_tolerance_ms)
        return far if side == CANARY else limit

    for one in outcomes:
        add(ERROR, one.side, one.failed)
        if not one.failed:
            add(REFUSED, one.side, one.declined)
            add(SLOW, one.side, one.latency_ms > bound(limits.half_ms, one.side))
            add(TAIL, one.side, one.latency_ms > bound(limits.tail_ms, one.side))
    for side, bad in verdicts:
        add(DISLIKED, side, bad)
    return {metric: (held[0], held[1], held[2], held[3]) for metric, held in found.items()}


@dataclass(frozen=True)
class CanaryTest:
    """One test per metric; together they stop a canary that is not worse with at most `alpha` (Bonferroni over the metrics)."""

    tests: Mapping[str, WorseTest]
    alpha: float

    @classmethod
    def begin(cls, settings: CanarySettings) -> CanaryTest:
        """Before the first block."""
        return cls({name: WorseTest(margin=margin) for name, margin in margins(settings).items()}, settings.alpha)

    @property
    def needed(self) -> float:
        """The evidence at which a metric stops the canary."""
        return len(self.tests) / self.alpha

    def seen(self, block: Mapping[str, Counts]) -> CanaryTest:
        """The tests after one more block, as `counts` gives it."""
        return CanaryTest({name: test.seen(*block[name]) for name, test in self.tests.items()}, self.alpha)

    def worse(self) -> list[str]:
        """The metrics that stop the canary, in the order of METRICS; empty while none does."""
        return [name for name in METRICS if self.tests[name].evidence >= self.needed]

    def to_json(self) -> dict[str, Any]:
        """The state as JSON, for `from_json`."""
        return {"alpha": self.alpha, "tests": {name: test.to_json() for name, test in self.tests.items()}}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> CanaryTest:
        """The state that `to_json` wrote."""
        return cls({name: WorseTest.from_json(one) for name, one in raw["tests"].items()}, raw["alpha"])
