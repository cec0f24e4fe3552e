"""Finds a good retrieval configuration with a fifth of the work of trying all: a race on growing shares of the questions.

Successive halving (Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016): every
configuration is scored on few questions, the best quarter on more, their best quarter on all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.schema.search import Configuration

BUDGET = 0.2
"""Share of the full grid's evaluations that a race may take."""

FIRST_SHARE, SECOND_SHARE = 0.08, 0.25
"""Shares of the questions in the first two rounds; the third asks all of them."""

FEWEST_FIRST = 12
"""Questions in the first round at least: fewer tell nothing."""

KEEP = 4
"""One configuration in so many goes on to the next round."""

WEIGHTS = tuple(round(step / 10, 1) for step in range(11))

Score = Callable[[Configuration, Sequence[str]], Sequence[float]]
"""nDCG@10 of a configuration on questions, by id."""

Broken = Callable[[Configuration], str | None]
"""Which constraint a configuration breaks, None when it breaks none."""


@dataclass(frozen=True)
class Raced:
    """The winner, its mean on all questions, evaluations done, and who broke a constraint."""

    best: Configuration
    score: float
    evaluations: int
    broken: tuple[tuple[Configuration, str], ...]


def grid(cuts: Sequence[tuple[int, int]]) -> list[Configuration]:
    """Every cut with every weight."""
    return [
        Configuration(size=size, overlap=overlap, dense_weight=weight) for size, overlap in cuts for weight in WEIGHTS
    ]


def race(
    configurations: Sequence[Configuration],
    questions: Sequence[str],
    score: Score,
    broken: Broken,
    *,
    seed: int = 0,
    budget: float = BUDGET,
) -> Raced | None:
    """The best configuration that breaks no constraint, by a race within `budget` of the grid's evaluations; None when all break one.

    A configuration is checked for constraints before it is scored, and again before it wins. Scores of the first rounds are drawn
    towards what their cut and their weight say on their own, for a single peak on few questions is mostly luck. Deterministic for a seed.
    """
    failed: dict[Configuration, str] = {}
    able = []
    for one in configurations:
        why = broken(one)
        if why is None:
            able.append(one)
        else:
            failed[one] = why
    if not able:
        return None
    order = [questions[place] for place in np.random.default_rng(seed).permutation(len(questions))]
    runner = _Runner(score, order)
    limit = math.floor(budget * len(configurations) * len(questions))
    standing = able
    for share in (FIRST_SHARE, SECOND_SHARE, 1.0):
        count = len(order) if share == 1.0 else min(len(order), max(FEWEST_FIRST, round(share * len(order))))
        standing = standing[: _affordable(standing, count, runner, limit)]
        means = {one: runner.mean(one, count) for one in standing}
        smooth = means if share == 1.0 else _smoothed(means)
        standing = sorted(standing, key=lambda one: -smooth[one])
        if share < 1.0:
            standing = standing[: max(1, math.ceil(len(standing) / KEEP))]
    for one in standing:
        why = broken(one)
        if why is None:
            tie = tuple(failed.items())
            return Raced(best=one, score=runner.mean(one, len(order)), evaluations=runner.evaluations, broken=tie)
        failed[one] = why
    return None


class _Runner:
    """Scores on a growing prefix of the questions, each pair once."""

    def __init__(self, score: Score, order: Sequence[str]) -> None:
        self._score = score
        self._order = order
        self._known: dict[Configuration, list[float]] = {}
        self.evaluations = 0

    def known(self, one: Configuration) -> int:
        """On how many questions a configuration is scored already."""
        return len(self._known.get(one, ()))

    def mean(self, one: Configuration, count: int) -> float:
        """Mean over the first `count` questions."""
        known = self._known.setdefault(one, [])
        missing = self._order[len(known) : count]
        if missing:
            known.extend(self._score(one, missing))
            self.evaluations += len(missing)
        return float(np.mean(known[:count]))


def _affordable(standing: Sequence[Configuration], count: int, runner: _Runner, limit: int) -> int:
    """How many of the standing can be scored on `count` questions within the limit; one at least."""
    left = limit - runner.evaluations
    able = 0
    for one in standing:
        left -= max(0, count - runner.known(one))
        if left < 0:
            break
        able += 1
    return max(1, able)


def _smoothed(means: Mapping[Configuration, float]) -> dict[Configuration, float]:
    """Each mean drawn half-way to what its cut and its weight say on their own (their means added), the weight's taken over neighbours.

    Cut and weight act nearly apart, so the sum of the two is known from many more scores than the cell.
    """
    total = float(np.mean(list(means.values())))
    by_cut, by_weight = _means(means, lambda one: one.cut), _means(means, lambda one: one.dense_weight)
    weights = sorted(by_weight)
    padded = np.pad(np.array([by_weight[weight] for weight in weights]), 1, mode="edge")
    near = dict(zip(weights, (padded[:-2] + padded[1:-1] + padded[2:]) / 3, strict=True))
    return {one: (mean + by_cut[one.cut] + float(near[one.dense_weight]) - total) / 2 for one, mean in means.items()}


def _means(means: Mapping[Configuration, float], part: Callable[[Configuration], Any]) -> dict[Any, float]:
    grouped: dict[Any, list[float]] = {}
    for one, mean in means.items():
        grouped.setdefault(part(one), []).append(mean)
    return {key: float(np.mean(values)) for key, values in grouped.items()}
