"""`steelyard prices`: what the cost model charges for models, how old that is, and what ends soon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, write_json

if TYPE_CHECKING:
    from steelyard.economics.prices import PriceTable

PricesFile = Annotated[
    Path | None, typer.Option("--prices", metavar="FILE", help="Prices (TOML) that replace single lines of the table.")
]
CatalogueName = Annotated[
    str | None,
    typer.Option(
        "--catalogue", metavar="NAME", help="Where to look up models that the table lacks, e.g. genai-prices."
    ),
]

prices = typer.Typer(help="The price table: list it, check its age.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(prices, name="prices", rich_help_panel="Decide without data")


@prices.command("list")
def list_prices(
    models: Annotated[list[str] | None, typer.Argument(help="Only these models.", show_default=False)] = None,
    override: PricesFile = None,
    catalogue: CatalogueName = None,
    as_json: JsonFlag = False,
) -> None:
    """Prices by model, USD per million tokens, with source and date."""
    from steelyard.economics.prices import load_prices

    table = load_prices(override, catalogue)
    chosen = [table.price(name) for name in models] if models else list(table.models.values())
    if as_json:
        rates = [] if models else [rate.to_json() for rate in table.rates.values()]
        write_json({"models": [price.to_json() for price in chosen], "rates": rates})
        return
    _print_models(table, [price.name for price in chosen])
    if not models:
        _print_rates(table)


@prices.command("check")
def check_prices(
    models: Annotated[list[str] | None, typer.Argument(help="Only these models.", show_default=False)] = None,
    override: PricesFile = None,
    catalogue: CatalogueName = None,
    as_json: JsonFlag = False,
) -> None:
    """What to know before relying on the prices: too old, switched off, ending soon, or from memory. Exit code 1 on errors."""
    from datetime import UTC, datetime

    from steelyard.economics.prices import load_prices

    findings = load_prices(override, catalogue).warnings(datetime.now(UTC).date(), models or None)
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        write_json({"findings": [finding.to_json() for finding in findings]})
    else:
        terminal = console()
        styles = {"error": "red", "warning": "yellow", "note": "dim"}
        for finding in findings:
            terminal.print(f"{finding.severity}: ", style=styles[finding.severity], end="")
            terminal.print(f"{finding.message} {finding.remedy}", soft_wrap=True, markup=False)
        if not findings:
            terminal.print("All prices are recent, and nothing ends soon.")
    if failed:
        raise typer.Exit(1)


CLASSES = {
    "generators": ("input", "cached", "cache_write", "output", "training"),
    "embeddings": ("embedding",),
    "rerankers": ("rerank_query",),
}
TITLES = {"cache_write": "write", "rerank_query": "a query", "embedding": "input"}


def _print_models(table: PriceTable, names: list[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    found = [table.price(name) for name in names]
    terminal = console()
    days = {price.read_on for price in found}
    read = f" All read on {min(days)}." if len(days) == 1 else ""
    terminal.print(f"USD per million tokens; rerankers per query.{read}", style="dim")
    for kind, classes in CLASSES.items():
        priced = [price for price in found if any(getattr(price, one) is not None for one in classes)]
        if not priced:
            continue
        columns = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        columns.add_column(kind, no_wrap=True)
        for one in classes:
            columns.add_column(TITLES.get(one, one.replace("_", " ")), justify="right", no_wrap=True)
        columns.add_column("ends", no_wrap=True)
        if len(days) > 1:
            columns.add_column("read on", no_wrap=True)
        for price in priced:
            amounts = ("" if (usd := getattr(price, one)) is None else f"{usd.normalize():f}" for one in classes)
            columns.add_row(
                price.name, *amounts, str(price.end_of_life or ""), *([str(price.read_on)] if len(days) > 1 else [])
            )
            for tier in price.tiers:
                dearer = {"input": tier.input_usd_per_million, "cached": tier.cached_usd_per_million}
                dearer["output"] = tier.output_usd_per_million
                above = (f"{usd}" if (usd := dearer.get(one)) is not None else "" for one in classes)
                columns.add_row(Text(f"  above {tier.above_tokens:,} tokens", style="dim"), *above)
        terminal.print(columns)


def _print_rates(table: PriceTable) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("rate", "USD", "a", "read on", "source"):
        columns.add_column(title)
    for rate in table.rates.values():
        usd = f"{rate.low.normalize():f}" + (f" to {rate.high.normalize():f}" if rate.high > rate.low else "")
        columns.add_row(rate.name, usd, rate.unit, str(rate.read_on), rate.source)
    console().print(columns)
