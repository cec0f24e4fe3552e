"""`tuning`: jobs at a provider, and adapters for other servers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    room = typer.Typer(
        help="Follow and end fine-tuning jobs at a provider; write adapters for other servers.", no_args_is_help=True
    )
    for command in (jobs, cancel, export):
        room.command(command.__name__)(command)
    app.add_typer(room, name="tuning")


def jobs(
    context: typer.Context,
    look: Annotated[bool, typer.Option("--look", help="Ask the provider how they are now.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the fine-tuning jobs that were started at a provider, with what they cost and when their models are switched off."""
    found = open_workspace(context).tuning_jobs(look=look)
    if as_json:
        write_json({"jobs": [one.to_json() for one in found]})
        return
    from steelyard.cli.layout import table

    out = console()
    if not found:
        out.print("no job was started here: steelyard train COMPONENT/hosted-...")
        return
    grid = table("job", "component", "status", "model", ("rows", True), ("trained tokens", True), ("USD", True), "ends")
    for one in found:
        figures = (f"{one.rows:,}", f"{one.trained_tokens:,}", f"{one.usd:.2f}")
        grid.add_row(
            one.job or "-", one.purpose or "-", one.status, one.tuned or one.base, *figures, one.ends or "not said"
        )
    out.print(grid)


def cancel(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="The job, as `tuning jobs` names it.", metavar="JOB")],
    as_json: JsonFlag = False,
) -> None:
    """End a running job; what it did until then may be billed."""
    found = open_workspace(context).cancel_tuning(job)
    if as_json:
        write_json(found.to_json())
        return
    console().print(f"{found.job}: {found.status}", markup=False)


def export(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="COMPONENT/CANDIDATE[@VERSION].", metavar="VERSION")],
    folder: Annotated[Path, typer.Argument(help="A folder that is new or empty.", metavar="DIR")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Fold it into its base: a whole model that needs no PEFT.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a tuned adapter as PEFT's files, which vLLM and others read, or merged with its base."""
    workspace = open_workspace(context)
    with progress() as report:
        report("export", 0, 1)
        made = workspace.export_adapter(version, folder, merge=merge)
        report("export", 1, 1)
    if as_json:
        write_json({"folder": str(made), "files": sorted(path.name for path in made.iterdir())})
        return
    console().print(f"written: {made}", markup=False)
