"""Known truths planted into simulated scores, to see how often the comparison finds them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from steelyard.metrics.statistics import ALPHA, compare_all

TWIN_ACCURACY = 0.80
WINNER_GAIN = 0.08
SHARED_DIFFICULTY = 0.6  # correlation of two candidates' hidden scores on one item: hard items are hard for both
DOCUMENT_EFFECT = 0.1  # part of that correlation that all questions of one document share
QUESTIONS_PER_DOCUMENT = 4


@dataclass(frozen=True, kw_only=True)
class Planted:
    """How often planted truths were found: `twins_even` and `winner_found` are shares of `trials`, 0 to 1."""

    trials: int
    items: int
    clusters: int
    alpha: float
    twins_even: float
    winner_found: float
    smallest_detectable: float

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return dict(self.__dict__)


def planted_trials(*, trials: int = 200, items: int = 500, seed: int = 0) -> Planted:
    """Simulate `trials` holdouts and compare four candidates on each as `compare_all` does for real ones.

    Two twins and a plain candidate 20 points below them stand in every holdout, and a winner 8 points above the twins. Right or
    wrong per item comes from a hidden normal score: `SHARED_DIFFICULTY` of its variance belongs to the item, of which `DOCUMENT_EFFECT`
    to its document (four questions each), the rest to the candidate. `twins_even`: the twins came out as no difference.
    `winner_found`: the winner came out better than both twins. `smallest_detectable` is the mean over trials for the twins.
    """
    rng = np.random.default_rng(seed)
    documents = np.arange(items) // QUESTIONS_PER_DOCUMENT
    levels = {
        "winner": TWIN_ACCURACY + WINNER_GAIN,
        "twin a": TWIN_ACCURACY,
        "twin b": TWIN_ACCURACY,
        "plain": TWIN_ACCURACY - 0.2,
    }
    even = found = 0
    detectable = []
    for trial in range(trials):
        document = rng.normal(size=documents[-1] + 1)[documents] * np.sqrt(DOCUMENT_EFFECT)
        item = document + rng.normal(size=items) * np.sqrt(SHARED_DIFFICULTY - DOCUMENT_EFFECT)
        own = np.sqrt(1 - SHARED_DIFFICULTY)
        scores = {
            name: (item + own * rng.normal(size=items) < NormalDist().inv_cdf(level)).astype(float).tolist()
            for name, level in levels.items()
        }
        verdicts = {(c.first, c.second): c for c in compare_all(scores, documents.tolist(), seed=trial)}
        twins = verdicts["twin a", "twin b"]
        even += twins.verdict == "no_difference"
        found += all(verdicts["winner", twin].verdict == "better" for twin in ("twin a", "twin b"))
        detectable.append(twins.smallest_detectable)
    return Planted(
        trials=trials,
        items=items,
        clusters=int(documents[-1]) + 1,
        alpha=ALPHA,
        twins_even=even / trials,
        winner_found=found / trials,
        smallest_detectable=float(np.mean(detectable)),
    )
