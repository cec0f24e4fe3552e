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
