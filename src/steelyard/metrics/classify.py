"""Scores of routers: right or wrong per item, then the measures that need all items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from steelyard.metrics.scores import Score, Unscored
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

CALIBRATION_BINS = 15  # Guo et al., On Calibration of Modern Neural Networks, ICML 2017


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


def calibration_error(probabilities: Sequence[float], right: Sequence[float], bins: int = CALIBRATION_BINS) -> Score:
    """Expected calibration error: mean |accuracy - confidence| over equal-width bins, weighted by their items; 0.0 to 1.0.

    `probabilities` are of the label given, whether or not the router then declined; `right` is 1.0 where that label
    was the item's. Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    if len(probabilities) == 0:
        return Unscored("no probabilities")
    confidence, correct = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    # The last bin holds 1.0 as well.
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
