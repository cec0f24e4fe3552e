"""One run of the example workspace for all pages that need it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_pages import DEMO, checkout, run_bash
from filelock import FileLock


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the README's first command makes. STEELYARD_DOCS_DEMO names one that is there, to write docs faster."""
    given = os.environ.get("STEELYARD_DOCS_DEMO")
    if given:
        return Path(given)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run_demo(checkout(tmp_path_factory.mktemp("demo")))
    # Workers share one run: the first makes it, the others wait.
    shared = tmp_path_factory.getbasetemp().parent / "docs-demo"
    with FileLock(f"{shared}.lock"):
        if not (shared / "whole").exists():
            assert not shared.exists(), "the demo failed in another worker"
            shared.mkdir()
            run_demo(checkout(shared))
            (shared / "whole").touch()
    return shared / DEMO


def run_demo(folder: Path) -> Path:
    done = run_bash("make demo", folder)
    assert done.returncode == 0, done.stderr
    return folder / DEMO


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A checkout where nothing was run yet."""
    return checkout(tmp_path)


@pytest.fixture
def after_demo(fresh: Path, request: pytest.FixtureRequest) -> Callable[[], Path]:
    """A checkout where `make demo` has run; called only by pages that need it."""

    def made() -> Path:
        shutil.copytree(request.getfixturevalue("demo_workspace"), fresh / DEMO, symlinks=True)
        return fresh

    return made
