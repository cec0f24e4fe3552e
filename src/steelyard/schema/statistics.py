"""Statistics as records: intervals and comparisons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal


def finite(value: float) -> float | None:
    """The value, or None where JSON has no number for it.

    >>> finite(0.5), finite(math.inf)
    (0.5, None)
    """
    return value if math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its interval over `n` items; `unscored` items had no score and are not in the mean."""

    mean: float
    low: float
    high: float
    n: int
    level: float = 0.95
    unscored: int = 0

    def to_json(self) -> dict[str, Any]:
        """The interval as JSON: mean, low, high, n; an end that is not finite (no items) becomes null."""
        return {"mean": finite(self.mean), "low": finite(self.low), "high": finite(self.high), "n": self.n}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A paired comparison of two candidates on the same items, `first` minus `second`.

    `p_value` is two-sided and already corrected for the number of candidates compared. `verdict` is `no_difference` unless the
    corrected p-value is below `alpha`. `smallest_detectable` is the difference this holdout shows with power 0.8.
    """

    first: str
    second: str
    difference: Interval
    p_value: float
    alpha: float
    verdict: Literal["better", "worse", "no_difference"]
    smallest_detectable: float

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON; a smallest detectable difference without bound becomes null."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.to_json(),
            "p_value": self.p_value,
            "alpha": self.alpha,
            "verdict": self.verdict,
            "smallest_detectable": finite(self.smallest_detectable),
        }
