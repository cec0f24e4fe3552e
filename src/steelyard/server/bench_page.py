"""The page benchmark: how long a moved number takes to become a decided page, over HTTP, on the example workspace."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any

from steelyard.evaluation.served_workspace import example_workspace

MOVES = 40
WARM_UPS = 5
QUERIES = (300, 3_000, 30_000, 300_000, 3_000_000)

MOVED: Mapping[str, tuple[float, ...]] = {
    "volume": QUERIES,
    "update rate": (1, 12, 52, 365),
    "error cost": (0.1, 1, 4, 20),
    "price of an hour": (30, 60, 95, 160),
}
"""What is moved, and to where in turn; no two requests in a row ask the same."""

INPUTS: Mapping[str, str] = {
    "volume": "queries_per_month",
    "update rate": "updates_per_year_answer",
    "error cost": "wrong_answer_usd",
    "price of an hour": "hour_usd",
}


def bench_page(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Milliseconds from a moved number to the finished fragment, through the whole server; needs no data.

    On the example workspace, weighed; requests come one after the other over a keep-alive connection on this machine.
    """
    del data_root
    return {"name": "page", "rows": time_moves(example_workspace(cache / "serve-workspace"), progress)}


def time_moves(folder: Path, progress: Callable[[int, int], None], moves: int = MOVES) -> list[dict[str, Any]]:
    """A row for each kind of number: median, 95th percentile and longest, in milliseconds."""
    from fastapi.testclient import TestClient

    from steelyard.server.app import make_app

    app = make_app(folder)
    rows = []
    with TestClient(app, base_url="http://127.0.0.1") as client:
        _, key = app.state.site.identity.keys.create(f"page bench {time_ns()}", roles=("operate",))
        client.headers["authorization"] = f"Bearer {key}"
        for done, (what, values) in enumerate(MOVED.items(), start=1):
            taken = [_ms(client, INPUTS[what], values[at % len(values)]) for at in range(WARM_UPS + moves)][WARM_UPS:]
            rows.append(
                {
                    "moved": what,
                    "requests": moves,
                    "median_ms": round(statistics.median(taken), 1),
                    "p95_ms": round(sorted(taken)[int(0.95 * (moves - 1))], 1),
                    "longest_ms": round(max(taken), 1),
                    "cores": os.cpu_count(),
                }
            )
            progress(done, len(MOVED))
    return rows


def _ms(client: Any, name: str, value: float) -> float:
    begun = perf_counter()
    answer = client.get("/decision/moved", params={name: value})
    taken = (perf_counter() - begun) * 1000
    answer.raise_for_status()
    return taken
