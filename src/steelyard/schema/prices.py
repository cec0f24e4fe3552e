"""Prices of models and of what is not a token, each with its source and date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from steelyard.schema.economics import Tier

Trust = Literal["read", "vendor", "memory"]
"""Read in a price catalogue or on a price page; from a vendor's blog; from memory, to be checked before it is quoted."""


@dataclass(frozen=True, kw_only=True)
class ModelPrice:
    """One model's prices: USD per million tokens, `rerank_query` USD per query; None where the model has no such price.

    `end_of_life` is the day the model is switched off, `base` the model it was tuned from. `source` and `read_on` say where and
    when the prices were read.
    """

    name: str
    source: str
    read_on: date
    input: Decimal | None = None
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    output: Decimal | None = None
    training: Decimal | None = None
    embedding: Decimal | None = None
    rerank_query: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    base: str | None = None
    end_of_life: date | None = None
    trust: Trust = "read"
    remark: str = ""

    def to_json(self) -> dict[str, Any]:
        """The price as JSON, absent prices left out, dates as YYYY-MM-DD."""
        amounts = {name: getattr(self, name) for name in PRICE_CLASSES}
        return {
            "name": self.name,
            **{name: float(usd) for name, usd in amounts.items() if usd is not None},
            "tiers": [_tier_json(tier) for tier in self.tiers],
            "base": self.base,
            "end_of_life": self.end_of_life.isoformat() if self.end_of_life else None,
            "source": self.source,
            "read_on": self.read_on.isoformat(),
            "trust": self.trust,
            "remark": self.remark,
        }


PRICE_CLASSES = ("input", "cached", "cache_write", "output", "training", "embedding", "rerank_query")
"""What a model can have a price for."""


def _tier_json(tier: Tier) -> dict[str, Any]:
    prices = {
        "input": tier.input_usd_per_million,
        "cached": tier.cached_usd_per_million,
        "output": tier.output_usd_per_million,
    }
    return {"above_tokens": tier.above_tokens} | {name: float(usd) for name, usd in prices.items() if usd is not None}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What something other than tokens costs: USD from `low` to `high` per `unit` (an hour, a month, a million queries)."""

    name: str
    low: Decimal
    high: Decimal
    unit: str
    source: str
    read_on: date
    trust: Trust = "read"

    def to_json(self) -> dict[str, Any]:
        """The rate as JSON, the date as YYYY-MM-DD."""
        return {
            "name": self.name,
            "low": float(self.low),
            "high": float(self.high),
            "unit": self.unit,
            "source": self.source,
            "read_on": self.read_on.isoformat(),
            "trust": self.trust,
        }
