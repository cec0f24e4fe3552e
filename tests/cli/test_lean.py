"""Building one command alone changes nothing that anybody sees."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.cli.lean import lean, listing, named_command


def _printed(tree: typer.Typer, *arguments: str) -> str:
    return CliRunner().invoke(tree, list(arguments), env={"COLUMNS": "100"}).output


def test_the_listing_is_that_of_the_whole_tree() -> None:
    whole = sorted(_printed(app, "--help").splitlines())

    assert sorted(_printed(lean(app, ["--help"]), "--help").splitlines()) == whole


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_plain_listing_names_every_command_with_what_it_does_and_fits(columns: int) -> None:
    printed = listing(app, columns)

    whole = typer.main.get_command(app)
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        first = (command.help or "").strip().split("\n\n")[0].split()[:3]
        assert any(line.split()[:4] == [name, *first] for line in printed.splitlines()), name
    assert {"Commands:", "Decide without data:", "Options:"} <= set(printed.splitlines())
    assert max(map(len, printed.splitlines())) <= columns


@pytest.mark.parametrize("name", ["ask", "access", "versions", "weigh"])
def test_the_named_command_has_all_its_options_and_the_whole_tree_is_left_as_it_was(name: str) -> None:
    before = _printed(app, name, "--help")

    assert _printed(lean(app, ["-w", "x", name, "--help"]), name, "--help") == before
    assert _printed(app, name, "--help") == before


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["ask", "status"], "ask"),
        (["-w", "status", "ask"], "ask"),
        (["--workspace=x", "ask"], "ask"),
        (["--help"], None),
        ([], None),
        (["-w", "x"], None),
    ],
)
def test_the_command_is_the_first_argument_that_is_no_option(arguments: list[str], name: str | None) -> None:
    assert named_command(arguments) == name
