"""`audit`: the sealed record of every answer and every change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, write_json

PANEL = "Serving"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    room = typer.Typer(
        help="The sealed record of every answer and every change: check it, show an answer again, export it, cut it.",
        no_args_is_help=True,
    )
    room.command("verify")(verify)
    room.command("list")(list_answers)
    room.command("show")(show)
    room.command("export")(export)
    room.command("cut")(cut)
    app.add_typer(room, name="audit", rich_help_panel=PANEL)


def verify(
    context: typer.Context,
    head: Annotated[
        list[str] | None,
        typer.Option(help="A hash that you kept elsewhere, as HISTORY=HASH; repeat for more.", metavar="HISTORY=HASH"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Check this export or archive instead of the workspace.", metavar="FILE")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check that nobody edited, cut or reordered what was recorded of answers, versions, releases, keys and access.

    Exit code 1 when something was found. The hashes it prints are worth keeping elsewhere: with them, writing a history anew is found too.
    """
    workspace = open_workspace(context)
    if file is not None:
        found = {name: one for name, (one, _) in workspace.verify_audit_file(file).items()}
    else:
        found = workspace.verify_audit(dict(_head(one) for one in head or []))
    whole = all(one.whole for one in found.values())
    if as_json:
        write_json({"whole": whole, "chains": {name: one.to_json() for name, one in found.items()}})
    else:
        from steelyard.cli.audit_view import show_verified

        show_verified(console(), found)
    if not whole:
        raise typer.Exit(1)


def list_answers(
    context: typer.Context,
    last: Annotated[int, typer.Option(help="How many of the newest.", metavar="N", min=1)] = 20,
    key: Annotated[str | None, typer.Option(help="Only those of this key.", metavar="KEY")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the newest answers: when, who asked, what answered, what it cost."""
    found = open_workspace(context).answers(last, key_id=key)
    if as_json:
        write_json({"answers": [one.to_json() for one in found]})
        return
    from steelyard.cli.audit_view import show_answers

    show_answers(console(), found)


def show(
    context: typer.Context,
    trace: Annotated[str, typer.Argument(help="The answer's trace_id, or its beginning.", metavar="ID")],
    question: Annotated[
        str | None,
        typer.Option(help="What was asked, letter by letter, where the settings do not keep it.", metavar="TEXT"),
    ] = None,
    replay: Annotated[bool, typer.Option("--replay/--no-replay", help="Ask it again.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Show what is recorded of an answer, and ask it again of the same versions and generation.

    Exit code 1 when other passages come out, or the record is not what was sealed. The access rules of now hold: what the asker may
    no longer see is counted as missing, and said.
    """
    found = open_workspace(context).replay(trace, question, again=replay)
    if as_json:
        write_json(found.to_json())
    else:
        from steelyard.cli.audit_view import show_replay

        show_replay(console(), found)
    if found.same_passages is False or not found.sealed:
        raise typer.Exit(1)


def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    as_json: JsonFlag = False,
) -> None:
    """Write every record of answers, versions and releases, keys and access as JSON Lines; `audit verify --file` checks it."""
    count = open_workspace(context).export_audit(file)
    if as_json:
        write_json({"file": str(file), "records": count})
        return
    console().print(f"{count} records in {file}", markup=False, soft_wrap=True)


def cut(
    context: typer.Context,
    older_than: Annotated[
        str, typer.Option(help="Records of answers older than this go: a number with m, h, d or w.", metavar="TIME")
    ],
    archive: Annotated[Path | None, typer.Option(help="Write them to this new file first.", metavar="FILE")] = None,
    why: Annotated[str, typer.Option(help="The reason, sealed with the cut.", metavar="TEXT")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it nothing is changed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show how many records of answers are older, and delete them with --yes; what is left stays provable, and an archive too.

    The cut is a record of the chain itself and carries the hash of the last record that went.
    """
    from steelyard.registry.chain import Entry
    from steelyard.workspace.keeping_keys import lifetime

    age = lifetime(older_than)
    if age is None:
        raise typer.BadParameter("nothing is older than never; name a time such as 365d.")
    done = open_workspace(context).cut_audit(age, why=why, archive=archive, dry_run=not yes)
    entry = done if isinstance(done, Entry) else None
    count = entry.evidence["records"] if entry is not None else done
    if as_json:
        write_json({"records": count, "deleted": entry is not None, "cut": entry.to_json() if entry else None})
        return
    if entry is None:
        console().print(f"{count} records are older; {'nothing to do' if not count else '--yes deletes them'}.")
        return
    where = f"; they are in {archive}" if archive else ""
    console().print(f"{count} records were cut away and sealed by record {entry.number}{where}.", markup=False)


def _head(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"'{text}' is not HISTORY=HASH, e.g. answers=1f3c...")
    return name.strip(), value.strip()
