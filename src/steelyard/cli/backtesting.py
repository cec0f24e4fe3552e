"""`backtest`: how each choice would have aged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


def backtest(
    context: typer.Context,
    every: Annotated[
        Literal["day", "week", "month", "quarter", "year"], typer.Option(help="Length of a step.")
    ] = "month",
    begin: Annotated[
        str | None, typer.Option("--from", help="First day; default: where the documents' past begins.", metavar="DATE")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day; default: the last change.", metavar="DATE")] = None,
    component: Annotated[
        str | None, typer.Option(help="The answer component; needed where there are several.", metavar="C")
    ] = None,
    history: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a source keeps its past, if not in its own git: repository, folder of dated folders, or change log.",
            metavar="SOURCE=PATH",
        ),
    ] = None,
    lag_days: Annotated[
        float, typer.Option(help="Days that a change waits before retrieval has indexed it.", metavar="N", min=0)
    ] = 0.0,
    limit: Annotated[int, typer.Option(help="Most questions asked at each step.", metavar="N", min=20)] = 300,
    as_json: JsonFlag = False,
) -> None:
    """Replay the documents' own past, month by month, and see how retrieval and tuned weights would have aged.

    Every candidate does what it would have done: retrieval indexes what changed, tuned answers are retrained never, yearly, quarterly,
    monthly, or when it pays, on what was known that day. Questions are the dated ones of the component.
    """
    from datetime import timedelta

    from steelyard.workspace.backtesting import BacktestPlan, moment_of

    workspace = open_workspace(context)
    plan = BacktestPlan(
        component=component,
        every=every,
        begin=moment_of(begin, "--from"),
        end=moment_of(end, "--to"),
        histories=_histories(history or []),
        lag=timedelta(days=lag_days),
        limit=limit,
    )
    with progress() as report:
        found = workspace.backtest(plan, report)
    if as_json:
        write_json(found.to_json())
        return
    from steelyard.cli.backtest_view import show_backtest

    show_backtest(console(), found)


def _histories(named: list[str]) -> dict[str, Path]:
    found = {}
    for one in named:
        source, sign, path = one.partition("=")
        if not sign or not path:
            raise typer.BadParameter(f"'{one}' is not SOURCE=PATH, for example docs=docs.git", param_hint="--history")
        found[source] = Path(path)
    return found
