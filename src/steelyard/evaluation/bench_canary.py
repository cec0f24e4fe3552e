"""The canary benchmark: planted faults and twins, how often each is stopped, and how soon."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard.metrics.planted_canaries import FAULTS, planted_canaries

TRIALS = 2_000
SHARES = (0.05, 0.25)
REQUESTS = 50_000

TRIALS_VARIABLE = "STEELYARD_CANARY_TRIALS"
"""Names fewer simulated canaries a line, for a quick look."""


def bench_canary(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Share of simulated canaries that are stopped, with Wilson intervals, and the median delay in requests; needs no data."""
    del data_root, cache
    trials = int(os.environ.get(TRIALS_VARIABLE, str(TRIALS)))
    cases = [(share, fault) for share in SHARES for fault in FAULTS]
    rows = []
    for done, (share, fault) in enumerate(cases, start=1):
        rows.append(planted_canaries(fault, share=share, requests=REQUESTS, trials=trials, seed=5).to_json())
        progress(done, len(cases))
    return {"name": "canary", "rows": rows}
