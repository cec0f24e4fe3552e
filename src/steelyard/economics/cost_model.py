"""What each option costs over the horizon, line by line and month by month.

Formulas: docs/explanation/cost-model.md. They are written once (`terms`) over a quantity that is an exact Decimal for the point
answer or an array for draws. Two ways lead from there to a total, and the tests hold them against each other: `monthly_costs`
walks the months, `closed_form` multiplies rates by the horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Generic

from steelyard.economics.arithmetic import Q, at_least, at_most, ceiling, geometric_sum, largest, where_above
from steelyard.schema.costs import OptionCost
from steelyard.schema.economics import Input, Number, Option, Scenario, exact
from steelyard.schema.money import money_arithmetic

LINES = (
    "setup_labour",
    "setup_labels",
    "setup_compute",
    "update_labour",
    "update_labels",
    "update_compute",
    "operations_labour",
    "hosting",
    "storage",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "embedding_tokens",
    "reranking",
    "compute",
    "wrong_answers",
    "handoffs",
    "migrations",
)
"""The lines of a total, in the order they are shown. Compute at set-up and update is training and embedding the corpus."""

MILLION = 1_000_000
SECONDS_PER_HOUR = 3_600
MONTHS_PER_YEAR = 12

ROUNDING = 1.000001
"""Keeps a product of floats on the safe side of an exact comparison."""

Bind = Callable[[str, Number], Q]
"""From an input's path and number to the quantity to compute with."""


@dataclass(frozen=True, kw_only=True)
class Terms(Generic[Q]):
    """One option's costs by line, USD, before they are spread over time.

    `once` falls in month 1; `monthly` each month; `per_query` each query; `per_replica` each month and replica, of which there is
    one for every `queries_per_replica`; `per_migration` in each of `migration_months`.
    """

    once: dict[str, Q]
    monthly: dict[str, Q]
    per_query: dict[str, Q]
    per_replica: Q
    queries_per_replica: Q
    per_migration: Q
    migration_months: tuple[Q, ...]


@dataclass(frozen=True, kw_only=True)
class Traffic(Generic[Q]):
    """Months, queries in the first month, and their growth a month."""

    months: Q
    queries: Q
    growth: Q


class _Values(Generic[Q]):
    """An option's and its scenario's numbers as quantities, by field name."""

    def __init__(self, scenario: Scenario, option: Option, bind: Bind[Q]) -> None:
        self._scenario, self._option = scenario, option
        self._bind: Bind[Q] = bind

    def shared(self, field: str) -> Q:
        return self._quantity(field, getattr(self._scenario, field))

    def own(self, field: str) -> Q:
        return self._quantity(f"{self._option.name}.{field}", getattr(self._option, field))

    def tier(self, place: int, name: str, price: Decimal | float) -> Q:
        return self._quantity(f"{self._option.name}.tiers.{place}.{name}", price)

    def parts(self, field: str) -> tuple[Q, ...]:
        value = getattr(self._option, field)
        if not isinstance(value, tuple):
            return (self.own(field),)
        path = f"{self._option.name}.{field}"
        return tuple(self._quantity(f"{path}.{place}", part) for place, part in enumerate(value, 1))

    def summed(self, field: str) -> Q:
        total = self._quantity("", 0)
        for part in self.parts(field):
            total = total + part
        return total

    def work(self, hours: str, labels: str) -> tuple[Q, Q]:
        """Labour and labels of one occasion, USD."""
        return self.own(hours) * self.shared("hour_usd"), self.own(labels) * self.shared("label_usd")

    def _quantity(self, path: str, number: Number) -> Q:
        quantity: Q = self._bind(path, number)
        return quantity


def terms(scenario: Scenario, option: Option, bind: Bind[Q]) -> Terms[Q]:
    """The option's costs by line and by when they fall due."""
    v = _Values(scenario, option, bind)
    run = (
        v.own("training_examples")
        * v.own("tokens_per_example")
        * v.own("epochs")
        * v.own("training_usd_per_million")
        / MILLION
    )
    corpus = v.own("corpus_tokens") * v.own("embedding_usd_per_million") / MILLION

    setup_labour, setup_labels = v.work("setup_hours", "labels")
    update_labour, update_labels = v.work("update_hours", "update_labels")
    retrain_labour, retrain_labels = v.work("retrain_hours", "retrain_labels")
    migration_labour, migration_labels = v.work("migration_hours", "migration_labels")
    update_compute = corpus * v.own("changed_share") + v.own("update_runs") * run + v.own("update_usd")
    retrain_compute = v.own("retrain_runs") * run + v.own("retrain_usd")
    yearly = v.shared("updates_per_year") if option.updates_per_year is None else v.own("updates_per_year")
    updates = yearly / MONTHS_PER_YEAR
    retrains = v.own("retrains_per_year") / MONTHS_PER_YEAR
    return Terms(
        once={
            "setup_labour": setup_labour,
            "setup_labels": setup_labels,
            "setup_compute": corpus + v.own("setup_runs") * run + v.own("setup_usd"),
        },
        monthly={
            "update_labour": updates * update_labour + retrains * retrain_labour,
            "update_labels": updates * update_labels + retrains * retrain_labels,
            "update_compute": updates * update_compute + retrains * retrain_compute,
            "operations_labour": v.own("operations_hours_per_month") * v.shared("hour_usd"),
            "storage": v.own("store_usd_per_month"),
        },
        per_query=_per_query(option, v),
        per_replica=v.own("hosting_usd_per_month"),
        queries_per_replica=v.own("queries_per_replica"),
        per_migration=migration_labour + migration_labels + v.own("migration_runs") * run + v.own("migration_usd"),
        migration_months=v.parts("migration_months"),
    )


def _per_query(option: Option, v: _Values[Q]) -> dict[str, Q]:
    fresh, cached = v.summed("input_tokens"), v.summed("cached_tokens")
    input_price, cached_price, write_price, output_price = _prices(option, v, prompt=fresh + cached)
    hits = v.own("cache_hit_rate")
    return {
        "storage": v.own("store_usd_per_million_queries") / MILLION,
        "input_tokens": fresh * input_price / MILLION,
        "cached_input_tokens": cached * (hits * cached_price + (1 - hits) * write_price) / MILLION,
        "output_tokens": v.own("output_tokens") * output_price / MILLION,
        "embedding_tokens": v.own("embedding_tokens") * v.own("embedding_usd_per_million") / MILLION,
        "reranking": v.own("rerank_usd_per_query"),
        "compute": v.own("compute_seconds_per_query") * v.own("compute_usd_per_hour") / SECONDS_PER_HOUR
        + v.own("usd_per_query"),
        "wrong_answers": v.own("error_rate") * v.shared("wrong_answer_usd"),
        "handoffs": v.own("handoff_rate") * v.shared("handoff_usd"),
    }


def _prices(option: Option, v: _Values[Q], prompt: Q) -> tuple[Q, Q, Q, Q]:
    """Input, cached, cache-write and output price for a prompt of that length; the highest tier it exceeds decides."""
    input_price, output_price = v.own("input_usd_per_million"), v.own("output_usd_per_million")
    cached_price = input_price if option.cached_usd_per_million is None else v.own("cached_usd_per_million")
    write_price = input_price if option.cache_write_usd_per_million is None else v.own("cache_write_usd_per_million")
    for place, tier in enumerate(sorted(option.tiers, key=lambda tier: tier.above_tokens), 1):
        above = tier.above_tokens
        if tier.input_usd_per_million is not None:
            price = v.tier(place, "input", tier.input_usd_per_million)
            input_price, write_price = (
                where_above(prompt, above, price, input_price),
                where_above(prompt, above, price, write_price),
            )
        if tier.cached_usd_per_million is not None:
            cached_price = where_above(
                prompt, above, v.tier(place, "cached", tier.cached_usd_per_million), cached_price
            )
        if tier.output_usd_per_million is not None:
            output_price = where_above(
                prompt, above, v.tier(place, "output", tier.output_usd_per_million), output_price
            )
    return input_price, cached_price, write_price, output_price


def traffic(scenario: Scenario, bind: Bind[Q]) -> Traffic[Q]:
    """The scenario's months, volume and growth as quantities."""
    return Traffic(
        months=bind("horizon_months", scenario.horizon_months),
        queries=bind("queries_per_month", scenario.queries_per_month),
        growth=bind("growth_per_month", scenario.growth_per_month),
    )


def monthly_costs(terms: Terms[Decimal], traffic: Traffic[Decimal]) -> list[dict[str, Decimal]]:
    """Each month's costs by line, walking month by month. A broken last month counts by its share."""
    months = []
    queries = traffic.queries
    for month in range(1, ceil(traffic.months) + 1):
        share = min(traffic.months - (month - 1), Decimal(1))
        lines = dict.fromkeys(LINES, Decimal(0))
        if month == 1:
            lines |= terms.once
        for line, usd in terms.monthly.items():
            lines[line] += usd * share
        for line, usd in terms.per_query.items():
            lines[line] += usd * queries * share
        replicas = max(1, ceil(queries / terms.queries_per_replica))
        lines["hosting"] += terms.per_replica * replicas * share
        lines["migrations"] += terms.per_migration * sum(ceil(due) == month for due in terms.migration_months)
        months.append(lines)
        queries *= 1 + traffic.growth
    return months


def closed_form(terms: Terms[Q], traffic: Traffic[Q]) -> dict[str, Q]:
    """Costs by line over the horizon: rates times months, prices times queries; only replicas under growth need a loop."""
    queries = traffic.queries * geometric_sum(traffic.growth, traffic.months)
    lines = dict(terms.once) | {line: usd * traffic.months for line, usd in terms.monthly.items()}
    for line, usd in terms.per_query.items():
        lines[line] = lines[line] + usd * queries if line in lines else usd * queries
    lines["hosting"] = terms.per_replica * replica_months(terms.queries_per_replica, traffic)
    lines["migrations"] = terms.per_replica * 0
    for due in terms.migration_months:
        lines["migrations"] = lines["migrations"] + _reached(due, traffic.months) * terms.per_migration
    return lines


def replica_months(queries_per_replica: Q, traffic: Traffic[Q]) -> Q:
    """Replicas summed over the months: max(1, ceil(q / queries_per_replica)) each month."""
    if largest(traffic.growth) == 0:
        return at_least(ceiling(traffic.queries / queries_per_replica), 1) * traffic.months
    growing = (1 + max(largest(traffic.growth), 0.0)) ** (ceil(largest(traffic.months)) - 1)
    if largest(traffic.queries) * growing * ROUNDING < -largest(-queries_per_replica):
        return traffic.months * 1  # one replica serves even the busiest month: nothing to count
    queries, total = traffic.queries, traffic.months * 0
    for month in range(ceil(largest(traffic.months))):
        share = at_most(at_least(traffic.months - month, 0), 1)
        total = total + at_least(ceiling(queries / queries_per_replica), 1) * share
        queries = queries * (1 + traffic.growth)
    return total


def _reached(due: Q, months: Q) -> Q:
    """1 where a migration due in that month falls inside the horizon, else 0; month 0 means never."""
    inside = at_most(at_least(ceiling(months) - ceiling(due) + 1, 0), 1)
    return inside * at_most(ceiling(due), 1)


def exact_bind(_path: str, number: Number) -> Decimal:
    """The point of a number, exactly, whatever its path."""
    return exact(number)


def input_name(path: str, number: Number) -> str:
    """The name an input goes by: its own, if it carries one, else its path."""
    return number.name if isinstance(number, Input) else path


def costs(scenario: Scenario) -> tuple[OptionCost, ...]:
    """What each option costs, in the scenario's order: exact Decimal USD, ranges at their point."""
    with money_arithmetic():
        return tuple(_cost(scenario, option) for option in scenario.options)


def _cost(scenario: Scenario, option: Option) -> OptionCost:
    parts = terms(scenario, option, exact_bind)
    months = monthly_costs(parts, traffic(scenario, exact_bind))
    zero = Decimal(0)
    return OptionCost(
        name=option.name,
        approach=option.approach,
        lines={line: sum((month[line] for month in months), zero) for line in LINES},
        monthly=tuple(sum(month.values(), zero) for month in months),
        usd_per_query=sum(parts.per_query.values(), zero),
    )


def closed_form_total(scenario: Scenario, name: str) -> Decimal:
    """One option's total without walking the months, exact; equals `costs` to the cent.

    Raises:
        FactsError: no option has that name.
    """
    with money_arithmetic():
        parts = terms(scenario, scenario.option(name), exact_bind)
        return sum(closed_form(parts, traffic(scenario, exact_bind)).values(), Decimal(0))
