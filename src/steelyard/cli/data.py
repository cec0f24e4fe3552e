"""`check` and `ingest`: what goes in."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)
    app.command("ingest")(ingest)


def check(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Validate settings and data: every problem with its file, row and remedy.

    Finds wrong rows, duplicates across splits, conflicting labels, tiny classes. Exit code 1 when there are errors.
    """
    workspace = open_workspace(context)
    with progress() as report:
        findings = workspace.check(report)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        write_json({"findings": [finding.to_json() for finding in findings]})
    else:
        from steelyard.cli.tables import show_findings

        show_findings(console(), findings)
    if errors:
        raise typer.Exit(1)


def ingest(
    context: typer.Context,
    engine: Annotated[Literal["local"], typer.Option(help="Where documents are parsed.")] = "local",
    as_json: JsonFlag = False,
) -> None:
    """Read the sources into the next generation of the corpus; only what changed is parsed and embedded.

    The new generation is built beside the one in force and takes over at once when it is whole. A document that cannot be
    read keeps its last good version and is listed.
    """
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.ingest(report, engine=engine)
    if as_json:
        write_json(done.to_json())
        return
    out = console()
    changed = done.added + done.updated + done.deleted
    state = "in force" if changed else "unchanged"
    out.print(
        f"generation [bold]{done.generation}[/bold] {state}: {done.added} added, {done.updated} updated, {done.deleted} deleted, "
        f"{done.unchanged} unchanged; {done.passages:,} passages; {done.seconds:.1f} s"
    )
    for path, reason in done.failed:
        out.print(f"[yellow]not read[/yellow] {path}: {reason}")
