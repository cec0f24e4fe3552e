"""`judge`: whether a language model's judgement may be believed."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("judge")(judge)


def judge(
    context: typer.Context,
    component: Annotated[str, typer.Argument(help="The component whose judged outputs it is held against.")],
    as_json: JsonFlag = False,
) -> None:
    """Hold a language model's judgement of outputs against that of your people; exit code 1 when it may not decide.

    The people's judgements stand in the file that `judged` names under the component: rows with `question`, `output` and `right`. The
    measure is Cohen's kappa with its 95 % interval. A judge decides a bake-off (`headline = "judge"`) only when the lower end of it
    is .6 or above, on 30 outputs or more; `weigh` refuses it otherwise.
    """
    workspace = open_workspace(context)
    with progress() as report:
        found = workspace.judge(component, report)
    if as_json:
        write_json({"component": component, **found.to_json()})
    else:
        out = console()
        out.print(found.sentence, markup=False)
        if found.unreadable:
            out.print(f"{found.unreadable} verdicts could not be read and count as wrong", markup=False)
    if not found.is_trusted:
        raise typer.Exit(1)
