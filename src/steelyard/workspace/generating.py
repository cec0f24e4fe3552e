"""The generator of a workspace: its price, whether it can be called, what it has cost."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steelyard.config import GeneratorSettings
from steelyard.economics.prices import load_prices
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import generator_state
from steelyard.schema.errors import NotFoundError
from steelyard.schema.findings import Finding
from steelyard.schema.generation import TokenPrice

PLACE = "steelyard.toml [models.generator]"


def price_of(settings: GeneratorSettings) -> TokenPrice:
    """The settings' prices, else those of the price table; 0 for a local model and for one that the table lacks.

    Raises:
        NotFoundError: `price_of` names a model that the table lacks.
    """
    listed = _listed(settings) or TokenPrice()
    own = settings.input_usd
    fresh = listed.input if own is None else own
    # A price of one's own for fresh tokens holds for cached ones too: the table's are another provider's.
    cached = settings.cached_usd if settings.cached_usd is not None else (listed.cached if own is None else own)
    output = listed.output if settings.output_usd is None else settings.output_usd
    return TokenPrice(input=fresh, cached=cached, output=output)


def _listed(settings: GeneratorSettings) -> TokenPrice | None:
    name = settings.price_of or (settings.model if settings.kind == "openai" else None)
    if name is None:
        return None
    try:
        found = load_prices().price(name)
    except NotFoundError:
        if settings.price_of is not None:
            raise
        return None
    fresh = float(found.input or 0)
    return TokenPrice(
        input=fresh,
        cached=float(found.cached) if found.cached is not None else fresh,
        output=float(found.output or 0),
    )


def is_own_network(base_url: str | None) -> bool:
    """Whether an address is on this machine or in a private network, as far as its name tells: no name is looked up."""
    host = urlsplit(base_url or "").hostname or ""
    try:
        found = ip_address(host)
    except ValueError:
        # A name without a dot is found in the own network alone; these endings are reserved for such.
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa"))
    return found.is_private or found.is_loopback


def generator_findings(settings: GeneratorSettings, folder: Path, *, residency: bool = False) -> list[Finding]:
    """What is wrong with the generator.

    A missing key, a server that does not answer, an unknown model, a cap without a price, and with `residency` an address outside the
    own network.
    """
    state = generator_state(settings, folder)
    if state is None:
        return []
    found = []
    if state.problem is not None:
        told = state.problem
        found.append(
            Finding(
                code=told.code,
                severity="error",
                message=f"{told.where}: {told.message}"
                if told.where and not told.where.startswith(PLACE)
                else told.message,
                remedy=told.remedy,
                file=PLACE,
            )
        )
    if residency and settings.kind == "openai" and not is_own_network(settings.base_url):
        found.append(
            Finding(
                code="generator.leaves_network",
                severity="error",
                message="prompts hold passages and rows, and base_url is outside your own network; [requirements] residency forbids that.",
                remedy="Name a server of your own, or take residency out.",
                file=PLACE,
            )
        )
    price = price_of(settings)
    if settings.kind == "openai" and not (price.input or price.output):
        without = "its calls count as 0 USD" + ("" if settings.cap_usd is None else ", so cap_usd never stops them")
        found.append(
            Finding(
                code="generator.no_price",
                severity="note" if settings.cap_usd is None else "warning",
                message=f"there is no price for '{settings.model}': {without}.",
                remedy="Write input_usd and output_usd there, or name a model of the price table as price_of.",
                file=PLACE,
            )
        )
    return found


def generator_status(settings: GeneratorSettings, folder: Path, ledger: CallLedger) -> dict[str, Any] | None:
    """The generator with whether it can be called now, what it cost this month and in all, and its cap; None without one."""
    state = generator_state(settings, folder)
    if state is None:
        return None
    return {
        **state.to_json(),
        "month_usd": ledger.month_usd(),
        "cap_usd": settings.cap_usd,
        "spent": ledger.spent().to_json(),
        "purposes": {name: one.to_json() for name, one in ledger.by_purpose().items()},
    }
