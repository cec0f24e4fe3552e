"""Workspaces of the tool library: laid out, and weighed once for all tests that only look at it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from steelyard.workspace import Workspace
from workspace.tiny import lay_out, slimmed


@pytest.fixture
def tool_library(tmp_path: Path) -> Path:
    """A fresh tool library with a few candidates of each component; nothing is derived yet."""
    return slimmed(lay_out(tmp_path / "tool-library"))


@pytest.fixture(scope="session")
def _weighed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = slimmed(lay_out(tmp_path_factory.mktemp("weighed") / "tool-library"))
    Workspace(folder).weigh()
    return folder


@pytest.fixture
def weighed(_weighed_once: Path, tmp_path: Path) -> Path:
    """A tool library that was weighed before; a copy, so a test may change it."""
    return Path(shutil.copytree(_weighed_once, tmp_path / "weighed"))
