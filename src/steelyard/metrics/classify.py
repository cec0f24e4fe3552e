"""Scores of routers: right or wrong per item, then the measures that need all items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.metrics.scores import Score, Unscored
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

CALIBRATION_BINS = 15  # Guo et al., On Calibration of Modern Neural Networks, ICML 2017
CHANCE_DRAWS = 1_000


def decided_label(output: Output, out_of_scope_label: str) -> str:
    """The label the router acts on: `out_of_scope_label` when it declined, else its label ("" for none)."""
    return out_of_scope_label if output.out_of_scope else output.label or ""


def classify_scores(item: Item, output: Output, out_of_scope_label: str) -> dict[str, Score]:
    """Scores of one item, each 0.0 or 1.0.

    `accuracy`: the decided label is the item's, where declining is right exactly for out-of-scope items. `in_scope_accuracy` and
    `coverage` (not declined) exist for in-scope items, `out_of_scope_recall` (declined) for the others, `out_of_scope_precision`
    (it was right to) for declined ones.
    """
    right = float(decided_label(output, out_of_scope_label) == item.label)
    declined = float(decided_label(output, out_of_scope_label) == out_of_scope_label)
    outside = item.label == out_of_scope_label
    in_scope, beyond = Unscored("the item is out of scope"), Unscored("the item is in scope")
    return {
        "accuracy": right,
        "in_scope_accuracy": in_scope if outside else right,
        "coverage": in_scope if outside else 1.0 - declined,
        "out_of_scope_recall": declined if outside else beyond,
        "out_of_scope_precision": float(outside) if declined else Unscored("the item was not declined"),
    }


def f1_per_label(expected: Sequence[str], decided: Sequence[str]) -> dict[str, float]:
    """F1 of each label that is expected or decided at least once; 0.0 to 1.0.

    >>> f1_per_label(["a", "a", "b"], ["a", "b", "b"])
    {'a': 0.6666666666666666, 'b': 0.6666666666666666}
    """
    right = Counter(want for want, got in zip(expected, decided, strict=True) if want == got)
    wanted, given = Counter(expected), Counter(decided)
    return {label: 2 * right[label] / (wanted[label] + given[label]) for label in sorted(set(wanted) | set(given))}


def macro_f1(expected: Sequence[str], decided: Sequence[str]) -> Score:
    """Mean of `f1_per_label`: every label counts the same, however rare."""
    per_label = f1_per_label(expected, decided)
    return sum(per_label.values()) / len(per_label) if per_label else Unscored("no items")


@dataclass(frozen=True, kw_only=True)
class CalibrationByChance:
    """What `calibration_error` a router with true probabilities shows on as many rows by chance.

    `expected` is its mean and `high` its 95th percentile over draws of which rows are right; `p_value` the share of draws with an error at
    least as large as the one seen: above 0.05 the rows do not show that the probabilities are wrong.
    """

    expected: float
    high: float
    p_value: float


def calibration_error(probabilities: Sequence[float], right: Sequence[float], bins: int = CALIBRATION_BINS) -> Score:
    """Expected calibration error: mean |accuracy - confidence| over equal-width bins, weighted by their items; 0.0 to 1.0.

    `probabilities` are of the label given, whether or not the router then declined; `right` is 1.0 where that label
    was the item's. True probabilities score above 0.0 as well: see `calibration_by_chance`.
    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    if len(probabilities) == 0:
        return Unscored("no probabilities")
    confidence, correct = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    return _gap(confidence, correct, bins)


def debiased_calibration_error(
    probabilities: Sequence[float], right: Sequence[float], bins: int = CALIBRATION_BINS
) -> Score:
    """Root mean square of accuracy - confidence over bins of equally many items, less what chance adds to it; 0.0 to 1.0.

    Arguments as of `calibration_error`, of which it is an upper bound but for that chance. Unscored with fewer than two items a bin.
    Source: Kumar, Liang and Ma, Verified Uncertainty Calibration, NeurIPS 2019, section 5.
    """
    if len(probabilities) < 2 * bins:
        return Unscored(f"fewer than {2 * bins} probabilities")
    confidence, correct = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    order = np.argsort(confidence, kind="stable")
    total = 0.0
    for part in np.array_split(order, bins):
        share = float(correct[part].mean())
        gap = share - float(confidence[part].mean())
        total += len(part) / len(order) * (gap**2 - share * (1 - share) / (len(part) - 1))
    return float(np.sqrt(max(0.0, total)))


def calibration_by_chance(
    probabilities: Sequence[float],
    right: Sequence[float],
    bins: int = CALIBRATION_BINS,
    *,
    draws: int = CHANCE_DRAWS,
    seed: int = 0,
) -> CalibrationByChance:
    """How large `calibration_error` would be if each probability were true; see `CalibrationByChance`.

    Source: Vaicenavicius et al., Evaluating model calibration in classification, AISTATS 2019 (consistency resampling).

    Raises:
        ValueError: there are no probabilities.
    """
    confidence, correct = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(confidence):
        raise ValueError("no probabilities")
    rng = np.random.default_rng(seed)
    errors = np.array([_gap(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(draws)])
    seen = _gap(confidence, correct, bins)
    return CalibrationByChance(
        expected=float(errors.mean()),
        high=float(np.quantile(errors, 0.95)),
        p_value=float((1 + (errors >= seen).sum()) / (1 + draws)),
    )


def _gap(confidence: NDArray[np.float64], correct: NDArray[np.float64] | NDArray[np.bool_], bins: int) -> float:
    # The last bin holds 1.0 as well.
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
