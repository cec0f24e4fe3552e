"""Statistics of live traffic: shares against each other, growth, and a month's end foreseen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from steelyard.metrics.drift import PERMUTATIONS, population_stability
from steelyard.metrics.statistics import wilson

LEVEL = 0.998
"""Of the intervals behind alerts: 1 in 1,000 on the side that counts. Looked at each hour, a day's window gives some 365 independent
looks a year, so a rate that stands just at its limit alarms about once in three years."""

DAYS_PER_MONTH = 365.25 / 12
LEAST_DAYS = 14
"""Whole days before a growth is told: two weeks, each weekday twice."""

WEEK = 7


def shown_share(hits: int, count: int) -> float:
    """The share that `hits` of `count` show at least, by Wilson's interval at LEVEL; 0 for none."""
    return wilson(hits / count, count, LEVEL)[0] if count else 0.0


def shown_rise(hits: int, count: int, hits_before: int, count_before: int) -> float:
    """By how much a share rose at the least: the lower end of Newcombe's interval of the difference at LEVEL.

    Source: Newcombe, Interval Estimation for the Difference Between Independent Proportions, Statistics in Medicine, 1998, method 10.
    Nothing on either side shows nothing: -1.
    """
    if not count or not count_before:
        return -1.0
    now, before = hits / count, hits_before / count_before
    low, high = wilson(now, count, LEVEL)[0], wilson(before, count_before, LEVEL)[1]
    return now - before - math.sqrt((now - low) ** 2 + (high - before) ** 2)


def count_drift(before: Mapping[str, int], now: Mapping[str, int], *, seed: int = 0) -> tuple[float, float, float]:
    """Of two sets of label counts: the population stability index, what it is on average without any drift, and the p-value.

    The index of small samples over many labels is large by chance alone, so it is read beside that average; see `label_drift`.
    """
    names = sorted({*before, *now})
    first = np.array([before.get(name, 0) for name in names], dtype=np.int64)
    second = np.array([now.get(name, 0) for name in names], dtype=np.int64)
    total = first + second
    observed = float(population_stability(first.astype(np.float64), second.astype(np.float64)))
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(total, int(second.sum()), size=PERMUTATIONS, method="marginals")
    by_chance = np.asarray(population_stability((total - drawn).astype(np.float64), drawn.astype(np.float64)))
    reached = int((by_chance >= observed - 1e-12).sum())
    return observed, float(by_chance.mean()), (1 + reached) / (1 + PERMUTATIONS)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth from month to month as a share (0.12 is 12 %), with its 95 % interval."""

    rate: float
    low: float
    high: float


def growth(counts: Sequence[float]) -> Growth | None:
    """The growth that whole days' counts show, oldest first; None before LEAST_DAYS days with requests.

    A straight line through the logarithms, with a level for each weekday from four weeks on. What the days before predict of the next is
    in the interval: residuals are taken for a first-order autoregression, and the standard error is widened by sqrt((1 + r) / (1 - r))
    (Wilks, Statistical Methods in the Atmospheric Sciences, 2011, section 5.2.4). Days without any request are left out.
    """
    from scipy.stats import t

    days = np.array([at for at, count in enumerate(counts) if count > 0], dtype=np.float64)
    if len(days) < LEAST_DAYS:
        return None
    logs = np.log(np.array([count for count in counts if count > 0], dtype=np.float64))
    weekday = days.astype(np.int64) % WEEK
    columns = [days - days.mean()]
    if len(days) >= 4 * WEEK and len(set(weekday.tolist())) == WEEK:
        columns += [(weekday == day).astype(np.float64) for day in range(WEEK)]
    else:
        columns.append(np.ones(len(days)))
    design = np.stack(columns, axis=1)
    solved, *_ = np.linalg.lstsq(design, logs, rcond=None)
    residuals = logs - design @ solved
    free = len(days) - design.shape[1]
    error = math.sqrt(float(residuals @ residuals) / free * float(np.linalg.inv(design.T @ design)[0, 0]))
    spread = float(residuals @ residuals)
    memory = float(residuals[1:] @ residuals[:-1]) / spread if spread > 1e-12 else 0.0
    memory = min(max(memory, 0.0), 0.9)
    half = float(t.ppf(0.975, free)) * error * math.sqrt((1 + memory) / (1 - memory))

    def monthly(slope: float) -> float:
        return math.expm1(min(slope * DAYS_PER_MONTH, 50.0))

    slope = float(solved[0])
    return Growth(rate=monthly(slope), low=monthly(slope - half), high=monthly(slope + half))


def weeks_until(now: float, wanted: float, rate: float) -> float | None:
    """Weeks until a volume that grows by `rate` a month reaches `wanted`; None when it does not move there, 0 when it is there.

    ln(wanted / now) / ln(1 + rate) months.

    >>> round(weeks_until(100_000, 126_493, 0.12), 1)
    9.0
    """
    if now <= 0 or wanted <= 0 or rate <= -1:
        return None
    if now == wanted:
        return 0.0
    step = math.log1p(rate)
    months = math.log(wanted / now) / step if step else math.inf
    return months * DAYS_PER_MONTH / WEEK if 0 < months < math.inf else None


def month_end(days: Sequence[float], so_far: float, left: float) -> tuple[float, float, float] | None:
    """What a month comes to: (expected, low, high) at 95 %, from `days` (whole days' sums, the latest ones) for the `left` days to come.

    so_far + left x mean; the interval is that of a sum of `left` new days whose mean is itself estimated,
    t x s x sqrt(left + left^2 / n). None before 3 days.
    """
    if len(days) < 3:
        return None
    from scipy.stats import t

    values = np.array(days, dtype=np.float64)
    expected = so_far + left * float(values.mean())
    half = float(t.ppf(0.975, len(days) - 1)) * float(values.std(ddof=1)) * math.sqrt(left + left * left / len(days))
    return expected, max(so_far, expected - half), expected + half


def shown_drop(before: tuple[float, float], now: tuple[float, float]) -> float:
    """By how much a mean fell at the least, from two means with standard errors (mean, error), at LEVEL on the side that counts.

    Taken as independent: means over the same questions vary together, so the true error is smaller and the test careful.
    """
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    return before[0] - now[0] - z * math.hypot(before[1], now[1])
