"""Finds a good retrieval configuration with a fifth of the work of trying all: a race on growing shares of the questions.

Successive halving (Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016) over a
space whose shape is known: cut and weight act nearly apart, and the mean score is a smooth curve of the weight. So the first round scores
every other weight only, on more questions, and the curve says which configurations are worth the next round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.schema.search import Configuration

BUDGET = 0.2
"""Share of the full grid's evaluations that a race may take."""

FIRST_SHARE, SECOND_SHARE = 0.18, 0.4
"""Shares of the questions in the first two rounds; the third asks all of them."""

SECOND_ROUND, LAST_ROUND = 9, 4
"""Configurations in the second and the last round, where the budget allows so many."""

FEWEST_FIRST = 12
"""Questions in the first round at least: fewer tell nothing."""

CURVE_DEGREE = 3
"""The mean score by weight rises to one peak and falls, not evenly on its two sides: a cubic has room for that and for little noise."""

CUT_PRIOR, CURVE_PRIOR = 0.5, 0.05
"""How much the fitted cuts and curve are held towards no effect, in configurations."""

WEIGHTS = tuple(round(step / 10, 1) for step in range(11))

Score = Callable[[Configuration, Sequence[str]], Sequence[float]]
"""nDCG@10 of a configuration on questions, by id."""

Broken = Callable[[Configuration], str | None]
"""Which constraint a configuration breaks, None when it breaks none."""


@dataclass(frozen=True)
class Raced:
    """The winner, its mean on all questions, evaluations done, who broke a constraint, and the best found of the cut in use.

    `in_use` is None where no such cut was named, where it breaks a constraint, or where the budget had no room for it beside the winner.
    """

    best: Configuration
    score: float
    evaluations: int
    broken: tuple[tuple[Configuration, str], ...]
    in_use: tuple[Configuration, float] | None = None


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
    in_use: tuple[int, int] | None = None,
) -> Raced | None:
    """The best configuration that breaks no constraint, by a race within `budget` of the grid's evaluations; None when all break one.

    A configuration is checked for constraints before it is scored, and again before it wins. The best of the cut `in_use` has a place
    in the last round, so that the winner is compared with it on all questions within the same budget. Deterministic for a seed.
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
    runner = _Runner(score, order, math.floor(budget * len(configurations) * len(questions)))
    finalists = _finalists(able, runner, in_use)
    means = {one: runner.mean(one, len(order)) for one in finalists}
    own = [one for one in finalists if one.cut == in_use]
    for one in sorted(finalists, key=lambda one: -means[one]):
        why = broken(one)
        if why is None:
            compared = max(own, key=lambda one: means[one]) if own else None
            return Raced(
                best=one,
                score=means[one],
                evaluations=runner.evaluations,
                broken=tuple(failed.items()),
                in_use=None if compared is None else (compared, means[compared]),
            )
        failed[one] = why
    return None


def _finalists(able: Sequence[Configuration], runner: _Runner, in_use: tuple[int, int] | None) -> list[Configuration]:
    """The configurations that are worth all questions, after two rounds on some of them."""
    weights = sorted({one.dense_weight for one in able})
    first = runner.share(FIRST_SHARE, FEWEST_FIRST)
    some = [one for one in able if one.dense_weight in weights[::2]]
    some = some[: runner.affordable(some, first)]
    means = {one: runner.mean(one, first) for one in some}
    curve = _curve(means, able)
    hopes = {one: (means[one] + curve[one]) / 2 if one in means else curve[one] for one in able}
    standing = _second(sorted(able, key=lambda one: -hopes[one]), in_use)
    second = runner.share(SECOND_SHARE, 2 * FEWEST_FIRST)
    # What the last round needs is set aside: all of it where that leaves half, and room for two in any case.
    last = len(runner.order) - second
    aside = min(LAST_ROUND * last, max(2 * last, runner.left // 2))
    standing = standing[: min(SECOND_ROUND, runner.affordable(standing, second, aside))]
    means = {one: runner.mean(one, second) for one in standing}
    level = float(np.mean([means[one] - curve[one] for one in standing]))
    ranked = sorted(standing, key=lambda one: -(0.7 * means[one] + 0.3 * (curve[one] + level)))
    ranked = _second(ranked, in_use)
    return ranked[: min(LAST_ROUND, runner.affordable(ranked, len(runner.order)))]


def _second(ranked: Sequence[Configuration], in_use: tuple[int, int] | None) -> list[Configuration]:
    """The ranking with the best of the cut in use in the second place at least, so that no round leaves it out."""
    own = next((one for one in ranked if one.cut == in_use), None)
    if own is None or own in ranked[:2]:
        return list(ranked)
    return [ranked[0], own, *(one for one in ranked[1:] if one != own)]


class _Runner:
    """Scores on a growing prefix of the questions, each pair once, and keeps the count within `limit`."""

    def __init__(self, score: Score, order: Sequence[str], limit: int) -> None:
        self._score = score
        self._limit = limit
        self._known: dict[Configuration, list[float]] = {}
        self.order = order
        self.evaluations = 0

    @property
    def left(self) -> int:
        """Evaluations that the limit still allows."""
        return max(0, self._limit - self.evaluations)

    def share(self, share: float, fewest: int) -> int:
        """How many questions a share of them is, `fewest` at least."""
        return min(len(self.order), max(fewest, round(share * len(self.order))))

    def affordable(self, standing: Sequence[Configuration], count: int, aside: int = 0) -> int:
        """How many of the standing can be scored on `count` questions with `aside` evaluations left over; one at least."""
        left = self.left - aside
        able = 0
        for one in standing:
            left -= max(0, count - len(self._known.get(one, ())))
            if left < 0:
                break
            able += 1
        return max(1, able)

    def mean(self, one: Configuration, count: int) -> float:
        """Mean over the first `count` questions."""
        known = self._known.setdefault(one, [])
        missing = self.order[len(known) : count]
        if missing:
            known.extend(self._score(one, missing))
            self.evaluations += len(missing)
        return float(np.mean(known[:count]))


def _curve(means: Mapping[Configuration, float], every: Sequence[Configuration]) -> dict[Configuration, float]:
    """What each configuration should score by its cut and by a polynomial of its weight, fitted to the means of those scored (ridge)."""
    cuts = sorted({one.cut for one in every})
    degree = min(CURVE_DEGREE, len({one.dense_weight for one in means}) - 1)

    def row(one: Configuration) -> list[float]:
        place = 2 * one.dense_weight - 1
        return [1.0, *(float(one.cut == cut) for cut in cuts), *(place**power for power in range(1, degree + 1))]

    known = np.array([row(one) for one in means])
    held = np.diag([1e-9, *[CUT_PRIOR] * len(cuts), *[CURVE_PRIOR] * degree])
    fitted = np.linalg.solve(known.T @ known + held, known.T @ np.array(list(means.values())))
    return {one: float(np.array(row(one)) @ fitted) for one in every}
