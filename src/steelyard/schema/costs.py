"""What options cost, where they break even, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from steelyard.schema.items import Approach
from steelyard.schema.money import cents, money_arithmetic, to_cents


@dataclass(frozen=True, kw_only=True)
class OptionCost:
    """What one option costs: USD by line and by month over the horizon, exact; set-up falls in the first month.

    Lines and months both add up to `total_usd`. `usd_per_query` is one query in the first month, errors and handoffs included.
    """

    name: str
    approach: Approach
    lines: Mapping[str, Decimal]
    monthly: tuple[Decimal, ...]
    usd_per_query: Decimal

    @property
    def total_usd(self) -> Decimal:
        """Sum of the lines."""
        with money_arithmetic():
            return sum(self.lines.values(), Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """Name, approach, total, lines, monthly in whole cents: lines and months still add up to the total."""
        return {
            "name": self.name,
            "approach": self.approach,
            "total_usd": float(cents(self.total_usd)),
            "lines": {
                name: float(usd) for name, usd in zip(self.lines, to_cents(list(self.lines.values())), strict=True)
            },
            "monthly": [float(usd) for usd in to_cents(self.monthly)],
            "usd_per_query": float(self.usd_per_query),
        }


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """The volume from which `second` costs no more than `first`; `queries_per_month` None where there is none.

    0 means that `second` is the cheaper at any volume. `usd_fixed` is what `second` costs more whatever the volume,
    `usd_per_query` what it saves on each query (negative: it loses). `because` says in one sentence why there is none or at 0.
    """

    first: str
    second: str
    queries_per_month: Decimal | None
    usd_fixed: Decimal
    usd_per_query: Decimal
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """Where two options cost the same as one input moves, everything else as in the scenario.

    Below `value` the option `cheaper_below` is the cheaper of the two, above it `cheaper_above`. `at` is the scenario's own
    value.
    """

    input: str
    at: Decimal
    value: Decimal
    cheaper_below: str
    cheaper_above: str


@dataclass(frozen=True, kw_only=True)
class InputEffect:
    """What one uncertain input does to the choice.

    `total_order` is its Sobol total-order index on the difference between the two leading options. `evppi_usd` is what
    knowing it exactly would be worth. `low_usd` and `high_usd` are that difference (second less first) with the input at its
    low and high end and all others at their point.
    """

    input: str
    total_order: float
    evppi_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What the draws say, by option name. `leaders` are the two options of lowest mean cost, the cheaper first.

    `regret_usd` is the mean loss of choosing that option against knowing everything; the least regret is `evpi_usd`, what perfect
    information would be worth. `interval_usd` holds the 5th and 95th percentile. `inputs` are sorted, the most telling first.
    """

    draws: int
    seed: int
    p_cheapest: Mapping[str, float]
    mean_usd: Mapping[str, Decimal]
    interval_usd: Mapping[str, tuple[Decimal, Decimal]]
    regret_usd: Mapping[str, Decimal]
    evpi_usd: Decimal
    leaders: tuple[str, ...]
    inputs: tuple[InputEffect, ...] = ()
