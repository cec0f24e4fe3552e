"""`backtest` and `probes`: how each choice would have aged, and the questions to find it out with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

History = Annotated[
    list[str] | None,
    typer.Option(
        help="Where a source keeps its past, if not in its own git: repository, folder of dated folders, or change log.",
        metavar="SOURCE=PATH",
    ),
]

Named = Annotated[
    list[str] | None,
    typer.Option(
        help="Candidate to replay; default: the usual ones, and with a generator those that ask it.", metavar="NAME"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("probes")(derive)
    app.command("backtest")(backtest)


def backtest(
    context: typer.Context,
    every: Annotated[
        Literal["day", "week", "month", "quarter", "year"], typer.Option(help="Length of a step.")
    ] = "month",
    begin: Annotated[
        str | None, typer.Option("--from", help="First day; default: where the documents' past begins.", metavar="DATE")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="Last day; default: as far as the past is known (git: today).", metavar="DATE"),
    ] = None,
    component: Annotated[
        str | None, typer.Option(help="The answer component; needed where there are several.", metavar="C")
    ] = None,
    history: History = None,
    lag_days: Annotated[
        float, typer.Option(help="Days that a change waits before retrieval has indexed it.", metavar="N", min=0)
    ] = 0.0,
    limit: Annotated[int, typer.Option(help="Most questions asked at each step.", metavar="N", min=20)] = 300,
    probes: Annotated[
        Path | None, typer.Option(help="Ask the probes of this file instead of the dated questions.", metavar="FILE")
    ] = None,
    unreviewed: Annotated[bool, typer.Option("--unreviewed", help="Count probes that nobody has reviewed.")] = False,
    candidate: Named = None,
    as_json: JsonFlag = False,
) -> None:
    """Replay the documents' own past, month by month, and see how retrieval and tuned weights would have aged.

    Every candidate does what it would have done: retrieval indexes what changed, tuned answers are retrained never, yearly, quarterly,
    monthly, or when it pays, on what was known that day. Questions are the dated ones of the component, or reviewed probes.
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
        probes=probes,
        unreviewed=unreviewed,
        candidates=tuple(candidate or ()),
    )
    with progress() as report:
        found = workspace.backtest(plan, report)
    if as_json:
        write_json(found.to_json())
        return
    from steelyard.cli.backtest_view import show_backtest

    show_backtest(console(), found)


def derive(
    context: typer.Context,
    history: History = None,
    limit: Annotated[int, typer.Option(help="Most facts for each source.", metavar="N", min=1)] = 300,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: probes.jsonl in the workspace.", metavar="FILE")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Mark every row of the file as reviewed instead; read it before you do.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Derive dated questions from the documents' own past, and write them for review: a backtest counts only reviewed ones.

    They come from front matter, tables, lists of values, documented defaults, and sentences whose value changed.
    """
    from steelyard.workspace.probing import PROBES_FILE

    workspace = open_workspace(context)
    file = out or workspace.folder / PROBES_FILE
    if accept:
        count = workspace.accept_probes(file)
        if as_json:
            write_json({"file": str(file), "reviewed": count})
        else:
            console().print(f"{count} rows of {file} are marked as reviewed. Next: steelyard backtest", soft_wrap=True)
        return
    with progress() as report:
        derived = workspace.probes(_histories(history or []), limit, file, report)
    if as_json:
        write_json(derived.to_json())
        return
    from steelyard.cli.backtest_view import show_probes

    show_probes(console(), derived)


def _histories(named: list[str]) -> dict[str, Path]:
    found = {}
    for one in named:
        source, sign, path = one.partition("=")
        if not sign or not path:
            raise typer.BadParameter(f"'{one}' is not SOURCE=PATH, for example docs=docs.git", param_hint="--history")
        found[source] = Path(path)
    return found
