"""`steelyard access`: what an operator sees and says, from a terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from steelyard.workspace import Workspace
from workspace.tiny import slimmed, steelyard

FILES = Path(__file__).parents[1] / "workspace" / "tool_library"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = slimmed(Path(shutil.copytree(FILES, tmp_path_factory.mktemp("access") / "tool-library")))
    Workspace(made).ingest()
    return made


def access(folder: Path, *arguments: str):
    return steelyard("-w", str(folder), "access", *arguments)


def told(folder: Path, *arguments: str, code: int = 0):
    done = access(folder, *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_word_of_an_operator_is_shown_explained_and_taken_back(folder: Path) -> None:
    keys = "docs-staff/keys.txt"
    assert told(folder, "show", keys) == {"documents": [{"document": keys, "allow": ["staff"], "deny": []}]}
    before = told(folder, "explain", keys, "--user", "ada", code=1)
    assert (before["permitted"], before["steps"][0]["kind"]) == (False, "source")
    planned = told(folder, "allow", keys, "user:ada", "--dry-run")
    assert (planned["changed"], told(folder, "show", keys)["documents"][0]["allow"]) == ([keys], ["staff"])
    assert told(folder, "allow", keys, "user:ada", "--why", "night duty")["changed"] == [keys]
    after = told(folder, "explain", keys, "--user", "ada")
    assert after["permitted"]
    assert "user:ada" in after["because"]
    told(folder, "deny", "docs-staff/**", "user:ada")
    assert "deny beats allow" in told(folder, "explain", keys, "--user", "ada", code=1)["because"]
    assert told(folder, "reset", "docs-staff/**")["taken_back"] == 1
    assert told(folder, "explain", keys, "--user", "ada")["permitted"]
    changes = told(folder, "history")["changes"]
    assert [(one["kind"], one["subject"], one["why"]) for one in changes[-3:]] == [
        ("allow", keys, "night duty"),
        ("deny", "docs-staff/**", ""),
        ("reset", "docs-staff/**", ""),
    ]


@pytest.mark.slow
def test_a_slip_is_answered_with_the_nearest_name_and_nothing_changes(folder: Path) -> None:
    for arguments in (("show", "docs/fes.txt"), ("explain", "docs/fes.txt"), ("allow", "docs/fes.txt", "staff")):
        done = access(folder, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Did you mean 'docs/fees.txt'?" in done.stderr
    assert access(folder, "allow", "docs/fees.txt", "user:").returncode == 2


@pytest.mark.slow
def test_groups_and_rules_are_read_without_reading_documents(folder: Path) -> None:
    (folder / "groups.toml").write_text('[groups]\nstaff = ["okta:ops"]\n"okta:ops" = ["user:bo"]\n')
    (folder / "docs-staff" / "access.toml").write_text('[[rules]]\nmatch = "till.md"\nallow = ["user:kim"]\n')
    assert told(folder, "sync") == {"changed": ["docs-staff/till.md"], "groups_changed": True}
    assert told(folder, "explain", "docs-staff/donations.md", "--user", "bo")["principals"] == [
        "everyone",
        "okta:ops",
        "staff",
        "user:bo",
    ]
    assert not told(folder, "explain", "docs-staff/till.md", "--user", "bo", code=1)["permitted"]
    (folder / "groups.toml").write_text('[groups]\neveryone = ["user:bo"]\n')
    done = access(folder, "sync")
    assert done.returncode == 2
    assert "groups.toml row 2" in done.stderr
    (folder / "groups.toml").unlink()
    (folder / "docs-staff" / "access.toml").unlink()
    assert told(folder, "sync")["groups_changed"]
