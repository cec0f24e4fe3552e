"""`versions`: what was fitted, which of it answered, and the history that proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

versions = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(versions, name="versions")


@versions.callback()
def list_versions(
    context: typer.Context,
    request: Annotated[
        str | None,
        typer.Option(help="Only the version that answered this request (the trace_id of an answer).", metavar="ID"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List every registered candidate version with its data, seconds and validation metrics, and what is in production."""
    if context.invoked_subcommand is not None:
        return
    workspace = open_workspace(context)
    if request is not None:
        trace, record = workspace.request(request)
        if as_json:
            write_json({"request": trace.to_json(), "version": record.to_json()})
            return
        from steelyard.cli.release_view import show_request

        show_request(console(), trace, record)
        return
    found, releases = workspace.versions(), workspace.releases()
    aliases = workspace.aliases()
    if as_json:
        in_force = releases[0].number if releases else None
        write_json(
            {
                "versions": [one.to_json() for one in found],
                "aliases": aliases,
                "production": in_force,
                "releases": [one.to_json() for one in releases],
            }
        )
        return
    from steelyard.cli.release_view import show_releases
    from steelyard.cli.tables import show_versions

    out = console()
    show_versions(out, found)
    show_releases(out, releases, aliases)


@versions.command("history")
def history(
    context: typer.Context,
    last: Annotated[int, typer.Option(help="Only so many of the newest; 0 for all.", metavar="N", min=0)] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Show who did what with versions, aliases and releases, why, and what it rested on."""
    entries = open_workspace(context).history()
    shown = entries[-last:] if last else entries
    if as_json:
        write_json({"history": [entry.to_json() for entry in shown]})
        return
    from steelyard.cli.release_view import show_history

    show_history(console(), shown, len(entries))


@versions.command("verify")
def verify(
    context: typer.Context,
    head: Annotated[
        str | None, typer.Option(help="A hash of the history that you kept elsewhere.", metavar="HASH")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that nobody edited, cut or reordered the history, and that every version, release, alias and file agrees with it."""
    found = open_workspace(context).verify_registry(head)
    if as_json:
        write_json(found.to_json())
    else:
        out = console()
        for line in found.broken:
            out.print(f"[red]broken[/red]  {line}", soft_wrap=True)
        if found.whole:
            out.print(
                f"[green]whole[/green]  {found.entries} records, the last has the hash {found.head}", soft_wrap=True
            )
    if not found.whole:
        raise typer.Exit(1)


@versions.command("alias")
def alias(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The alias, e.g. stable.", metavar="NAME")],
    target: Annotated[str, typer.Argument(help="What it names.", metavar="COMPONENT/CANDIDATE@VERSION")],
    why: Annotated[str, typer.Option(help="The reason, kept in the history.", metavar="TEXT")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Give a version a name of your own; its files are then kept, and `release COMPONENT@NAME` finds it."""
    record = open_workspace(context).alias(name, target, why=why)
    if as_json:
        write_json({"alias": name, "version": record.name})
        return
    console().print(f"{record.component}@{name} is {record.name}", markup=False)


@versions.command("prune")
def prune(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it nothing is changed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show which fitted files no kept release and no alias needs, and delete them with --yes; their records stay.

    Kept: the newest releases (`keep_releases` under `[releases]`), those in force and one rollback away, and the newest of each candidate.
    """
    found = open_workspace(context).prune(delete=yes)
    if as_json:
        write_json({"deleted": yes, "folders": [one.to_json() for one in found]})
        return
    from steelyard.cli.release_view import show_prune

    show_prune(console(), found, deleted=yes)


@versions.command("export")
def export(
    context: typer.Context,
    history_file: Annotated[
        Path | None, typer.Option("--history", help="Write the history as JSON Lines.", metavar="FILE")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(help="Copy every version into this MLflow store, e.g. sqlite:///mlflow.db.", metavar="URI"),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy the history into a file, or every version into an MLflow store (needs the `mlflow` extra); what is there is left."""
    if history_file is None and mlflow is None:
        raise typer.BadParameter("name --history FILE or --mlflow URI.")
    workspace = open_workspace(context)
    done: dict[str, object] = {}
    if history_file is not None:
        done["history"] = {"file": str(history_file), "records": workspace.export_history(history_file)}
    if mlflow is not None:
        with progress() as report:
            written, known = workspace.export_mlflow(mlflow, report)
        done["mlflow"] = {"uri": mlflow, "written": written, "known": known}
    if as_json:
        write_json(done)
        return
    out = console()
    if history_file is not None:
        out.print(f"{done['history']['records']} records in {history_file}", markup=False, soft_wrap=True)  # type: ignore[index]
    if mlflow is not None:
        out.print(f"{written} versions written, {known} were there", markup=False)
