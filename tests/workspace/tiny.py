"""The tool library: a whole workspace by hand, small enough for a test to build it, weigh it and break it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from steelyard.schema.weighing import WeighReport
from steelyard.workspace import Workspace
from steelyard.workspace.assembling import weigh_workspace
from steelyard.workspace.parts import Parts

FILES = Path(__file__).parent / "tool_library"


def lay_out(folder: Path) -> Path:
    """A fresh copy in `folder`, nothing derived yet; returns `folder`."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    return folder


FEW = {
    "intent": ("majority", "knn", "linear"),
    "answer": ("closed-book", "rag-bm25", "rag-hybrid"),
    "reply": ("template", "exemplar", "tuned-selector"),
}
"""Candidates that show every approach and are fitted in a moment."""


def slimmed(folder: Path) -> Path:
    """Keep to `FEW` candidates and an index in memory; returns `folder`."""
    settings = folder / "steelyard.toml"
    for component, names in FEW.items():
        listed = ", ".join(f'"{name}"' for name in names)
        replace_in(settings, f"[components.{component}]\n", f"[components.{component}]\ncandidates = [{listed}]\n")
    settings.write_text(settings.read_text(encoding="utf-8") + '\n[corpus]\nstore = "memory"\n', encoding="utf-8")
    return folder


def replace_in(path: Path, old: str, new: str) -> None:
    """Replace the one place where `old` stands in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@lru_cache(maxsize=1)
def weighed_once() -> Path:
    """A slimmed tool library that was weighed with its report written; the same for all tests, so copy it before a change."""
    folder = Path(tempfile.mkdtemp(prefix="tool-library-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    slimmed(lay_out(folder))
    Workspace(folder).weigh()
    return folder


def weigh(folder: Path, names: Sequence[str] = (), *, seed: int | None = None) -> WeighReport:
    """Weigh without writing the report: most of what an unchanged weigh takes is drawing its curves."""
    workspace = Workspace(folder)
    parts = Parts(folder, workspace.settings, workspace.state)
    return weigh_workspace(parts, names, budget_s=None, seed=seed, report=lambda *_: None)


def steelyard(*arguments: str, timeout: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, one thread, nothing in the terminal's colours."""
    return subprocess.run(
        [sys.executable, "-m", "steelyard", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **environment},
    )
