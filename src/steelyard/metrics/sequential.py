"""An anytime-valid test of two streams of yes-or-no outcomes: it may be looked at after every block and stopped whenever it tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GAPS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
"""By how much worse than allowed the canary may be: the test bets on all of these at once, in equal parts."""

WARM_UP = 20.0
"""Requests of production before the first bet: with fewer its own rate is not known."""

LEAST, MOST = 1e-4, 1 - 1e-4
"""Rates are kept inside, so that no single outcome can end the test."""

STEPS = 40


def log_e(
    hits_a: Array, count_a: Array, hits_b: Array, count_b: Array, rate_a: Array, rate_b: Array, margin: float
) -> Array:
    """The logarithm of the e-value of one block against "rate b is at most rate a plus `margin`"; arrays broadcast.

    Among `count_a` outcomes of stream a were `hits_a` hits, likewise b. `rate_a` and `rate_b`, chosen before the block was seen, are what
    is bet on. The e-value is the likelihood ratio of (rate_a, rate_b) to its Kullback-Leibler projection (a0, a0 + margin) on the
    boundary, so that count_a (rate_a - a0) / (a0 (1 - a0)) + count_b (rate_b - b0) / (b0 (1 - b0)) = 0. With that, the arithmetic above
    the geometric mean gives E <= (1 + G (b - a - margin) / n)^n <= 1 for any true rates with b - a <= margin, also where every request
    has a rate of its own and these are means, as long as outcomes are independent given their rates. With rate_b < rate_a + margin the
    same number is an e-value against "b is at least a plus margin". Source: Turner, Ly and Gruenwald, Generic E-Variables for Exact
    Sequential k-Sample Tests that allow for Optional Stopping, 2021; Turner and Gruenwald, Exact Anytime-valid Confidence Intervals for
    Contingency Tables and Beyond, 2023.
    """
    null_a = _projected(count_a, count_b, rate_a, rate_b, margin)
    null_b = null_a + margin
    return np.asarray(
        hits_a * np.log(rate_a / null_a)
        + (count_a - hits_a) * np.log((1 - rate_a) / (1 - null_a))
        + hits_b * np.log(rate_b / null_b)
        + (count_b - hits_b) * np.log((1 - rate_b) / (1 - null_b))
    )


def _projected(count_a: Array, count_b: Array, rate_a: Array, rate_b: Array, margin: float) -> Array:
    """The rate a0 on the boundary; by bisection, because the derivative falls all along the line."""
    if margin == 0:
        return np.asarray((count_a * rate_a + count_b * rate_b) / np.maximum(count_a + count_b, 1))
    shape = np.broadcast_shapes(*(np.shape(one) for one in (count_a, count_b, rate_a, rate_b)))
    low = np.full(shape, max(0.0, -margin) + LEAST / 100)
    high = np.full(shape, min(1.0, 1.0 - margin) - LEAST / 100)
    for _ in range(STEPS):
        middle = (low + high) / 2
        other = middle + margin
        slope = count_a * (rate_a - middle) / (middle * (1 - middle)) + count_b * (rate_b - other) / (
            other * (1 - other)
        )
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    return np.asarray((low + high) / 2)


@dataclass(frozen=True)
class WorseTest:
    """Evidence that stream b has a higher rate than stream a by more than `margin`, and that it has not; frozen, `seen` gives the next.

    Each field is one number, or an array with one entry per stream where many are simulated at once; `worse` has one more axis for GAPS.
    """

    margin: float
    hits_a: Any = 0.0
    count_a: Any = 0.0
    hits_b: Any = 0.0
    count_b: Any = 0.0
    worse: Any = None
    not_worse: Any = 0.0

    def seen(self, hits_a: Any, count_a: Any, hits_b: Any, count_b: Any) -> WorseTest:
        """The test after one more block; bets rest on the blocks before it only. A block without one of the streams tells nothing."""
        before = np.zeros(len(GAPS)) if self.worse is None else np.asarray(self.worse)
        rate = np.clip((np.asarray(self.hits_a) + 0.5) / (np.asarray(self.count_a) + 1), LEAST, MOST - self.margin)
        told = (np.asarray(self.count_a) >= WARM_UP) & (np.asarray(count_a) > 0) & (np.asarray(count_b) > 0)
        bet = np.clip(rate[..., None] + self.margin + GAPS, LEAST, MOST)
        one, two, three, four = (np.asarray(value, dtype=np.float64) for value in (hits_a, count_a, hits_b, count_b))
        step = log_e(
            one[..., None], two[..., None], three[..., None], four[..., None], rate[..., None], bet, self.margin
        )
        other = log_e(one, two, three, four, rate, rate, self.margin) if self.margin > 0 else np.zeros(np.shape(rate))
        return WorseTest(
            margin=self.margin,
            hits_a=self.hits_a + hits_a,
            count_a=self.count_a + count_a,
            hits_b=self.hits_b + hits_b,
            count_b=self.count_b + count_b,
            worse=before + np.where(told[..., None], step, 0.0),
            not_worse=self.not_worse + np.where(told, other, 0.0),
        )

    @property
    def evidence(self) -> Any:
        """The e-value against "not worse": the mean over GAPS, 1 at the start. Above 1 / alpha it happens by chance with at most alpha.

        That holds over the whole course, however often one looks (Ville's inequality, 1939).
        """
        if self.worse is None:
            return 1.0
        return np.exp(np.minimum(np.logaddexp.reduce(self.worse, axis=-1) - math.log(len(GAPS)), 700.0))

    @property
    def evidence_not_worse(self) -> Any:
        """The e-value against "worse by `margin` or more"; 1 where the margin is 0, for then nothing can show it."""
        return np.exp(np.minimum(self.not_worse, 700.0))

    def to_json(self) -> dict[str, Any]:
        """The state as JSON, for `from_json`."""
        worse = None if self.worse is None else [float(one) for one in self.worse]
        rest = {name: float(value) for name, value in self.__dict__.items() if name != "worse"}
        return {**rest, "worse": worse}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> WorseTest:
        """The state that `to_json` wrote."""
        worse = None if raw["worse"] is None else np.array(raw["worse"], dtype=np.float64)
        return cls(**{**raw, "worse": worse})
