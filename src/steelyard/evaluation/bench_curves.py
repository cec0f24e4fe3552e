"""`steelyard bench curves`: forecasts from half of the labels, held against what all of them brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.classify_router import LinearRouter
from steelyard.candidates.interface import Tools
from steelyard.evaluation.bench_router import OUTSIDE, read_intents
from steelyard.metrics.learning_curve import gain_between, resampled_laws, score_at
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.items import Item

SETS = ("banking77", "clinc150")
SEEDS = (1, 2, 3)
SHARES = ((0.1, 5), (0.25, 4), (0.5, 3), (1.0, 1))
SCORED = 1000
INNER = 5


def bench_curves(data_root: Path, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """`linear` learns from 10, 25, 50 and 100 % of half the training rows; the law foretells all of them; then all are learned from.

    1,000 of the training rows are set aside to score on; test files are not touched. `held`: the accuracy measured with all rows lies in
    the interval foretold. `zero_gain_error` is how far off it would have been to expect no gain at all.

    Raises:
        NotFoundError: a data set is not there.
    """
    encoder = CachedEncoder(load_encoder("minilm"), cache / "bench-router-vectors.sqlite")
    tools = Tools(encoder=encoder, out_of_scope_label=OUTSIDE)
    rows: list[dict[str, Any]] = []
    for name in SETS:
        items = [item for item in read_intents(data_root / name / "train.jsonl.gz") if item.label != OUTSIDE]
        for seed in SEEDS:
            rows.append({"dataset": name, "draw": seed, **_one(items, tools, seed)})
            progress(len(rows), len(SETS) * len(SEEDS))
    return {"name": "curves", "encoder": encoder.name, "rows": rows}


def _one(items: Sequence[Item], tools: Tools, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    order = [items[at] for at in rng.permutation(len(items)).tolist()]
    scored, pool = order[:SCORED], order[SCORED:]
    half = pool[: len(pool) // 2]
    errors: list[NDArray[np.float64]] = []
    sizes: list[int] = []
    for share, draws in SHARES:
        size = round(share * len(half))
        picks = [[half[at] for at in rng.permutation(len(half))[:size].tolist()] for _ in range(draws)]
        errors.append(np.array([_errors(rows, scored, tools) for rows in picks]))
        sizes.append(size)
    found = resampled_laws(sizes, errors, seed=seed)
    gain = gain_between(found.law, found.laws, len(half), len(pool), still_learning=found.still_learning)
    foretold = score_at(found.law, found.laws, len(pool))
    whole = 1.0 - float(_errors(pool, scored, tools).mean())
    now = 1.0 - float(errors[-1].mean())
    return {
        "labels": len(half),
        "accuracy": round(now, 4),
        "labels_then": len(pool),
        "foretold": round(foretold.mean, 4),
        "low": round(foretold.low, 4),
        "high": round(foretold.high, 4),
        "measured": round(whole, 4),
        "held": foretold.low <= whole <= foretold.high,
        "gain_foretold": round(gain.mean, 4),
        "gain_measured": round(whole - now, 4),
        "error": round(abs(foretold.mean - whole), 4),
        "zero_gain_error": round(abs(now - whole), 4),
    }


def _errors(rows: Sequence[Item], scored: Sequence[Item], tools: Tools) -> NDArray[np.float64]:
    learned = [item for at, item in enumerate(rows) if at % INNER != INNER - 1]
    held = [item for at, item in enumerate(rows) if at % INNER == INNER - 1]
    outputs = LinearRouter(tools).fit(learned, held).predict_many([item.text for item in scored])
    return np.array([float(out.label != item.label) for out, item in zip(outputs, scored, strict=True)])
