"""Cohen's kappa by hand, against an independent implementation, and its interval."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.metrics.agreement import cohen_kappa, kappa_interval

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


def test_kappa_by_hand() -> None:
    # 45 both yes, 15 only the first, 25 only the second, 15 neither: observed .60, by chance .6 x .7 + .4 x .3 = .54.
    first = [True] * 45 + [True] * 15 + [False] * 25 + [False] * 15
    second = [True] * 45 + [False] * 15 + [True] * 25 + [False] * 15
    assert cohen_kappa(first, second) == pytest.approx((0.60 - 0.54) / (1 - 0.54))
    assert cohen_kappa([True, False] * 9, [False, True] * 9) == -1.0
    assert cohen_kappa([True] * 9, [True] * 9) == 0.0  # agreement that shows nothing
    assert cohen_kappa([], []) == 0.0
    with pytest.raises(ValueError, match="1 judgements against 0"):
        cohen_kappa([True], [])


@settings(deadline=None)
@given(PAIRS)
def test_kappa_is_that_of_scikit_learn(pairs) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    first, second = (list(one) for one in zip(*pairs, strict=True))
    if len({*first, *second}) < 2:
        return
    assert cohen_kappa(first, second) == pytest.approx(metrics.cohen_kappa_score(first, second), abs=1e-12)


def test_the_interval_holds_the_value_and_shrinks_with_rows() -> None:
    first, second = [True, True, False, False] * 5, [True, False, False, False] * 5
    few, many = kappa_interval(first, second), kappa_interval(first * 20, second * 20)
    assert few.low < few.mean == many.mean == 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert kappa_interval(first, second) == few
    assert kappa_interval([], []).n == 0
