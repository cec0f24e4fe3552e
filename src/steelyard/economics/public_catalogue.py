"""Prices from the `genai-prices` package: offline, dated, about two thousand hosted models; no training prices, no ends of life."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import distribution
from typing import Any

import genai_prices.data_snapshot

from steelyard.schema.economics import Tier
from steelyard.schema.prices import ModelPrice


class PublicCatalogue:
    """Looks models up in the catalogue that is installed; no network.

    A name may carry its provider, `anthropic/claude-haiku-5-5`; without one the catalogue picks the provider.
    """

    def __init__(self) -> None:
        self._snapshot = genai_prices.data_snapshot.get_snapshot()
        self._read_on = _last_dated(self._snapshot.providers)

    def names(self) -> list[str]:
        """All model names, without provider, sorted."""
        return sorted({model.id for provider in self._snapshot.providers for model in provider.models})

    def price(self, name: str) -> ModelPrice | None:
        """The model's prices today at the standard service tier; None where the catalogue does not know it."""
        provider, _, model = name.rpartition("/")
        try:
            _, found = self._snapshot.find_provider_model(model, None, provider or None, None)
        except LookupError:
            return None
        prices = found.get_prices(datetime.now(UTC))
        bases: dict[str, Any] = {field: _base(getattr(prices, source, None)) for field, source in CLASSES.items()}
        if "embed" in found.id:
            # The catalogue keeps an embedding model's price as its input price.
            bases = {"embedding": bases["input"]}
        version = distribution("genai-prices").version
        return ModelPrice(
            name=name,
            source=f"genai-prices {version}",
            read_on=self._read_on,
            tiers=_tiers(prices),
            remark=found.name or "",
            **bases,
        )


CLASSES = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}


def _base(price: Any) -> Decimal | None:
    return price if price is None or isinstance(price, Decimal) else price.base


def _tiers(prices: Any) -> tuple[Tier, ...]:
    tiers: dict[int, dict[str, Decimal]] = {}
    for field in ("input", "cached", "output"):
        for tier in getattr(getattr(prices, CLASSES[field], None), "tiers", ()):
            tiers.setdefault(tier.start, {})[f"{field}_usd_per_million"] = tier.price
    return tuple(Tier(above_tokens=start, **found) for start, found in sorted(tiers.items()))


def _last_dated(providers: Iterable[Any]) -> date:
    """The latest past day from which a price in the catalogue holds: it states no date of its own, and is at least that new."""
    today = datetime.now(UTC).date()
    starts = [
        getattr(dated.constraint, "start_date", None)
        for provider in providers
        for model in provider.models
        for dated in (*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ()))
    ]
    return max((day for day in starts if day is not None and day <= today), default=date(1970, 1, 1))
