"""Every command explains itself, at once and without loading what only its work needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from steelyard.cli.app import app
from workspace.tiny import steelyard

HEAVY = ("numpy", "scipy", "torch", "transformers", "sklearn", "lancedb", "pyarrow", "onnxruntime", "altair", "pandas")
COMMANDS = sorted(
    [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    + [group.name for group in app.registered_groups if group.name]
)


def test_the_commands_of_the_contract_are_there() -> None:
    wanted = {
        "demo",
        "init",
        "decide",
        "tco",
        "check",
        "ingest",
        "ask",
        "route",
        "train",
        "weigh",
        "versions",
        "status",
    }

    assert {*wanted, "config", "bench"} <= set(COMMANDS)


def test_helps_load_nothing_heavy() -> None:
    calls = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    # One process for all: what any of them loads stays loaded, and the first one to do so is named.
    code = (
        "import sys\nfrom steelyard.cli import main\n"
        f"for arguments in {calls!r}:\n"
        "    sys.argv = ['steelyard', *arguments]\n"
        "    try:\n        main()\n    except SystemExit as stop:\n        assert not stop.code, arguments\n"
        f"    loaded = set({HEAVY!r}) & set(sys.modules)\n"
        "    assert not loaded, (arguments, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_says_what_the_command_does_and_every_option_for_what(name: str) -> None:
    click = typer.main.get_command(app)
    command = click.commands[name]  # type: ignore[attr-defined]

    assert command.help
    assert len(command.help.splitlines()[0]) > 20
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("columns", ["80", "140"])
def test_the_first_page_fits_the_terminal(columns: str) -> None:
    done = steelyard("--help", COLUMNS=columns)

    assert done.returncode == 0
    assert max(len(line) for line in done.stdout.splitlines()) <= int(columns)
    assert "steelyard demo" in done.stdout
