"""Where the optional real data sets are; tests that need one skip with a reason when it is absent."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest


def shared_data(name: str) -> Path:
    root = Path(os.environ.get("STEELYARD_SHARED", Path(__file__).parents[2] / "shared")) / "data" / name
    if not root.is_dir():
        pytest.skip(f"the data set '{name}' is not present (set STEELYARD_SHARED to the folder that holds data/)")
    return root


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
