"""The scenario file: JSON in, a `Scenario` out; what is left out takes the documented default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from steelyard.economics.defaults import ALWAYS, EXTRA_KEYS, LONGEST_NAME, PRICE_OF, SECTIONS, SHARED, TOKENS, TOP_KEYS
from steelyard.economics.input_file import check_keys, printable, read_object
from steelyard.economics.prices import PriceTable, load_prices
from steelyard.schema.economics import Input, Number, Option, Range, Scenario, check_number, describe, exact
from steelyard.schema.errors import FactsError, NotFoundError
from steelyard.schema.items import Approach
from steelyard.schema.prices import ModelPrice


def read_scenario(path: Path, prices: PriceTable | None = None) -> Scenario:
    """The scenario in a file; ranges stay ranges, model names become prices of `prices` (default: the package's table).

    Raises:
        FactsError: the file or a value in it is wrong, or a model has no price; one error, with the place and the remedy.
    """
    return scenario_from_json(read_object(path, "scenario"), where=str(path), prices=prices)


def scenario_from_json(
    tree: Mapping[str, Any], *, where: str = "scenario", prices: PriceTable | None = None, today: date | None = None
) -> Scenario:
    """The scenario that a JSON object describes; as `read_scenario`. `today` decides which prices are noted as old."""
    check_keys(tree, TOP_KEYS, where)
    shared = {key: _number(tree.get(key, default), f"{where} {key}") for key, default in SHARED.items()}
    tokens = _object(tree.get("tokens", {}), f"{where} tokens")
    check_keys(tokens, TOKENS, f"{where} tokens")
    reader = _Reader(
        tokens={key: _number(tokens.get(key, default), f"{where} tokens.{key}") for key, default in TOKENS.items()},
        prices=prices or load_prices(),
        start=_start(tree.get("start"), f"{where} start"),
        months=exact(shared["horizon_months"]),
        today=today or datetime.now(UTC).date(),
        notes=[],
    )
    options = [reader.option(section) for section in _sections(tree, where)]
    try:
        return Scenario(**shared, options=tuple(options), notes=tuple(dict.fromkeys(reader.notes)))
    except FactsError as error:
        # What fits by itself and not together is found by the record, which does not know the file.
        raise FactsError(error.message, where=f"{where} {error.where}", remedy=error.remedy, code=error.code) from error


@dataclass(frozen=True, kw_only=True)
class _Section:
    """What a file says about one option, and where."""

    name: str
    approach: Approach
    values: Mapping[str, Any]
    place: str


def _sections(tree: Mapping[str, Any], where: str) -> list[_Section]:
    """Every option; one that is `like` another starts from what the file says about that one."""
    given = {name: _object(tree[name], f"{where} {name}") for name in SECTIONS if name in tree}
    found = [
        _Section(name=name, approach=cast(Approach, name), values=given.get(name, {}), place=f"{where} {name}")
        for name in SECTIONS
        if name in given or name in ALWAYS
    ]
    for name, value in _object(tree.get("options", {}), f"{where} options").items():
        place = f"{where} options.{printable(name)}"
        own = dict(_object(value, place))
        like = own.pop("like", None)
        if not isinstance(like, str) or like not in SECTIONS:
            raise FactsError(
                "the option does not say what it is like.",
                where=place,
                remedy=f'Add "like": one of {", ".join(SECTIONS)}; it takes that section\'s keys and values.',
                code="economics.no_like",
            )
        if name in TOP_KEYS or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise FactsError(
                f"'{printable(name)}' cannot name an option.",
                where=place,
                remedy="Choose a short printable name that is no key of the scenario.",
                code="economics.bad_name",
            )
        values = {**given.get(like, {}), **own}
        found.append(_Section(name=name, approach=cast(Approach, like), values=values, place=place))
    return found


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Turns sections of one file into options; what the reader of the result should know is left in `notes`."""

    tokens: Mapping[str, Number]
    prices: PriceTable
    start: date | None
    months: Decimal
    today: date
    notes: list[str]

    def option(self, section: _Section) -> Option:
        defaults = SECTIONS[section.approach]
        check_keys(section.values, (*defaults, *EXTRA_KEYS), section.place)
        model = self._section_model(section)
        fields: dict[str, Any] = {}
        for key, default in defaults.items():
            place = f"{section.place}.{key}"
            known = _price(model, key)
            value = section.values.get(key, default if known is None else known)
            if value is None and key in section.values:
                raise _wrong(place, "a number", value)
            if isinstance(value, dict) and "model" in value and key in PRICE_OF:
                referred = self._referred(value, key, place)
                value = _price(referred, key)
                model = referred if key == "input_usd_per_million" else model
            if value is not None:
                fields[key] = _months(value, place) if key == "migration_months" else _number(value, place)
        if model is not None:
            fields["tiers"] = model.tiers
            self._count_migration(fields, model, section)
        fields |= self._prompt(section, fields)
        return Option(name=section.name, approach=section.approach, **fields)

    def _section_model(self, section: _Section) -> ModelPrice | None:
        if "model" not in section.values:
            return None
        model = self._model(section.values["model"], f"{section.place}.model")
        if "training_examples" in SECTIONS[section.approach] and model.training is None:
            key = "training_usd_per_million"
            usd = section.values.get(key, SECTIONS[section.approach][key])
            self.notes.append(
                f"no training price is known for {model.name}: {section.name} is priced with {key} {usd}."
            )
        return model

    def _referred(self, value: Mapping[str, Any], key: str, place: str) -> ModelPrice:
        check_keys(value, ("model",), place)
        model = self._model(value["model"], place)
        if _price(model, key) is None:
            tuned = f"ft:{model.name}"
            known = tuned in self.prices.models and _price(self.prices.price(tuned), key) is not None
            raise FactsError(
                f"{model.name} has no {PRICE_OF[key]} price.",
                where=place,
                remedy=f"Did you mean '{tuned}'?" if known else "Name another model, or write the price in USD.",
                code="prices.no_such_price",
            )
        return model

    def _model(self, name: Any, place: str) -> ModelPrice:
        if not isinstance(name, str):
            raise _wrong(place, "the name of a model in quotes", name)
        try:
            model = self.prices.price(name)
        except NotFoundError as error:
            raise FactsError(error.message, where=place, remedy=error.remedy, code=error.code) from error
        ages = (warning for warning in self.prices.warnings(self.today, [name]) if warning.code != "prices.ends_soon")
        self.notes.extend(f"{warning.message} {warning.remedy}" for warning in ages)
        return model

    def _prompt(self, section: _Section, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What one query sends and gets: the parts of the prompt that this approach has."""
        own = _object(section.values.get("tokens", {}), f"{section.place}.tokens")
        check_keys(own, TOKENS, f"{section.place}.tokens")
        part = {}
        for key, shared in self.tokens.items():
            if key in own:
                value = _number(own[key], f"{section.place}.tokens.{key}")
                part[key] = Input(name=f"{section.name}.tokens.{key}", value=value)
            else:
                part[key] = Input(name=f"tokens.{key}", value=cast(Any, shared))
        if section.approach == "prompt":
            # System prompt and corpus are the same in every request, so the provider's cache serves them.
            inside = [
                Input(name=f"{section.name}.{key}", value=fields[key]) for key in ("corpus_tokens", "cached_tokens")
            ]
            return {
                "input_tokens": part["question"],
                "cached_tokens": (part["system"], *inside),
                "output_tokens": part["output"],
            }
        retrieves = section.approach != "fine_tune"
        return {
            "input_tokens": (part["system"], part["question"], *((part["context"],) if retrieves else ())),
            "output_tokens": part["output"],
            "embedding_tokens": part["question"] if retrieves else 0,
        }

    def _count_migration(self, fields: dict[str, Any], model: ModelPrice, section: _Section) -> None:
        """Count the end of the option's model where the scenario has a start date; note it, or that it could not be counted."""
        end = model.end_of_life
        if end is None or fields["migration_months"]:
            return
        if self.start is None:
            self.notes.append(
                f'{model.name} is switched off on {end}: add "start": "YYYY-MM-DD" to count the migration of {section.name}.'
            )
            return
        month = max(1, (end.year - self.start.year) * 12 + end.month - self.start.month + 1)
        if month <= self.months:
            fields["migration_months"] = (month,)
            self.notes.append(
                f"{model.name} is switched off on {end}: {section.name} pays a migration in month {month}."
            )


def _price(model: ModelPrice | None, key: str) -> Any:
    """The model's price behind a key of the scenario file; None where there is no model or no such price."""
    return getattr(model, PRICE_OF[key]) if model is not None and key in PRICE_OF else None


def _months(value: Any, place: str) -> tuple[Number, ...]:
    if not isinstance(value, list | tuple):
        return (_number(value, place),)
    return tuple(_number(one, f"{place}[{number}]") for number, one in enumerate(value, 1))


def _number(value: Any, place: str) -> Any:
    """A number or range, checked; `place` is where it stands in the file."""
    if isinstance(value, dict):
        check_keys(value, ("low", "mode", "high"), place)
        for bound in ("low", "high"):
            if bound not in value:
                raise FactsError(
                    f"the range has no {bound}.",
                    where=place,
                    remedy='A range reads {"low": 1, "mode": 2, "high": 4} or {"low": 1, "high": 4}.',
                    code="economics.bad_range",
                )
        for bound, end in value.items():
            if isinstance(end, dict | list):
                raise _wrong(f"{place}.{bound}", "a number", end)
            check_number(end, f"{place}.{bound}")
        try:
            value = Range(low=value["low"], high=value["high"], mode=value.get("mode"))
        except FactsError as error:
            raise FactsError(error.message, where=place, remedy=error.remedy, code=error.code) from error
    check_number(value, place)
    return value


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "an object", value)
    return value


def _start(value: Any, place: str) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(place, "a date such as 2026-12-01 in quotes", value) from None


def _wrong(place: str, wanted: str, found: Any) -> FactsError:
    return FactsError(
        f"expected {wanted}, found {describe(found)}.",
        where=place,
        remedy="Compare with the scenario file's reference: docs/explanation/cost-model.md.",
        code="economics.wrong_type",
    )
