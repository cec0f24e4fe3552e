"""`release` and `rollback`: what answers in production, and what it took to get there."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

Why = Annotated[str, typer.Option(help="The reason, kept in the history.", metavar="TEXT")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("release")(release)
    app.command("rollback")(rollback)


def release(
    context: typer.Context,
    target: Annotated[
        list[str] | None,
        typer.Argument(
            help="Versions to release, e.g. intent/linear@3 or intent@ALIAS; default: the recommended ones.",
            metavar="[COMPONENT/CANDIDATE@VERSION]...",
        ),
    ] = None,
    why: Why = "",
    force: Annotated[
        bool, typer.Option("--force", help="Release although a gate fails; --why is kept with it.")
    ] = False,
    pin_corpus: Annotated[
        bool, typer.Option("--pin-corpus", help="Answer from the documents of now until the next release.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the gates and change nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let versions answer in production, when they pass every gate; components that are not named keep what they have.

    Gates: no worse than the version in production on each guarded metric, no leaks, the same answers in the form that serves. Exit code 1
    when one fails.
    """
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.release(
            target or [], why=why, force=force, pin_corpus=pin_corpus, dry_run=dry_run, report=report
        )
    if as_json:
        write_json(done.to_json())
    else:
        from steelyard.cli.release_view import show_promotion

        show_promotion(console(), done, dry_run=dry_run)
    if done.refused:
        raise typer.Exit(1)


def rollback(
    context: typer.Context,
    to: Annotated[
        int | None, typer.Option("--to", help="This release; default: the one before that in force.", metavar="RELEASE")
    ] = None,
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Let an earlier release answer again, at once: one pointer moves, nothing is trained or built."""
    now, before = open_workspace(context).rollback(to, why=why)
    if as_json:
        write_json(
            {"release": now.number, "previous": before.number, "gates": [], "versions": now.to_json()["versions"]}
        )
        return
    from steelyard.cli.release_view import show_rollback

    show_rollback(console(), now, before)
