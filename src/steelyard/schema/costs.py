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

    def to_json(self) -> dict[str, Any]:
        """The break-even as JSON, the volume to the nearest query."""
        volume = self.queries_per_month
        return {
            "first": self.first,
            "second": self.second,
            "queries_per_month": None if volume is None else round(volume),
            "usd_fixed": float(cents(self.usd_fixed)),
            "usd_per_query": float(self.usd_per_query),
            "because": self.because,
        }


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

    def to_json(self) -> dict[str, Any]:
        """The crossing as JSON."""
        return {
            "input": self.input,
            "at": float(self.at),
            "value": float(self.value),
            "cheaper_below": self.cheaper_below,
            "cheaper_above": self.cheaper_above,
        }


@dataclass(frozen=True, kw_only=True)
class InputEffect:
    """What one uncertain input does to the choice.

    `total_order` is its Sobol total-order index on the difference between the two leading options. `evppi_usd` is what
    knowing it exactly would be worth. `low_usd` and `high_usd` are that difference (second less first) with the input at its 5th
    and 95th percentile and all others at their point.
    """

    input: str
    total_order: float
    evppi_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal

    def to_json(self) -> dict[str, Any]:
        """The effect as JSON, money in whole cents."""
        return {
            "input": self.input,
            "total_order": self.total_order,
            "evppi_usd": float(self.evppi_usd),
            "low_usd": float(self.low_usd),
            "high_usd": float(self.high_usd),
        }


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

    def to_json(self) -> dict[str, Any]:
        """The uncertainty keys of `steelyard tco --json`; money in whole cents."""
        return {
            "p_cheapest": dict(self.p_cheapest),
            "mean_usd": {name: float(usd) for name, usd in self.mean_usd.items()},
            "interval_usd": {name: [float(end) for end in ends] for name, ends in self.interval_usd.items()},
            "regret_usd": {name: float(usd) for name, usd in self.regret_usd.items()},
            "evpi_usd": float(self.evpi_usd),
            "leaders": list(self.leaders),
            "sensitivity": [effect.to_json() for effect in self.inputs],
            "draws": self.draws,
            "seed": self.seed,
        }


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One option's total at one volume, USD: at the point of every range, and the 5th and 95th percentile of the draws."""

    option: str
    queries_per_month: float
    usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Everything `steelyard tco` says about a scenario.

    `break_even` and `crossings` compare `pair`, which is RAG and fine-tuning where the scenario has both, else its first two
    options; None and empty with a single option. `accuracy_gap` is how much more often the second may be wrong than the first.
    """

    queries_per_month: Decimal
    costs: tuple[OptionCost, ...]
    pair: tuple[str, ...]
    break_even: BreakEven | None
    crossings: tuple[Crossing, ...]
    accuracy_gap: Decimal | None
    simulation: Simulation
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The keys of `steelyard tco --json`; money in whole cents, the break-even to the nearest query."""
        volume = self.break_even.queries_per_month if self.break_even else None
        by_option = {cost.name: cost.to_json() for cost in self.costs}
        months = max((len(cost.monthly) for cost in self.costs), default=0)
        return {
            "break_even_queries_per_month": None if volume is None else round(volume),
            "break_even": None if self.break_even is None else self.break_even.to_json(),
            "crossings": [crossing.to_json() for crossing in self.crossings],
            "accuracy_gap": None if self.accuracy_gap is None else float(self.accuracy_gap),
            "totals_usd": {name: cost["total_usd"] for name, cost in by_option.items()},
            "usd_per_query": {name: cost["usd_per_query"] for name, cost in by_option.items()},
            "lines": {name: cost["lines"] for name, cost in by_option.items()},
            "monthly": [
                {"month": month + 1, **{name: cost["monthly"][month] for name, cost in by_option.items()}}
                for month in range(months)
            ],
            **self.simulation.to_json(),
            "notes": list(self.notes),
        }
