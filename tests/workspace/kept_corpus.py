"""A weighed tool library whose index lies in files: the workspace that is damaged, erased from and filled up."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from steelyard.workspace import Workspace
from workspace.tiny import lay_out, replace_in, slimmed

STATE = ".steelyard"


@lru_cache(maxsize=1)
def weighed_on_disk() -> Path:
    """Two generations, fitted candidates, run records and a decision; the same for all tests, so copy it before a change."""
    folder = Path(tempfile.mkdtemp(prefix="kept-corpus-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    slimmed(lay_out(folder))
    replace_in(folder / "steelyard.toml", 'store = "memory"', 'store = "lance"')
    Workspace(folder).ingest()
    (folder / "docs" / "notice.md").write_text("# Notice\n\nThe back entrance is closed in winter.\n", encoding="utf-8")
    Workspace(folder).ingest()
    Workspace(folder).weigh()
    Workspace(folder).compact()  # what is left in the index is in use
    return folder


def copied(to: Path) -> Path:
    """A copy that a test may change; files keep their dates."""
    return Path(shutil.copytree(weighed_on_disk(), to))


def files(folder: Path, pattern: str) -> list[Path]:
    """The files of the state folder that match, in order."""
    found = sorted(path for path in (folder / STATE).glob(pattern) if path.is_file())
    assert found, f"no file matches {pattern}"
    return found
