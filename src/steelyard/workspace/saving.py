"""Writing a candidate so that it is there whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from steelyard.candidates.interface import Candidate


def save_whole(fitted: Candidate, folder: Path) -> None:
    """Write a candidate into `folder`, which appears whole or not at all."""
    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    fitted.save(beside)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
