"""`steelyard tco`: totals, curve and break-even of one scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, write_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tco", rich_help_panel="Decide without data")(tco)


def tco(
    scenario: Annotated[
        Path,
        typer.Option(
            "--scenario", "-s", metavar="FILE", help="The scenario, JSON; what it leaves out takes its default."
        ),
    ],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot; the ending chooses .svg, .png or .html.")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prices (TOML) that replace single lines of the package's table."),
    ] = None,
    catalogue: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where to look up models that the table lacks, e.g. genai-prices."),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, max=1_000_000, help="Draws over the scenario's ranges.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """What each option costs over the horizon, where they break even, and what decides it."""
    from steelyard.economics.analysis import analyse
    from steelyard.economics.prices import load_prices
    from steelyard.economics.scenario import read_scenario

    told = read_scenario(scenario, load_prices(prices, catalogue))
    found = analyse(told, draws=draws, seed=seed)
    if plot is not None:
        from steelyard.economics.plots import save_plot

        save_plot(found, plot)
    if as_json:
        write_json(found.to_json() | ({"plot": str(plot)} if plot else {}))
        return
    from steelyard.cli.tco_view import view

    terminal = console()
    terminal.print(view(told, found, width=terminal.width))
    if plot is not None:
        terminal.print(f"Plot written to {plot}", style="dim", soft_wrap=True)
