"""The command tree and its error handling; loads a command's libraries only when the command runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from steelyard.cli import (
    access,
    asking,
    audit,
    backing_up,
    backtesting,
    corpus,
    data,
    data_group,
    decide,
    inspecting,
    judging,
    keys,
    measuring,
    prices,
    releasing,
    reviewing,
    serving,
    starting,
    tco,
    trying,
    tuning,
    versions,
    weighing,
)
from steelyard.cli.lean import lean, listing
from steelyard.cli.printable import json_safe, printable
from steelyard.schema.errors import BrokenError, DataError, SteelyardError, UserError
from steelyard.schema.findings import Finding

HELP = """Weighs fine-tuning against retrieval on your own data, and says what to run for each part of your system and why.

Start with `steelyard demo`, or decide without data: `steelyard decide`.
"""

STOPPED = 130
"""What a shell shows for a command stopped from the keyboard."""

SHOWN_FINDINGS = 50

COMPLETION = "_STEELYARD_COMPLETE"
"""Set where a shell asks what may come next, which needs every command's options."""

USAGE_ERRORS = cast(type[Exception], typer.BadParameter.__mro__[1])
"""The base of wrong usage: unknown options, missing arguments, values that cannot be read."""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from steelyard.version import __version__

        typer.echo(f"steelyard {__version__}")
        raise typer.Exit


@app.callback()
def _workspace(
    context: typer.Context,
    workspace: Annotated[
        Path, typer.Option("-w", "--workspace", help="The workspace folder (holds steelyard.toml).", metavar="DIR")
    ] = Path(),
    version: Annotated[  # noqa: ARG001 - typer calls `_version` for it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = workspace


for room in (
    starting,
    decide,
    tco,
    prices,
    data,
    data_group,
    corpus,
    access,
    asking,
    weighing,
    judging,
    backtesting,
    releasing,
    trying,
    serving,
    reviewing,
    versions,
    tuning,
    keys,
    audit,
    backing_up,
    inspecting,
    measuring,
):
    room.register(app)


def run() -> None:
    """Run the command; every error becomes text (JSON with `--json`) and an exit code, a traceback only where it is our bug."""
    as_json = "--json" in sys.argv
    if sys.argv[1:] in (["--help"], ["-h"]) and COMPLETION not in os.environ:
        typer.echo(listing(app, shutil.get_terminal_size((100, 24)).columns))
        return
    try:
        # Left to itself, typer prints usage errors as text; with --json they come back to be printed as JSON.
        tree = app if COMPLETION in os.environ else lean(app, sys.argv[1:])
        code = tree(standalone_mode=not as_json)
        sys.exit(code if isinstance(code, int) else 0)
    except SteelyardError as error:
        findings = error.findings if isinstance(error, DataError) else ()
        _show(error, findings, as_json=as_json)
        sys.exit(error.exit_code)
    except SystemExit as exit_:
        if exit_.code == STOPPED:
            sys.stderr.write("stopped; what was finished is kept, run the command again to go on.\n")
        raise
    except USAGE_ERRORS as error:
        _show(_usage(error), (), as_json=as_json)
        sys.exit(UserError.exit_code)
    except OSError as error:
        _show(_from_system(error), (), as_json=as_json)
        sys.exit(BrokenError.exit_code)
    except Exception as error:
        import traceback

        sys.stderr.write(printable(traceback.format_exc()))
        _show(_bug(error), (), as_json=as_json)
        sys.exit(BrokenError.exit_code)


def _usage(error: Exception) -> UserError:
    message = getattr(error, "format_message", lambda: str(error))()
    return UserError(message, remedy="See `steelyard COMMAND --help`.", code="cli.usage")


def _from_system(error: OSError) -> BrokenError:
    where = str(error.filename) if error.filename else ""
    remedy = "Check its permissions and the space left on the disk, then run the command again."
    return BrokenError(f"{error.strerror or error}.", where=where, remedy=remedy, code="steelyard.system")


def _bug(error: Exception) -> BrokenError:
    remedy = "This is a bug in Steelyard; what was finished is kept. Please report the lines above it."
    return BrokenError(f"{type(error).__name__}: {error}", remedy=remedy, code="steelyard.bug")


def _show(error: SteelyardError, findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        import json

        body: dict[str, object] = {"error": error.to_json()}
        if findings:
            body["findings"] = [finding.to_json() for finding in findings]
        sys.stdout.write(json_safe(json.dumps(body, indent=2, ensure_ascii=False)) + "\n")
        return
    sys.stderr.write(f"error: {printable(str(error))}\n")
    for finding in findings[:SHOWN_FINDINGS]:
        sys.stderr.write(f"  {printable(finding.line())}\n")
    if len(findings) > SHOWN_FINDINGS:
        sys.stderr.write(f"  ... and {len(findings) - SHOWN_FINDINGS} more; `steelyard check --json` lists all.\n")
