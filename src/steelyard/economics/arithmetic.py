"""The operations that differ between one exact number and many draws; all other formulas are written once.

A quantity is a Decimal (the point answer) or a float64 array with one entry per draw. Plain `+ - * /` work on both.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Q = TypeVar("Q", Decimal, "Vector")
"""A quantity: Decimal, or float64 (draws,). One formula never mixes the two."""


def ceiling(value: Q) -> Q:
    """The smallest whole number not below `value`."""
    if isinstance(value, Decimal):
        return value.to_integral_value(ROUND_CEILING)
    import numpy as np

    return np.ceil(value)


def at_least(value: Q, floor: int) -> Q:
    """The larger of `value` and `floor`."""
    if isinstance(value, Decimal):
        return max(value, Decimal(floor))
    import numpy as np

    return np.maximum(value, floor)


def at_most(value: Q, ceiling_: int) -> Q:
    """The smaller of `value` and `ceiling_`."""
    if isinstance(value, Decimal):
        return min(value, Decimal(ceiling_))
    import numpy as np

    return np.minimum(value, ceiling_)


def where_above(value: Q, threshold: int, above: Q, otherwise: Q) -> Q:
    """`above` where `value` is greater than `threshold`, else `otherwise`."""
    if isinstance(value, Decimal):
        return above if value > threshold else otherwise
    import numpy as np

    return np.where(value > threshold, above, otherwise)


def largest(value: Q) -> float:
    """The largest entry."""
    return float(value) if isinstance(value, Decimal) else float(value.max())


def geometric_sum(growth: Q, months: Q) -> Q:
    """Sum of (1 + growth)^(m - 1) over months 1 .. `months`; a broken last month counts by its share.

    Without growth this is `months`. Source: the sum of a geometric series, ((1 + g)^n - 1) / g.
    """
    if isinstance(growth, Decimal) and isinstance(months, Decimal):
        if not growth:
            return months
        whole = int(months)
        reached = (1 + growth) ** whole
        return (reached - 1) / growth + (months - whole) * reached
    import numpy as np

    whole_months = np.floor(months)
    some = np.where(growth > 0, growth, 1.0)
    # expm1 and log1p keep their digits where growth is tiny and (1 + g)^n - 1 would lose them.
    log = whole_months * np.log1p(some)
    grown = np.expm1(log) / some + (months - whole_months) * np.exp(log)
    return np.where(growth > 0, grown, months)
