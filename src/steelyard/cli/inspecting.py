"""`status`, `quality` and `config`: what is there and how it is doing."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("quality")(quality)
    app.command("config")(config)


def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the state of the workspace: corpus, data, versions, traffic, spend, alerts, the last decision, and whether it still holds."""
    found = open_workspace(context).status()
    if as_json:
        write_json(found)
        return
    from steelyard.cli.tables import show_status
    from steelyard.cli.watch_view import show_watched

    out = console()
    show_status(out, found)
    show_watched(out, found["watched"])


def quality(
    context: typer.Context,
    last: Annotated[int, typer.Option(help="Generations to show, newest first to measure.", min=1)] = 12,
    as_json: JsonFlag = False,
) -> None:
    """Show how well each generation finds the documents that the gold questions name, as a trend.

    Generations not measured yet are measured and kept: recall@5 and nDCG@10 by document, with the access rules of now.
    """
    workspace = open_workspace(context)
    with progress() as report:
        found = workspace.quality(last=last, report=report)
    if as_json:
        write_json({"quality": [one.to_json() for one in found]})
        return
    from steelyard.cli.trend import show_quality

    show_quality(console(), found)


def config(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show every setting with the value in force, defaults included."""
    settings = open_workspace(context).settings.to_json()
    if as_json:
        write_json(settings)
        return
    from steelyard.cli.tables import show_settings

    show_settings(console(), settings)
