"""The adapter benchmark: tokens a second of a LoRA tuning, beside plain TRL on the same machine, model, rows, batch and steps."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steelyard.models.encoder import usable_threads
from steelyard.models.planted_causal import planted_causal
from steelyard.schema.errors import MissingExtraError, ModelError

ROWS = 160
"""Ten steps of sixteen rows, in four parts each."""
ROUNDS = 3

VARIABLE = "STEELYARD_BENCH_MODEL"
"""Folder of a model of one's own, for a GPU; without it the model is of random weights."""
ROWS_VARIABLE = "STEELYARD_BENCH_ROWS"
"""Another number of rows, for a quick look."""

SIDES = ("ours", "trl")


def bench_lora(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Alternating rounds of both sides, each in a process of its own; the result is `{"name": "lora", "rows": [...]}`.

    One row a side, medians over the rounds: seconds of all steps, tokens of the rows a second (padding not counted), mean loss; then our
    tokens a second over TRL's, the median over rounds. Uses the GPU where there is one. Needs no data set.

    Raises:
        MissingExtraError: TRL or PEFT is not installed.
        ModelError: a run failed.
    """
    del data_root
    model = Path(os.environ.get(VARIABLE, "")) if os.environ.get(VARIABLE) else planted_causal(cache)
    rows = int(os.environ.get(ROWS_VARIABLE, ROWS))
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(ROUNDS):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            found[side].append(_run(side, model, rows))
            progress(sum(map(len, found.values())), ROUNDS * len(SIDES))
    named = {"ours": "steelyard", "trl": "TRL SFTTrainer"}
    table = [
        {
            "side": named[side],
            "device": runs[0]["device"],
            "threads": usable_threads(),
            "rows": rows,
            "tokens": runs[0]["tokens"],
            "steps": runs[0]["steps"],
            "seconds": round(statistics.median(one["seconds"] for one in runs), 2),
            "tokens_per_second": round(statistics.median(one["tokens"] / one["seconds"] for one in runs)),
            "mean_loss": round(runs[0]["loss"], 4),
        }
        for side, runs in found.items()
    ]
    ratios = [trl["seconds"] / our["seconds"] for our, trl in zip(found["ours"], found["trl"], strict=True)]
    ratio = {
        "ours_over_trl": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "rounds": ROUNDS,
    }
    return {"name": "lora", "rows": [*table, ratio]}


def _run(side: str, model: Path, rows: int) -> dict[str, Any]:
    threads = str(usable_threads())
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-m", "steelyard.evaluation.lora_contest", side, str(model), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == 0:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told
    last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
    if "ModuleNotFoundError" in last[0]:
        raise MissingExtraError(
            f"benchmark 'lora' needs a library that is not installed: {last[0]}",
            remedy="Install it with: pip install 'steelyard[train,lora]' trl.",
            code="bench.missing_extra",
        )
    raise ModelError(
        f"the run of '{side}' failed: {last[0]}",
        remedy="Run it alone to see why: python -m steelyard.evaluation.lora_contest.",
        code="bench.failed",
    )
