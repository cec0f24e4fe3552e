"""Workspaces of the tool library: laid out, and weighed once for all tests that only look at it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workspace.tiny import lay_out, slimmed, weighed_once


@pytest.fixture
def tool_library(tmp_path: Path) -> Path:
    """A fresh tool library with a few candidates of each component; nothing is derived yet."""
    return slimmed(lay_out(tmp_path / "tool-library"))


@pytest.fixture
def weighed(tmp_path: Path) -> Path:
    """A tool library that was weighed before; a copy, so a test may change it."""
    return Path(shutil.copytree(weighed_once(), tmp_path / "weighed"))
