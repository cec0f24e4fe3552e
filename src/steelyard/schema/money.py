"""Exact amounts of money, and whole cents out of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, localcontext

CENT = Decimal("0.01")

MONEY_DIGITS = 100
"""Digits of a money sum: the largest product of inputs stays below 10^75, so cents and division remainders always fit."""


def money_arithmetic() -> AbstractContextManager[Context]:
    """A context in which Decimal sums of any scenario are exact to far below a cent."""
    return localcontext(prec=MONEY_DIGITS)


def cents(amount: Decimal) -> Decimal:
    """The amount rounded to the cent, half to even."""
    with money_arithmetic():
        return amount.quantize(CENT)


def to_cents(amounts: Sequence[Decimal]) -> list[Decimal]:
    """The amounts in whole cents, such that they add up to the rounded sum; each moves by at most one cent.

    Rounds the running sum and takes differences, so an error never accumulates.

    >>> to_cents([Decimal("0.333"), Decimal("0.333"), Decimal("0.334")])
    [Decimal('0.33'), Decimal('0.34'), Decimal('0.33')]
    """
    rounded, total, before = [], Decimal(0), Decimal(0)
    with money_arithmetic():
        for amount in amounts:
            total += amount
            after = cents(total)
            rounded.append(after - before)
            before = after
    return rounded
