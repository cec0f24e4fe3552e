"""The gates benchmark: simulated promotions of candidates that are truly worse, equal and better, by rows and how much versions differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard.metrics.planted_promotions import STATED_ROWS, planted_promotions

TRIALS = 1_000
ROWS = (300, 600, STATED_ROWS, 2_400)
GAINS = (-0.02, -0.01, 0.0, 0.02)
SHARED = (0.6, 0.9)
"""Two different candidates differ on about one row in seven; two fits of one candidate on one in fifteen."""


def bench_gates(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """How often a candidate of known quality passes two guarded metrics, with Wilson intervals; needs no data."""
    del data_root, cache
    cases = [(shared, rows, gain) for shared in SHARED for rows in ROWS for gain in GAINS]
    found = []
    for done, (shared, rows, gain) in enumerate(cases, start=1):
        found.append(planted_promotions(gain=gain, rows=rows, trials=TRIALS, seed=11, shared=shared).to_json())
        progress(done, len(cases))
    return {"name": "gates", "rows": found}
