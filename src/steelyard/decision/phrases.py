"""How numbers and approaches are said in a sentence."""

from __future__ import annotations

from steelyard.schema.items import Approach

SAID: dict[str, str] = {
    "prompt": "prompting",
    "rag": "retrieval",
    "fine_tune": "fine-tuning",
    "hybrid": "retrieval with a tuned model",
}


def said(approach: Approach | str) -> str:
    """The approach's name in a sentence."""
    return SAID.get(approach, approach)


def count(value: float) -> str:
    """A number as people say it: 747,275 or 2.5 million, three digits at most beyond a million.

    >>> count(2_500_000), count(747_275), count(0.5)
    ('2.5 million', '747,275', '0.5')
    """
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def usd(value: float) -> str:
    """An amount of money, to the precision an estimate deserves.

    >>> usd(248_680.0), usd(1_234_567.0), usd(12.4)
    ('249,000 USD', '1.23 million USD', '12 USD')
    """
    if abs(value) >= 1e6:
        return f"{count(value)} USD"
    digits = max(0, len(str(int(abs(value)))) - 3)
    return f"{round(value, -digits):,.0f} USD"


def percent(share: float) -> str:
    """A share in percent; never 0 or 100 for what is only near.

    >>> percent(0.863), percent(0.9991), percent(0.0004)
    ('86 %', 'over 99 %', 'under 1 %')
    """
    if share >= 0.995:
        return "over 99 %"
    return "under 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def rate(updates_per_year: float) -> str:
    """How often something changes.

    >>> rate(52), rate(4), rate(1), rate(0)
    ('weekly', 'quarterly', 'once a year', 'never')
    """
    names = {
        0.0: "never",
        1.0: "once a year",
        2.0: "twice a year",
        4.0: "quarterly",
        12.0: "monthly",
        52.0: "weekly",
        365.0: "daily",
    }
    return names.get(float(updates_per_year), f"{count(updates_per_year)} times a year")
