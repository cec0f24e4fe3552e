"""Simulated promotions of candidates whose true quality is known, to see how often the gates let each of them pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from steelyard.metrics.noninferiority import Paired, noninferior
from steelyard.metrics.statistics import wilson

MARGIN, ALPHA = 0.01, 0.05
"""As in the default settings: worse by one point is too much, and passes in at most 1 of 20 promotions."""

STATED_ROWS = 1_200
"""Rows at which a candidate 2 points better passes at least 4 times in 5, where two versions differ on about one row in seven."""

PRODUCTION = 0.88, 0.92
"""True quality of the version in production on each guarded metric."""

SHARED = 0.6
"""Correlation of the hidden scores of two versions on one row: what is hard for one is mostly hard for the other."""

DOCUMENT_EFFECT = 0.1
"""Part of that correlation that all rows of one document share."""

ROWS_PER_DOCUMENT = 4


@dataclass(frozen=True, kw_only=True)
class Promotions:
    """How often a candidate `gain` better than production (below 0: worse) passed every gate, of `trials`, with Wilson's 95 % interval.

    `discordance` is the mean share of rows that one version got right and the other wrong, on the first metric; `open` the share of trials
    that ended in "not enough data".
    """

    gain: float
    rows: int
    trials: int
    discordance: float
    passed: float
    low: float
    high: float
    open: float

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return dict(self.__dict__)


def planted_promotions(
    *,
    gain: float,
    rows: int = STATED_ROWS,
    trials: int = 1_000,
    seed: int = 0,
    production: Sequence[float] = PRODUCTION,
    shared: float = SHARED,
) -> Promotions:
    """Simulate `trials` promotions of a candidate that is truly `gain` better on every guarded metric.

    Right or wrong comes from hidden normal scores that two versions share for the most part, so that differences are paired as real
    ones are. Rows come four to a document and are tested as clusters.
    """
    rng = np.random.default_rng(seed)
    documents = np.arange(rows) // ROWS_PER_DOCUMENT
    normal = NormalDist()
    passed = undecided = 0
    discordance = []
    for _ in range(trials):
        metrics = {}
        for number, level in enumerate(production):
            document = rng.normal(size=documents[-1] + 1)[documents] * math.sqrt(DOCUMENT_EFFECT)
            common = document + rng.normal(size=rows) * math.sqrt(shared - DOCUMENT_EFFECT)
            own = math.sqrt(1 - shared)
            mine = common + own * rng.normal(size=rows) < normal.inv_cdf(level + gain)
            theirs = common + own * rng.normal(size=rows) < normal.inv_cdf(level)
            differences = mine.astype(np.float64) - theirs
            if number == 0:
                discordance.append(float(np.abs(differences).mean()))
            metrics[str(number)] = Paired(differences=differences, clusters=documents.tolist(), margin=MARGIN)
        outcomes = {one.outcome for one in noninferior(metrics, alpha=ALPHA).values()}
        passed += outcomes == {"passed"}
        undecided += "open" in outcomes and "worse" not in outcomes
    low, high = wilson(passed / trials, trials)
    return Promotions(
        gain=gain,
        rows=rows,
        trials=trials,
        discordance=float(np.mean(discordance)),
        passed=passed / trials,
        low=low,
        high=high,
        open=undecided / trials,
    )
