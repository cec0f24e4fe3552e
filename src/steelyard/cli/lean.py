"""A command tree with one command built whole: the others keep their names and their help, and cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from inspect import getdoc

import typer
from typer.models import CommandInfo, TyperInfo

WITH_VALUE = frozenset({"-w", "--workspace"})
"""The options before the command that take the next argument."""


def named_command(arguments: Sequence[str]) -> str | None:
    """The command that the arguments name; None where none stands there."""
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in WITH_VALUE:
            skip = True
        elif not argument.startswith("-"):
            return argument
    return None


def lean(app: typer.Typer, arguments: Sequence[str]) -> typer.Typer:
    """The same tree, in which only the command that the arguments name has its options and sub-commands; `app` stays as it is.

    Reading the signatures of every command takes longer than most commands; a listing needs only their names and first sentences.
    """
    wanted = named_command(arguments)
    made = copy(app)
    made.registered_commands = [_light(info) if _name(info) != wanted else info for info in app.registered_commands]
    made.registered_groups = [group for group in app.registered_groups if group.name == wanted]
    for group in app.registered_groups:
        if group.name != wanted:
            made.command(group.name, help=_told(group), rich_help_panel=_text(group.rich_help_panel))(_nothing)
    return made


def listing(app: typer.Typer, columns: int) -> str:
    """The help of the whole tree in plain text, by panels: the libraries that draw boxes take longer to load than all the rest."""
    import textwrap

    group = typer.main.get_command(lean(app, ["--help"]))
    panels: dict[str, list[tuple[str, str]]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        told = _first_paragraph(command.help)
        panel = getattr(command, "rich_help_panel", None)
        panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, told))
    panels["Options"] = [(", ".join(one.opts), getattr(one, "help", None) or "") for one in group.params]
    panels["Options"].append(("-h, --help", "Show this message and exit; after a command, its own help."))
    wide = max(len(name) for rows in panels.values() for name, _ in rows) + 4
    lines = ["Usage: steelyard [OPTIONS] COMMAND [ARGS]...", ""]
    for paragraph in (group.help or "").strip().split("\n\n"):
        lines += [*textwrap.wrap(" ".join(paragraph.split()), columns), ""]
    for panel, rows in panels.items():
        lines.append(f"{panel}:")
        for name, told in rows:
            wrapped = textwrap.wrap(told, max(20, columns - wide)) or [""]
            lines.append(f"  {name:<{wide - 2}}{wrapped[0]}".rstrip())
            lines += [" " * wide + line for line in wrapped[1:]]
        lines.append("")
    return "\n".join(lines)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def _light(info: CommandInfo) -> CommandInfo:
    made = copy(info)
    made.name = _name(info)
    made.help = info.help or getdoc(info.callback)
    made.callback = _nothing
    return made


def _name(info: CommandInfo) -> str:
    return info.name or getattr(info.callback, "__name__", "").replace("_", "-")


def _told(group: TyperInfo) -> str | None:
    inner = group.typer_instance
    if inner is None:
        return None
    callback = inner.registered_callback.callback if inner.registered_callback else None
    return _text(inner.info.help) or (getdoc(callback) if callback else None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _nothing() -> None:
    """Stand in for a command that is not run."""
