"""The command tree and its error handling; loads a command's libraries only when the command runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import asking, data, decide, inspecting, measuring, prices, starting, tco, weighing
from steelyard.schema.errors import DataError, SteelyardError

HELP = """Weighs fine-tuning against retrieval on your own data, and says what to run for each part of your system and why.

Start with `steelyard demo`, or decide without data: `steelyard decide`.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
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


for room in (starting, decide, tco, prices, data, asking, weighing, inspecting, measuring):
    room.register(app)


def run() -> None:
    """Run the command; every expected error becomes its text and exit code, never a traceback."""
    try:
        app()
    except SteelyardError as error:
        _show(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was finished is kept, run the command again to go on.\n")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe has left (`| head`); that is not an error of ours.
        sys.stderr.close()
        sys.exit(0)


def _show(error: SteelyardError) -> None:
    if "--json" in sys.argv:
        import json

        body: dict[str, object] = {"error": error.to_json()}
        if isinstance(error, DataError):
            body["findings"] = [finding.to_json() for finding in error.findings]
        sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stderr.write(f"error: {error}\n")
    if isinstance(error, DataError):
        for finding in error.findings[:50]:
            sys.stderr.write(f"  {finding.line()}\n")
        if len(error.findings) > 50:
            sys.stderr.write(f"  ... and {len(error.findings) - 50} more; `steelyard check --json` lists all.\n")
