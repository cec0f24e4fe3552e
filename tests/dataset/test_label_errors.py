from __future__ import annotations

import numpy as np
import pytest

from steelyard.dataset.label_errors import estimated_errors, rank_by_doubt, suspects


def test_doubt_is_the_log_ratio_and_ranks() -> None:
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])

    order, doubt = rank_by_doubt(probabilities, [0, 0, 0])

    assert order.tolist() == [1, 2, 0]
    assert np.exp(doubt).tolist() == pytest.approx([1 / 9, 9.0, 1.0])


def test_the_confident_joint_is_counted_by_hand() -> None:
    # Rows labelled a, a, a, b, b. Means of the own label: a (.9 + .8 + .1) / 3 = .6, b (.9 + .7) / 2 = .8.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.3, 0.7]])

    # Only row 3 reaches the threshold of the other label: .9 of b, at least .8.
    assert estimated_errors(probabilities, [0, 0, 0, 1, 1]) == 1


def test_suspects_come_most_likely_first_and_small_labels_are_left_in_peace() -> None:
    labels = ["a"] * 10 + ["b"] * 10 + ["rare"]
    probabilities = np.tile([0.98, 0.01, 0.01], (21, 1))
    probabilities[10:] = [0.01, 0.98, 0.01]
    probabilities[3] = [0.010, 0.980, 0.010]
    probabilities[5] = [0.001, 0.989, 0.010]
    probabilities[20] = [0.999, 0.001, 0.0]

    found = suspects(probabilities, labels, ["a", "b", "rare"])

    assert [(one.at, one.label, one.suggested) for one in found] == [(5, "a", "b"), (3, "a", "b")]
    assert found[1].ratio == pytest.approx(98)
