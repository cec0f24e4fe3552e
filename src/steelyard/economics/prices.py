"""The dated price table: the package's own, a user's overrides line by line, and a public catalogue behind both."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, get_args

from steelyard.catalog import Catalog, Part
from steelyard.economics.input_file import check_keys, printable, read_text
from steelyard.schema.economics import Tier, check_number
from steelyard.schema.errors import FactsError, NotFoundError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.prices import PRICE_CLASSES, ModelPrice, Rate, Trust

OLD_AFTER_DAYS = 90
"""Price lists change about quarterly; an older price is still used, and said to be old."""

ENDS_SOON_DAYS = 180
"""Half a year is what a forced migration needs to be planned, run and checked."""

TABLE = "prices.toml"

CATALOGUES = Catalog(
    "price catalogue",
    {
        "genai-prices": Part(
            "steelyard.economics.public_catalogue:PublicCatalogue",
            "2,000 hosted models, offline and dated; no training prices",
            extra="prices",
        )
    },
)
"""Where prices may come from besides the package's table."""


class PriceCatalogue(Protocol):
    """A larger collection of prices, asked only for what the table lacks."""

    def price(self, name: str) -> ModelPrice | None:
        """The model's price, None where the catalogue has none."""

    def names(self) -> list[str]:
        """All model names, for naming the nearest to an unknown one."""


class PriceTable:
    """Model prices and rates by name; a catalogue, if given, is asked for models that the table lacks."""

    def __init__(
        self, models: Iterable[ModelPrice], rates: Iterable[Rate] = (), catalogue: PriceCatalogue | None = None
    ) -> None:
        self.models = {price.name: price for price in models}
        self.rates = {rate.name: rate for rate in rates}
        self._catalogue = catalogue

    def price(self, name: str) -> ModelPrice:
        """The prices of a model.

        Raises:
            NotFoundError: neither table nor catalogue has it; the message names the nearest three.
        """
        found = self.models.get(name)
        if found is None and self._catalogue is not None:
            found = self._catalogue.price(name)
        if found is not None:
            return found
        known = [*self.models, *(self._catalogue.names() if self._catalogue else ())]
        near = ", ".join(nearest(name, known, n=3))
        hint = f"Nearest: {near}." if near else "List them with: steelyard prices list."
        raise NotFoundError(
            f"there is no price for a model named '{printable(name)}'.",
            remedy=f"{hint} Or write the price itself, or add the model with --prices FILE.",
            code="prices.unknown_model",
        )

    def rate(self, name: str) -> Rate:
        """What something other than tokens costs.

        Raises:
            NotFoundError: the table has no such rate; the message names those it has.
        """
        if name not in self.rates:
            raise NotFoundError(
                f"there is no rate named '{printable(name)}'.",
                remedy=f"Rates: {', '.join(self.rates)}.",
                code="prices.unknown_rate",
            )
        return self.rates[name]

    def warnings(self, today: date, names: Collection[str] | None = None) -> list[Finding]:
        """What to know before relying on these prices, in table order: too old, ended or ending soon, from memory.

        `names` None means every model of the table; models that only the catalogue has are looked up there.
        """
        prices = self.models.values() if names is None else [self.price(name) for name in names]
        return [finding for price in prices for finding in _warnings(price, today)]


def load_prices(override: Path | None = None, catalogue: str | None = None) -> PriceTable:
    """The package's table, with the lines of `override` over it and the named catalogue behind it.

    An override file has the layout of the package's table and replaces single prices: what it does not name stays.

    Raises:
        FactsError: the override is unreadable, not TOML, or holds an unknown key, a wrong type or an impossible number.
        NotFoundError: no catalogue has that name.
        MissingExtraError: the catalogue's library is not installed.
    """
    trees = [tomllib.loads((files(__package__) / TABLE).read_text("utf-8"), parse_float=Decimal)]
    places = [TABLE]
    if override is not None:
        trees.append(_read_toml(override))
        places.append(str(override))
    models: dict[str, dict[str, Any]] = {}
    rates: dict[str, dict[str, Any]] = {}
    for tree, place in zip(trees, places, strict=True):
        check_keys(tree, ("defaults", "models", "rates"), place)
        defaults = _table(tree, "defaults", place)
        check_keys(defaults, ("source", "read_on", "trust"), f"{place} defaults")
        for kind, lines in (("models", models), ("rates", rates)):
            for name, line in _table(tree, kind, place).items():
                _check_line(line, kind, f"{place} {kind}.{printable(name)}")
                lines[name] = {**lines.get(name, {}), **defaults, **line}
    where = places[-1]
    return PriceTable(
        [_model(name, line, f"{where} models.{printable(name)}") for name, line in models.items()],
        [_rate(name, line, f"{where} rates.{printable(name)}") for name, line in rates.items()],
        CATALOGUES.load(catalogue)() if catalogue else None,
    )


MODEL_KEYS = tuple(part.name for part in fields(ModelPrice) if part.name != "name")
RATE_KEYS = tuple(part.name for part in fields(Rate) if part.name != "name")
TIER_KEYS = ("above_tokens", "input", "cached", "output")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, "price file"), parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else printable(str(error)).lower()
        raise FactsError(
            f"this is not TOML: {detail}.",
            where=str(path),
            remedy='Mend the text there; a line reads: [models."NAME"] and below it input = 2.0',
            code="prices.not_toml",
        ) from error


def _table(tree: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    table = tree.get(key, {})
    if not isinstance(table, dict):
        raise _wrong(f"{where} {key}", "a table", table)
    return table


def _check_line(line: Any, kind: str, where: str) -> None:
    if not isinstance(line, dict):
        raise _wrong(where, "a table of prices", line)
    check_keys(line, MODEL_KEYS if kind == "models" else RATE_KEYS, where)


def _model(name: str, line: Mapping[str, Any], where: str) -> ModelPrice:
    amounts: dict[str, Any] = {key: _amount(line[key], f"{where}.{key}") for key in PRICE_CLASSES if key in line}
    tiers = line.get("tiers", [])
    if not isinstance(tiers, list):
        raise _wrong(f"{where}.tiers", "a list", tiers)
    return ModelPrice(
        name=name,
        **amounts,
        tiers=tuple(_tier(tier, f"{where}.tiers[{number}]") for number, tier in enumerate(tiers, 1)),
        base=_text(line, "base", where) or None,
        end_of_life=_day(line["end_of_life"], f"{where}.end_of_life") if "end_of_life" in line else None,
        remark=_text(line, "remark", where),
        **_origin(line, where),
    )


def _rate(name: str, line: Mapping[str, Any], where: str) -> Rate:
    missing = [key for key in ("low", "high", "unit") if key not in line]
    if missing:
        raise FactsError(
            f"the rate has no {missing[0]}.",
            where=where,
            remedy="A rate needs low, high and unit.",
            code="prices.incomplete",
        )
    low, high = _amount(line["low"], f"{where}.low"), _amount(line["high"], f"{where}.high")
    return Rate(name=name, low=low, high=high, unit=_text(line, "unit", where), **_origin(line, where))


def _tier(tier: Any, where: str) -> Tier:
    if not isinstance(tier, dict):
        raise _wrong(where, "a table", tier)
    check_keys(tier, TIER_KEYS, where)
    above = tier.get("above_tokens")
    if not isinstance(above, int) or isinstance(above, bool) or above < 0:
        raise _wrong(f"{where}.above_tokens", "a number of tokens", above)
    prices = {f"{key}_usd_per_million": _amount(tier[key], f"{where}.{key}") for key in TIER_KEYS[1:] if key in tier}
    return Tier(above_tokens=above, **prices)


def _origin(line: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "read_on" not in line:
        raise FactsError(
            "the price has no date.",
            where=where,
            remedy="Write when it was read, for all lines at once: [defaults] and below it read_on = 2026-11-01",
            code="prices.incomplete",
        )
    trust = line.get("trust", "read")
    if trust not in get_args(Trust):
        raise _wrong(f"{where}.trust", f"one of {', '.join(get_args(Trust))}", trust)
    return {
        "source": _text(line, "source", where),
        "read_on": _day(line["read_on"], f"{where}.read_on"),
        "trust": trust,
    }


def _amount(value: Any, where: str) -> Decimal:
    check_number(value, where)
    return Decimal(value)


def _text(line: Mapping[str, Any], key: str, where: str) -> str:
    value = line.get(key, "")
    if not isinstance(value, str):
        raise _wrong(f"{where}.{key}", "a text", value)
    return value


def _day(value: Any, where: str) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _wrong(where, "a date such as 2027-01-14, without quotes", value)
    return value


def _wrong(where: str, wanted: str, found: Any) -> FactsError:
    return FactsError(
        f"expected {wanted}, found {printable(str(found))}.",
        where=where,
        remedy="Compare with the package's table: steelyard prices list --json.",
        code="prices.wrong_type",
    )


def _warnings(price: ModelPrice, today: date) -> list[Finding]:
    found = []

    def add(code: str, severity: Any, message: str, remedy: str) -> None:
        found.append(Finding(code=code, severity=severity, message=message, remedy=remedy, field=price.name))

    if price.end_of_life is not None and price.end_of_life <= today:
        add(
            "prices.ended",
            "error",
            f"{price.name} was switched off on {price.end_of_life}.",
            "Price a model that still runs, and count the migration.",
        )
    elif price.end_of_life is not None and (price.end_of_life - today).days <= ENDS_SOON_DAYS:
        add(
            "prices.ends_soon",
            "warning",
            f"{price.name} is switched off on {price.end_of_life}, in {(price.end_of_life - today).days} days.",
            "Count a forced migration: give the scenario a start date, or its options migration_months.",
        )
    age = (today - price.read_on).days
    if age > OLD_AFTER_DAYS:
        add(
            "prices.old",
            "warning",
            f"the price of {price.name} was read on {price.read_on}, {age} days ago.",
            "Read it again and override it with --prices FILE.",
        )
    if price.trust != "read":
        origin = {"memory": "is from memory", "vendor": "is from a vendor's own text"}[price.trust]
        add("prices.low_trust", "note", f"the price of {price.name} {origin}.", "Check it before quoting the result.")
    return found
