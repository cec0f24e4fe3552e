"""`keys`: who may call the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, write_json

if TYPE_CHECKING:
    from steelyard.schema.callers import ApiKey

PANEL = "Serving"

Key = Annotated[str, typer.Argument(help="The key's id or name.", metavar="KEY")]
Why = Annotated[str, typer.Option(help="The reason, for the history.", metavar="TEXT")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    room = typer.Typer(
        help="Make, list, rotate and revoke the API keys that may call the server; every change counts from the next request.",
        no_args_is_help=True,
    )
    room.command("create")(create)
    room.command("list")(list_keys)
    room.command("rotate")(rotate)
    room.command("revoke")(revoke)
    app.add_typer(room, name="keys", rich_help_panel=PANEL)


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what will use it, e.g. helpdesk.", metavar="NAME")],
    user: Annotated[str | None, typer.Option(help="The user who asks with it.", metavar="U")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A group the asker is in; repeat for more.", metavar="G")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="ask (questions, search) or operate (corpus, models, quality, audit, release); repeat for both. Default: ask.",
            metavar="ROLE",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long it counts: a number with m, h, d or w, or never.", metavar="TIME")
    ] = "90d",
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Make a key and show its token, this once: only a hash of it is stored."""
    from steelyard.workspace.keeping_keys import lifetime

    made, token = (
        open_workspace(context)
        .keys()
        .create(name, user=user, groups=group or [], roles=role or ["ask"], expires=lifetime(expires), why=why)
    )
    if as_json:
        write_json({"key": made.to_json(), "token": token})
        return
    _show_token(made, token)


def list_keys(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List every key with who it stands for and until when it counts; no secret is stored that could be shown."""
    from steelyard.registry.versions import utc_now

    found, now = open_workspace(context).keys().all(), utc_now()
    if as_json:
        write_json({"keys": [{**one.to_json(), "state": one.state(now)} for one in found]})
        return
    out = console()
    if not found:
        out.print("There are no keys yet: `steelyard keys create NAME` makes one.", markup=False)
        return
    from steelyard.cli.layout import table

    shown = table("key", "name", "stands for", "may", "until", "state")
    for column in shown.columns[1:]:
        column.no_wrap = False
    for one in found:
        state = one.state(now)
        colour = "green" if state == "active" else "dim"
        until = (one.revoked or one.expires or "")[:16].replace("T", " ") or "revoked"
        said = f"[{colour}]{state}[/{colour}]" + (f", see {one.successor}" if one.successor else "")
        shown.add_row(one.id, one.name, _asker(one), ", ".join(one.roles), until, said)
    out.print(shown)


def rotate(
    context: typer.Context,
    key: Key,
    overlap: Annotated[
        str, typer.Option(help="How long the old key still counts: a number with m, h, d or w.", metavar="TIME")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option(help="How long the new key counts; default: as long as the old one.", metavar="TIME")
    ] = None,
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Make a key in place of another, with the same rights; both count until the overlap ends."""
    from datetime import timedelta

    from steelyard.workspace.keeping_keys import lifetime

    made, old, token = (
        open_workspace(context)
        .keys()
        .rotate(
            key,
            overlap=lifetime(overlap) or timedelta(0),
            expires=None if expires is None else lifetime(expires),
            why=why,
        )
    )
    if as_json:
        write_json({"key": made.to_json(), "token": token, "old": old.to_json()})
        return
    _show_token(made, token)
    console().print(f"key {old.id} counts until {_when(old)}.", markup=False)


def revoke(context: typer.Context, key: Key, why: Why = "", as_json: JsonFlag = False) -> None:
    """Let a key count no longer, from the next request on, in every server process."""
    done = open_workspace(context).keys().revoke(key, why=why)
    if as_json:
        write_json({"key": done.to_json()})
        return
    console().print(f"key {done.id} ('{done.name}') is revoked.", markup=False)


def _show_token(made: ApiKey, token: str) -> None:
    out = console()
    out.print(token, markup=False, soft_wrap=True)
    out.print(
        f"key {made.id} ('{made.name}'): {_asker(made)}; may {' and '.join(made.roles)}; until {_when(made)}.",
        markup=False,
    )
    out.print("Keep the first line: it is not stored and cannot be shown again.", style="dim")


def _asker(key: ApiKey) -> str:
    groups = f"groups {', '.join(key.groups)}" if key.groups else ""
    return " in ".join(part for part in (key.user, groups) if part) or "everyone"


def _when(key: ApiKey) -> str:
    return "it is revoked" if key.expires is None else f"{key.expires[:16].replace('T', ' ')} UTC"
