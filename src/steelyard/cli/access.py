"""`access`: who may see which document, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, write_json

if TYPE_CHECKING:
    from steelyard.schema.control import Effect
    from steelyard.schema.scope import Access

PANEL = "Corpus"

Document = Annotated[str, typer.Argument(help="A document, or a pattern such as 'docs/hr/**'.", metavar="DOCUMENT")]
Principal = Annotated[str, typer.Argument(help="user:NAME, GROUP or SOURCE:GROUP.", metavar="PRINCIPAL")]
Why = Annotated[str, typer.Option(help="The reason, for the history.", metavar="TEXT")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    room = typer.Typer(
        help="Show, explain and change who may see which document; every change counts from the next query.",
        no_args_is_help=True,
    )
    for command in (show, explain, allow, deny, reset, sync, history):
        room.command(command.__name__)(command)
    app.add_typer(room, name="access", rich_help_panel=PANEL)


def show(
    context: typer.Context,
    document: Annotated[
        str | None, typer.Argument(help="A document or a pattern; all by default.", metavar="DOCUMENT")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show who may see which document now, in every generation."""
    found = open_workspace(context).access().show(document)
    if as_json:
        rows = [{"document": name, "allow": list(one.allow), "deny": list(one.deny)} for name, one in found.items()]
        write_json({"documents": rows})
        return
    out = console()
    for name, access in found.items():
        out.print(f"{name}: {_said(access)}", markup=False)
    if not found:
        out.print("no document has such a name", markup=False)


def explain(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="The document, named as in citations.", metavar="DOCUMENT")],
    user: Annotated[str | None, typer.Option(help="Would this user see it?", metavar="U")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A group the user is in; repeat for more.", metavar="G")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say by which rules a document is seen by whom it is. With an asker: exit code 1 when they may not see it."""
    told = open_workspace(context).access().explain(document, user=user, groups=group or [])
    if as_json:
        write_json(told.to_json())
    else:
        out = console()
        out.print(f"{told.document}: {_said(told.access)}", markup=False)
        for number, step in enumerate(told.steps, start=1):
            allowed = "" if step.allow is None else f" allow {', '.join(step.allow) or 'nobody'}"
            denied = f" deny {', '.join(step.deny)}" if step.deny else ""
            out.print(f"  {number}. {step.kind.replace('_', ' ')} {step.where}:{allowed}{denied}", markup=False)
        if told.permitted is not None:
            out.print(f"  asked as {', '.join(told.principals)}", markup=False)
            out.print(f"{'may' if told.permitted else 'may not'} see it: {told.because}.", markup=False)
    if told.permitted is False:
        raise typer.Exit(1)


def allow(
    context: typer.Context,
    document: Document,
    principal: Principal,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a user or a group see documents, beside what the files say. A denial anywhere still beats it."""
    _say(context, document, principal, "allow", why=why, dry_run=dry_run, as_json=as_json)


def deny(
    context: typer.Context,
    document: Document,
    principal: Principal,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Keep documents from a user or a group, whatever the files say; 'everyone' closes them to all."""
    _say(context, document, principal, "deny", why=why, dry_run=dry_run, as_json=as_json)


def _say(
    context: typer.Context, document: str, principal: str, effect: Effect, *, why: str, dry_run: bool, as_json: bool
) -> None:
    done = open_workspace(context).access().say(document, principal, effect, why=why, dry_run=dry_run)
    if as_json:
        write_json(done.to_json())
        return
    verb = "would change" if dry_run else "changed"
    console().print(f"{effect} {principal} for {document}: access of {_count(done.changed)} {verb}", markup=False)


def reset(
    context: typer.Context,
    document: Document,
    principal: Annotated[
        str | None, typer.Argument(help="Only what was said of this one.", metavar="PRINCIPAL")
    ] = None,
    why: Why = "",
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Take back what was said with `allow` and `deny` of exactly this document or pattern; the files decide again."""
    count = open_workspace(context).access().reset(document, principal, why=why, dry_run=dry_run)
    if as_json:
        write_json({"pattern": document, "taken_back": count, "dry_run": dry_run})
        return
    verb = "would be taken back" if dry_run else "taken back"
    console().print(f"{count} {'rule' if count == 1 else 'rules'} of {document} {verb}", markup=False)


def sync(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Read steelyard.toml, access.toml and groups.toml again and put them in force, without reading a document."""
    done = open_workspace(context).access().sync()
    if as_json:
        write_json(done.to_json())
        return
    groups = "groups changed" if done.groups_changed else "groups unchanged"
    console().print(f"access of {_count(done.changed)} changed; {groups}", markup=False)


def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many of the newest changes.", metavar="N", min=1)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List who changed access, groups or erasures, when and why; the list is only ever added to."""
    found = open_workspace(context).access().history(limit)
    if as_json:
        write_json({"changes": [one.to_json() for one in found]})
        return
    out = console()
    for one in found:
        principal = one.detail.get("principal")
        what = " ".join(part for part in (one.kind, one.subject, str(principal) if principal else "") if part)
        out.print(f"{one.at:%Y-%m-%d %H:%M:%S} {one.by}: {what}{f' ({one.why})' if one.why else ''}", markup=False)


def _count(documents: Sequence[str]) -> str:
    return f"{len(documents):,} document{'' if len(documents) == 1 else 's'}"


def _said(access: Access) -> str:
    allowed = ", ".join(access.allow) or "nobody"
    denied = f"; not {', '.join(access.deny)}" if access.deny else ""
    return allowed + denied
