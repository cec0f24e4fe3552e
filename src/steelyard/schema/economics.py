"""Scenarios and options: the numbers that costs are computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from math import log10
from typing import Any, Self

from steelyard.schema.errors import FactsError, nearest
from steelyard.schema.items import Approach

LARGEST_NUMBER = Decimal(10) ** 12
"""No input of a cost model is larger; beyond it a number is a slip of the keyboard, and sums would lose their cents."""

SMALLEST_NUMBER = Decimal(10) ** -12
"""No input but 0 is smaller: below it quotients overflow, and it means 0."""

SHARES = frozenset({"changed_share", "error_rate", "handoff_rate", "cache_hit_rate", "growth_per_month"})
"""Inputs that are shares of a whole: at most 1. Traffic that more than doubles each month is no plan."""

MOST_QUERIES = 10**15
"""Queries a month beyond which growth has left the earth."""

POSITIVE = frozenset({"horizon_months", "queries_per_replica"})
"""Inputs that are divided by, or that give nothing to compute at zero: above 0."""

LONGEST_HORIZON_MONTHS = 600


@dataclass(frozen=True, kw_only=True)
class Range:
    """An uncertain number: triangular where `mode` is given, else log-uniform (uniform where `low` is 0).

    Raises:
        FactsError: the bounds are out of order, negative or not finite.
    """

    low: Decimal | float
    high: Decimal | float
    mode: Decimal | float | None = None

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("mode", self.mode), ("high", self.high)):
            if bound is not None:
                check_number(bound, name)
        ordered = self.low <= self.high and (self.mode is None or self.low <= self.mode <= self.high)
        if not ordered:
            middle = "" if self.mode is None else f", mode {self.mode}"
            raise FactsError(
                f"a range must rise from low to high, not low {self.low}{middle}, high {self.high}.",
                remedy="Put the smallest number in low, the largest in high, and mode between them.",
                code="economics.bad_range",
            )

    @property
    def point(self) -> Decimal:
        """The number to use where one is wanted: the mode, else the geometric middle (the plain middle where `low` is 0)."""
        if self.mode is not None:
            return exact(self.mode)
        low, high = exact(self.low), exact(self.high)
        return (low * high).sqrt() if low > 0 else (low + high) / 2


@dataclass(frozen=True, kw_only=True)
class Input:
    """A number with a name of its own: options that share it share its draw, its break-even and its sensitivity."""

    name: str
    value: int | float | Decimal | Range


Number = int | float | Decimal | Range | Input
"""Any number of a scenario."""


def exact(number: Number) -> Decimal:
    """The number as a Decimal, as it was written: 0.1 gives Decimal('0.1'). A range gives its point.

    >>> exact(0.1)
    Decimal('0.1')
    """
    if isinstance(number, Input):
        return exact(number.value)
    if isinstance(number, Range):
        return number.point
    return Decimal(str(number)) if isinstance(number, float) else Decimal(number)


def range_of(number: Number) -> Range | None:
    """The range behind a number; None for a fixed one."""
    inner = number.value if isinstance(number, Input) else number
    return inner if isinstance(inner, Range) else None


def check_number(number: Any, name: str) -> None:
    """Accept a finite number from 0 to 10^12 (shares to 1), a range of such, or an `Input` around either.

    Raises:
        FactsError: with `name` as the place.
    """
    if isinstance(number, Input):
        return check_number(number.value, name)
    # The last word of the place is the field, which decides the bounds: `scenario.json rag.error_rate`.
    last = name.replace(" ", ".").rpartition(".")[2]
    if isinstance(number, Range):
        check_number(number.high, name)
        return check_number(number.low, name)
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        raise FactsError(
            f"expected a number, found {describe(number)}.",
            where=name,
            remedy='Write a number, or a range such as {"low": 1, "mode": 2, "high": 4}.',
            code="economics.wrong_type",
        )
    value = exact(number)
    problem = ""
    if not value.is_finite():
        problem, remedy = (
            f"{number} is not a finite number.",
            "Write the number itself; leave the key out for its default.",
        )
    elif value < 0:
        problem, remedy = f"{number} is negative.", "Write 0 or more; a saving belongs in the other option's costs."
    elif 0 < value < SMALLEST_NUMBER:
        problem, remedy = "the number is smaller than 10^-12.", "Write 0."
    elif value > LARGEST_NUMBER:
        problem, remedy = "the number is larger than 10^12.", "Check the unit: prices are USD per million tokens."
    elif last in SHARES and value > 1:
        problem, remedy = f"{number} is more than 1.", "This is a share of a whole: write 0.05 for 5 percent."
    elif last in POSITIVE and value == 0:
        problem, remedy = "0 leaves nothing to compute.", "Write a number above 0."
    elif last == "horizon_months" and value > LONGEST_HORIZON_MONTHS:
        problem, remedy = (
            f"{number} months is longer than {LONGEST_HORIZON_MONTHS}.",
            "Nobody can price that far; shorten it.",
        )
    if problem:
        raise FactsError(problem, where=name, remedy=remedy, code="economics.bad_number")


def describe(found: Any) -> str:
    """What was found instead of a number, short enough for one line of an error.

    >>> describe(True)
    'true'
    """
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str):
        return f"the text {found[:40]!r}"
    names = {"NoneType": "null", "list": "a list", "dict": "an object"}
    return names.get(type(found).__name__, type(found).__name__)


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Prices that hold for the whole prompt once it is longer than `above_tokens`; None keeps the base price."""

    above_tokens: int
    input_usd_per_million: Decimal | float | None = None
    cached_usd_per_million: Decimal | float | None = None
    output_usd_per_million: Decimal | float | None = None

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if value is not None:
                check_number(value, f"tiers.{part.name}")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to do the work, as numbers. What does not apply stays 0. Prices are USD per million tokens.

    `input_tokens` are billed at the input price, `cached_tokens` are read from the provider's prompt cache at rate
    `cache_hit_rate` and else written to it; tuples are summed. One training run costs
    `training_examples * tokens_per_example * epochs * training_usd_per_million / 1e6`. `corpus_tokens` are embedded once
    at set-up and `changed_share` of them at each update. `updates_per_year` None follows the scenario; the `retrain_*`
    fields are a second cadence, for an option whose index and model age at different rates. Each of `migration_months` (1 is
    the first month) is a base model's end of life, charged in that month if the horizon reaches it. Replicas:
    max(1, ceil(q / queries_per_replica)).

    Raises:
        FactsError: a number is negative, not finite, not a number, or a share above 1.
    """

    name: str
    approach: Approach
    # Once.
    setup_hours: Number = 0
    labels: Number = 0
    setup_runs: Number = 0
    setup_usd: Number = 0
    # A month.
    operations_hours_per_month: Number = 0
    store_usd_per_month: Number = 0
    hosting_usd_per_month: Number = 0
    queries_per_replica: Number = 20_000_000
    # A knowledge update.
    updates_per_year: Number | None = None
    update_hours: Number = 0
    update_labels: Number = 0
    update_runs: Number = 0
    update_usd: Number = 0
    # A retraining on a cadence of its own.
    retrains_per_year: Number = 0
    retrain_hours: Number = 0
    retrain_labels: Number = 0
    retrain_runs: Number = 0
    retrain_usd: Number = 0
    # What a run trains on and what an index embeds.
    training_examples: Number = 0
    tokens_per_example: Number = 0
    epochs: Number = 0
    training_usd_per_million: Number = 0
    corpus_tokens: Number = 0
    changed_share: Number = 0
    # A query.
    input_tokens: Number | tuple[Number, ...] = 0
    cached_tokens: Number | tuple[Number, ...] = 0
    output_tokens: Number = 0
    embedding_tokens: Number = 0
    input_usd_per_million: Number = 0
    cached_usd_per_million: Number | None = None
    cache_write_usd_per_million: Number | None = None
    cache_hit_rate: Number = 1
    output_usd_per_million: Number = 0
    embedding_usd_per_million: Number = 0
    tiers: tuple[Tier, ...] = ()
    store_usd_per_million_queries: Number = 0
    rerank_usd_per_query: Number = 0
    usd_per_query: Number = 0
    compute_seconds_per_query: Number = 0
    compute_usd_per_hour: Number = 0
    error_rate: Number = 0
    handoff_rate: Number = 0
    # A base model's end of life.
    migration_months: tuple[Number, ...] = ()
    migration_hours: Number = 0
    migration_labels: Number = 0
    migration_runs: Number = 0
    migration_usd: Number = 0

    def __post_init__(self) -> None:
        for path, number in self.numbers():
            check_number(number, path)

    def numbers(self) -> Iterator[tuple[str, Number]]:
        """Every number with its path, `NAME.FIELD` (`NAME.FIELD.1` in a tuple), in field order."""
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name in NOT_NUMBERS or value is None:
                continue
            if isinstance(value, tuple):
                yield from ((f"{self.name}.{part.name}.{place}", one) for place, one in enumerate(value, 1))
            else:
                yield f"{self.name}.{part.name}", value


NOT_NUMBERS = frozenset({"name", "approach", "tiers", "options"})


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the economics are computed from: what all options share, and the options.

    `growth_per_month` 0.02 is two percent a month on `queries_per_month`, which holds in the first month. `notes` are remarks for
    the reader about where numbers came from (an old price, a model that ends inside the horizon).

    Raises:
        FactsError: a number is out of its bounds, two options carry one name, or one input name carries two values.
    """

    horizon_months: Number = 24
    queries_per_month: Number = 1_000_000
    growth_per_month: Number = 0
    updates_per_year: Number = 4
    hour_usd: Number = 95
    label_usd: Number = 3
    wrong_answer_usd: Number = 0
    handoff_usd: Number = 0
    options: tuple[Option, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, number in self._own_numbers():
            check_number(number, name)
        names = [option.name for option in self.options]
        if len(set(names)) < len(names):
            raise FactsError(
                "two options carry the same name.", where="options", remedy="Rename one.", code="economics.same_name"
            )
        self.inputs()
        self._check_growth()

    def _check_growth(self) -> None:
        months, queries, growth = (
            float(exact(span.high if (span := range_of(number)) else number))
            for number in (self.horizon_months, self.queries_per_month, self.growth_per_month)
        )
        # In logarithms: the power itself may be beyond any float.
        if queries and log10(queries) + (months - 1) * log10(1 + growth) > log10(MOST_QUERIES):
            raise FactsError(
                f"{growth:.1%} growth a month over {months:,.0f} months leads beyond 10^15 queries a month.",
                where="growth_per_month",
                remedy="Lower the growth or the horizon; growth is a share, 0.02 for 2 percent.",
                code="economics.endless_growth",
            )

    def _own_numbers(self) -> Iterator[tuple[str, Number]]:
        own = (part.name for part in fields(self) if part.name not in NOT_NUMBERS | {"notes"})
        return ((name, getattr(self, name)) for name in own)

    def option(self, name: str) -> Option:
        """The option of that name.

        Raises:
            FactsError: there is none; the message names those there are.
        """
        for option in self.options:
            if option.name == name:
                return option
        known = ", ".join(option.name for option in self.options) or "none"
        raise FactsError(
            f"there is no option named '{name}'.", remedy=f"Options: {known}.", code="economics.unknown_option"
        )

    def inputs(self) -> dict[str, Number]:
        """Every input by name, shared ones once, in the order they are first used.

        Raises:
            FactsError: one name carries two values.
        """
        found: dict[str, Number] = {}
        for path, number in (*self._own_numbers(), *(pair for option in self.options for pair in option.numbers())):
            name, value = (number.name, number.value) if isinstance(number, Input) else (path, number)
            if found.setdefault(name, value) != value:
                raise FactsError(
                    f"the input '{name}' carries two values.",
                    where=path,
                    remedy="Give each its own name, or one value.",
                    code="economics.two_values",
                )
        return found

    def input(self, name: str) -> Number:
        """The number of the input of that name.

        Raises:
            FactsError: there is none; the message names the nearest.
        """
        known = self.inputs()
        if name not in known:
            near = nearest(name, list(known)) or [next(iter(known))]
            remedy = f"Did you mean '{near[0]}'?"
            raise FactsError(f"no input is named '{name}'.", remedy=remedy, code="economics.unknown_input")
        return known[name]

    def replace(self, **changes: int | float | Decimal | Range) -> Self:
        """A copy with inputs changed by name, wherever they are used: `scenario.replace(**{"tokens.context": 6000})`.

        Raises:
            FactsError: no input has that name; the message names the nearest.
        """
        for name in changes:
            self.input(name)

        def changed(path: str, number: Any) -> Any:
            if isinstance(number, Input):
                return Input(name=number.name, value=changes.get(number.name, number.value))
            return changes.get(path, number)

        own = {name: changed(name, number) for name, number in self._own_numbers()}
        return dataclasses.replace(self, **own, options=tuple(_with(option, changed) for option in self.options))


def _with(option: Option, changed: Any) -> Option:
    replaced: dict[str, Any] = {}
    for part in fields(option):
        value = getattr(option, part.name)
        if part.name in NOT_NUMBERS or value is None:
            continue
        path = f"{option.name}.{part.name}"
        if isinstance(value, tuple):
            replaced[part.name] = tuple(changed(f"{path}.{place}", one) for place, one in enumerate(value, 1))
        else:
            replaced[part.name] = changed(path, value)
    return dataclasses.replace(option, **replaced)
