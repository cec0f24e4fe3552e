"""`steelyard keys`: what a person at a terminal sees of keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.schema.errors import UserError
from steelyard.workspace import Workspace
from steelyard.workspace.keeping_keys import lifetime


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steelyard.toml").write_text("[workspace]\nname = 'w'\n")
    return tmp_path


def said(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["-w", str(folder), "keys", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_token_is_shown_once_and_works(folder: Path) -> None:
    text = said(folder, "create", "helpdesk", "--user", "ada", "--group", "staff")
    token = text.splitlines()[0]
    assert Workspace(folder).keys().identify(token).user == "ada"
    assert token not in said(folder, "list")
    assert token not in said(folder, "list", "--json")


def test_the_list_says_who_a_key_stands_for_and_its_state(folder: Path) -> None:
    said(folder, "create", "helpdesk", "--group", "staff")
    said(folder, "rotate", "helpdesk", "--overlap", "1h")
    said(folder, "create", "bot", "--expires", "never")
    said(folder, "revoke", "bot", "--why", "lost")
    rows = json.loads(said(folder, "list", "--json"))["keys"]
    assert [(row["name"], row["state"]) for row in rows] == [
        ("helpdesk", "active"),
        ("helpdesk", "active"),
        ("bot", "revoked"),
    ]
    assert rows[0]["successor"] == rows[1]["id"]
    assert "stands for" in said(folder, "list")


def test_rotation_gives_a_new_token_in_json(folder: Path) -> None:
    first = json.loads(said(folder, "create", "helpdesk", "--json"))
    second = json.loads(said(folder, "rotate", first["key"]["id"], "--json"))
    assert second["old"]["id"] == first["key"]["id"]
    assert second["token"] != first["token"]


@pytest.mark.parametrize("text", ["", "90", "d", "-3d", "3 years", "99999999d"])
def test_a_lifetime_is_a_number_with_a_unit(text: str) -> None:
    with pytest.raises(UserError, match="no length of time"):
        lifetime(text)
