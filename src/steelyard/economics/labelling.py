"""Whether more labels, or another training, pay: the value of fewer wrong answers over the horizon against what they cost."""

from __future__ import annotations

from dataclasses import replace

from steelyard.config import EconomicsSettings, TrafficSettings
from steelyard.schema.curves import Worth
from steelyard.schema.statistics import Interval


def queries_over_horizon(traffic: TrafficSettings, months: int) -> float:
    """Queries in all months together, growing from month to month.

    >>> queries_over_horizon(TrafficSettings(queries_per_month=100, growth_per_month=0.5), 3)
    475.0
    """
    return float(sum(traffic.queries_per_month * (1 + traffic.growth_per_month) ** month for month in range(months)))


def value_of_gain(gain: Interval, traffic: TrafficSettings, economics: EconomicsSettings) -> Interval:
    """USD over the horizon of being right on `gain` more of the queries: each is a wrong answer less."""
    worth = queries_over_horizon(traffic, economics.horizon_months) * economics.wrong_answer_usd
    return replace(gain, mean=gain.mean * worth, low=gain.low * worth, high=gain.high * worth)


def is_worth(value_usd: Interval, cost_usd: float) -> Worth:
    """Worth it when the low end of the value exceeds the cost, not when even the high end does not; else it cannot be told."""
    if value_usd.low > cost_usd:
        return "worth it"
    return "not worth it" if value_usd.high <= cost_usd else "cannot tell"
