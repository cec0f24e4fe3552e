"""Worked cases: the package's own, and the shared ones where they are present."""

import json
import os
from pathlib import Path

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("STEELYARD_SHARED", HERE.parents[2] / "shared")) / "vignettes.jsonl"


def load(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def own_cases():
    return load(HERE / "cases.jsonl")


def shared_cases():
    return load(SHARED) if SHARED.is_file() else []
