"""The generator of a workspace: its price, whether it can be called, what it has cost."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steelyard.config import EmbeddingSettings, GeneratorSettings, ModelSettings
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


def embedding_price(settings: EmbeddingSettings) -> float:
    """USD per million tokens: the settings' own, else that of the price table, else 0."""
    if settings.input_usd is not None:
        return settings.input_usd
    try:
        found = load_prices().price(settings.model or "")
    except NotFoundError:
        return 0.0
    return float(found.embedding or found.input or 0)


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


def model_findings(models: ModelSettings, folder: Path, *, residency: bool = False) -> list[Finding]:
    """What is wrong with the generator, and with the encoder where it is an endpoint.

    A missing key, a server that does not answer, an unknown model, a cap without a price, and with `residency` an address outside the
    own network.
    """
    found = _endpoint_findings(models.generator, folder, PLACE, residency)
    price, said = price_of(models.generator), models.generator.input_usd is not None
    if models.generator.kind == "openai" and not (said or price.input or price.output):
        found.append(_no_price(models.generator.model, models.generator.cap_usd, PLACE))
    if models.encoder != "openai":
        return found
    embeddings, place = models.embeddings, "steelyard.toml [models.embeddings]"
    endpoint = GeneratorSettings(
        kind="openai", base_url=embeddings.base_url, model=embeddings.model, key_env=embeddings.key_env
    )
    found += _endpoint_findings(endpoint, folder, place, residency)
    if embeddings.input_usd is None and not embedding_price(embeddings):
        found.append(_no_price(embeddings.model, embeddings.cap_usd, place))
    return found


def _endpoint_findings(settings: GeneratorSettings, folder: Path, place: str, residency: bool) -> list[Finding]:
    state = generator_state(settings, folder)
    if state is None:
        return []
    found = []
    if (told := state.problem) is not None:
        where = "" if told.where.startswith(PLACE) or not told.where else f"{told.where}: "
        found.append(
            Finding(code=told.code, severity="error", message=where + told.message, remedy=told.remedy, file=place)
        )
    if residency and settings.kind == "openai" and not is_own_network(settings.base_url):
        found.append(
            Finding(
                code="generator.leaves_network",
                severity="error",
                message="base_url is outside your own network and gets passages and rows; [requirements] residency forbids that.",
                remedy="Name a server of your own, or take residency out.",
                file=place,
            )
        )
    return found


def _no_price(model: str | None, cap_usd: float | None, place: str) -> Finding:
    without = "its calls count as 0 USD" + ("" if cap_usd is None else ", so cap_usd never stops them")
    return Finding(
        code="generator.no_price",
        severity="note" if cap_usd is None else "warning",
        message=f"there is no price for '{model}': {without}.",
        remedy="Write its USD per million tokens there as input_usd and output_usd; 0 where it is free.",
        file=place,
    )


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
