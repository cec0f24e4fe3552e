"""Simulated canaries whose faults are known, to see how often, and how soon, each of them is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.config import CanarySettings
from steelyard.metrics.canary import DISLIKED, ERROR, REFUSED, SLOW, TAIL, margins
from steelyard.metrics.sequential import Array, WorseTest
from steelyard.metrics.statistics import wilson

ERRORS, DECLINED, BAD = 0.004, 0.15, 0.2
"""Production's true rates: of failures, of declined answers, of bad verdicts among verdicts."""

SPREAD = 0.6
"""Standard deviation of the logarithm of latencies: the 95th percentile is 2.7 times the median."""

VERDICTS = 0.02
"""Share of the requests that somebody gives a verdict on."""

LEARNED_FROM = 500
"""Requests of production that the limits of slowness are taken from."""

DRIFT = 0.5
"""Production's rates go up and down by so much during the trial, for both sides alike: a day is not like a night."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How a planted canary differs from production: added to its rates, and the factor on its latencies."""

    name: str
    errors: float = 0.0
    declined: float = 0.0
    bad: float = 0.0
    slower: float = 1.0


FAULTS = (
    Fault(name="twins"),
    Fault(name="20 % slower", slower=1.2),
    Fault(name="50 % slower", slower=1.5),
    Fault(name="twice as slow", slower=2.0),
    Fault(name="1 point more errors", errors=0.01),
    Fault(name="5 points more errors", errors=0.05),
    Fault(name="5 points more declined", declined=0.05),
    Fault(name="15 points more declined", declined=0.15),
    Fault(name="20 points more bad verdicts", bad=0.2),
)
"""What the benchmark plants. The first two are no faults: twins, and as much slower as is tolerated."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """How often a canary with this fault was stopped in `trials` courses of `requests`, with Wilson's 95 % interval of the share.

    `delay_requests` is the median number of requests that the canary had answered when it was stopped (`delay_all` of both sides), over
    those that were.
    """

    fault: str
    share: float
    requests: int
    trials: int
    stopped: float
    low: float
    high: float
    delay_requests: float | None
    delay_all: float | None

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return dict(self.__dict__)


def planted_canaries(
    fault: Fault,
    *,
    share: float = 0.05,
    requests: int = 50_000,
    block: int = 100,
    trials: int = 400,
    seed: int = 0,
    settings: CanarySettings | None = None,
) -> Stopped:
    """Simulate `trials` canaries of `requests` requests on both sides together, looked at after every `block` of them.

    Sides are drawn per request, so the sizes in a block vary. Rates swing by DRIFT on both sides alike.
    """
    chosen = settings or CanarySettings()
    rng = np.random.default_rng(seed)
    learned = np.exp(SPREAD * rng.normal(size=(trials, LEARNED_FROM)))
    limits = {SLOW: np.quantile(learned, 0.5, axis=1), TAIL: np.quantile(learned, 0.95, axis=1)}
    tests = {name: WorseTest(margin=margin) for name, margin in margins(chosen).items()}
    needed = len(tests) / chosen.alpha
    ended = np.zeros(trials)
    answered = np.zeros(trials)
    at_end = np.zeros(trials)
    for number in range(requests // block):
        swing = 1 + DRIFT * np.sin(2 * np.pi * number / 144)
        canary = rng.binomial(block, share, trials)
        answered += canary
        for name, counted in _block(rng, fault, block - canary, canary, limits, chosen, swing).items():
            tests[name] = tests[name].seen(*counted)
        worse = np.max([test.evidence for test in tests.values()], axis=0) >= needed
        fresh = worse & (ended == 0)
        ended[fresh], at_end[fresh] = (number + 1) * block, answered[fresh]
    stopped = ended > 0
    low, high = wilson(float(stopped.mean()), trials)
    return Stopped(
        fault=fault.name,
        share=share,
        requests=requests,
        trials=trials,
        stopped=float(stopped.mean()),
        low=low,
        high=high,
        delay_requests=float(np.median(at_end[stopped])) if stopped.any() else None,
        delay_all=float(np.median(ended[stopped])) if stopped.any() else None,
    )


def _block(
    rng: np.random.Generator,
    fault: Fault,
    count_a: Any,
    count_b: Any,
    limits: Mapping[str, Array],
    settings: CanarySettings,
    swing: float,
) -> dict[str, tuple[Any, ...]]:
    """Counts of one block by metric, one entry per trial."""
    from scipy.stats import norm

    def pair(rate_a: Any, rate_b: Any, of_a: Any, of_b: Any) -> tuple[Any, ...]:
        return rng.binomial(of_a, rate_a), of_a, rng.binomial(of_b, rate_b), of_b

    told_a, told_b = rng.binomial(count_a, VERDICTS), rng.binomial(count_b, VERDICTS)
    found: dict[str, Any] = {
        ERROR: pair(ERRORS * swing, ERRORS * swing + fault.errors, count_a, count_b),
        REFUSED: pair(DECLINED * swing, DECLINED * swing + fault.declined, count_a, count_b),
        DISLIKED: pair(BAD * swing, BAD * swing + fault.bad, told_a, told_b),
    }
    # Latencies are lognormal with median 1, so a limit is passed with the normal's tail beyond its logarithm; load slows both sides.
    load = np.log(swing) / 4
    for name in (SLOW, TAIL):
        above_a = norm.sf((np.log(limits[name]) - load) / SPREAD)
        beyond = np.log(limits[name] * settings.latency_tolerance / fault.slower) - load
        found[name] = pair(above_a, norm.sf(beyond / SPREAD), count_a, count_b)
    return found
