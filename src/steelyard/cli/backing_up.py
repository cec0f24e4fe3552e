"""`backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

PANEL = "Serving"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup", rich_help_panel=PANEL)(backup)
    app.command("restore", rich_help_panel=PANEL)(restore)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write; it must be new.", metavar="FILE")],
    documents: Annotated[
        bool, typer.Option("--documents", help="Take the sources inside the workspace along as well.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write everything that cannot be made again into one file, while the workspace goes on serving and ingesting.

    Versions and releases, stored documents, access rules and erasures, labelled rows, keys (as hashes), the audit, feedback, settings and
    the files that they name. The file is readable to its owner only. Keep the head that is printed elsewhere.
    """
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.backup(file, report, documents=documents)
    if as_json:
        write_json(done.to_json())
        return
    out = console()
    release = f"release {done.release}" if done.release is not None else "no release"
    out.print(
        f"{done.files} files, {done.size / 2**20:,.1f} MiB in {done.file}: generation {done.generation}, {release}.",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"head {done.head}", markup=False, soft_wrap=True)
    if done.left_out:
        out.print(f"not in it: the documents of {', '.join(done.left_out)}", markup=False, style="dim")


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for the workspace.", metavar="DIR")],
    erasures: Annotated[
        Path | None,
        typer.Option(
            help="Erase here too what was erased there since: a workspace, its control.sqlite, or an `audit export`.",
            metavar="FROM",
        ),
    ] = None,
    expect: Annotated[
        str | None, typer.Option(help="The head that `backup` printed, to be sure it is that backup.", metavar="HEAD")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a workspace from a backup: every file held against its hash, every history against its head, the index made anew.

    Nothing is written over. What was erased after the backup was made is in it again, unless --erasures says what that is.
    """
    from steelyard.workspace.restoring import restore_backup

    with progress() as report:
        done = restore_backup(file, folder, report, erasures=erasures, expect=expect)
    if as_json:
        write_json(done.to_json())
        return
    out = console()
    release = f"release {done.release}" if done.release is not None else "no release"
    out.print(
        f"{done.folder}: '{done.workspace}' as of {done.created[:16].replace('T', ' ')} UTC, generation {done.generation} with "
        f"{done.passages:,} passages, {release}; every file and history is what was backed up.",
        markup=False,
        soft_wrap=True,
    )
    if done.erased_again:
        out.print(f"erased here too: {', '.join(done.erased_again)}", markup=False, soft_wrap=True)
    if done.warning:
        out.print(f"[yellow]note[/yellow]  {done.warning}", soft_wrap=True)
