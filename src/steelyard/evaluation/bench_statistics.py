"""The statistics benchmark: planted twins and a planted winner, found or not, in seeded trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard.metrics.planted import planted_trials

TRIALS = 200
ITEMS = (250, 500, 1000)


def bench_statistics(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """How often twins come out as no difference and a winner by 8 points is found, by holdout size; needs no data."""
    del data_root, cache
    rows = []
    for done, items in enumerate(ITEMS, start=1):
        rows.append(planted_trials(trials=TRIALS, items=items, seed=7).to_json())
        progress(done, len(ITEMS))
    return {"name": "statistics", "rows": rows}
