"""The table of benchmarks: names, what each reproduces, and where the data lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from steelyard.schema.errors import MissingExtraError, NotFoundError, UserError, nearest
from steelyard.schema.progress import Report

DATA_VARIABLE = "STEELYARD_SHARED"

SETS_VARIABLE = "STEELYARD_BENCH_SETS"
"""Parts of a benchmark to run, comma-separated (default all), for those whose rows say their `part`."""

BENCHMARKS: Mapping[str, str] = {
    "router": "steelyard.evaluation.bench_router:bench_router",
    "retrieval": "steelyard.evaluation.bench_retrieval:bench_retrieval",
    "page": "steelyard.server.bench_page:bench_page",
    "chunking": "steelyard.evaluation.bench_chunking:bench_chunking",
    "answer": "steelyard.evaluation.bench_answer:bench_answer",
    "rag-tuned": "steelyard.evaluation.bench_rag_tuned:bench_rag_tuned",
    "finetune": "steelyard.evaluation.bench_finetune:bench_finetune",
    "labels": "steelyard.evaluation.bench_labels:bench_labels",
    "curves": "steelyard.evaluation.bench_curves:bench_curves",
    "data": "steelyard.evaluation.bench_data:bench_data",
    "statistics": "steelyard.evaluation.bench_statistics:bench_statistics",
    "backtest": "steelyard.evaluation.bench_backtest:bench_backtest",
    "money": "steelyard.evaluation.bench_money:bench_money",
    "replay": "steelyard.evaluation.bench_replay:bench_replay",
    "gates": "steelyard.evaluation.bench_gates:bench_gates",
    "canary": "steelyard.evaluation.bench_canary:bench_canary",
    "serving-form": "steelyard.evaluation.bench_serving_form:bench_serving_form",
    "audit": "steelyard.evaluation.bench_audit:bench_audit",
    "durability": "steelyard.evaluation.bench_durability:bench_durability",
    "freshness": "steelyard.evaluation.bench_freshness:bench_freshness",
    "writer": "steelyard.evaluation.bench_writer:bench_writer",
    "search": "steelyard.evaluation.bench_search:bench_search",
    "store": "steelyard.evaluation.bench_store:bench_store",
    "store-large": "steelyard.evaluation.bench_store:bench_store_large",
    "ingest": "steelyard.evaluation.bench_ingest:bench_ingest",
    "generate": "steelyard.evaluation.bench_generate:bench_generate",
    "serve": "steelyard.evaluation.bench_serve:bench_serve",
    "lora": "steelyard.evaluation.bench_lora:bench_lora",
    "foresight": "steelyard.workspace.bench_foresight:bench_foresight",
}

PLANTED = ("data", "statistics", "gates", "canary", "audit", "durability", "freshness", "store", "store-large")
NEED_NO_DATA = frozenset({*PLANTED, "money", "generate", "serve", "page", "lora", "foresight"})
"""Benchmarks whose truth is planted."""

WITH_PEERS = frozenset({"store", "store-large", "ingest", "serve", "finetune"})
"""Benchmarks whose peers live in a Python of their own: their libraries would not fit beside ours."""

WITH_MINUTES = frozenset({"serve"})
"""Benchmarks that can go on for a while: how long is said with the command."""

BY_NAME_ONLY = frozenset({"store-large"})
"""Benchmarks that `all` leaves out: they need much time and disk."""


def run_benchmark(
    name: str, data: Path | None, report: Report, peers: Path | None = None, minutes: float = 0.0
) -> dict[str, Any]:
    """Run one benchmark, or `all` (without the largest); the result has `name` and `rows`.

    `data` is the folder with a subfolder per data set; by default the one that STEELYARD_SHARED names, else `../shared/data`. `peers` is
    a Python interpreter with the peers' libraries; what it lacks is a row that says how to install it. `minutes` is how
    long a benchmark of WITH_MINUTES goes on with its soak; 0: without one.

    Raises:
        NotFoundError: no such benchmark; the nearest is named.
        UserError: the data folder does not exist.
        MissingExtraError: a peer's library is not installed.
    """
    if name != "all" and name not in BENCHMARKS:
        near = nearest(name, list(BENCHMARKS))
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(BENCHMARKS)}, all."
        raise NotFoundError(f"there is no benchmark '{name}'.", remedy=hint, code="bench.unknown")
    wanted = [one for one in BENCHMARKS if one not in BY_NAME_ONLY] if name == "all" else [name]
    # Asked for only where it is needed: planted truths need no data set.
    folder = data_folder() if data is None and not set(wanted) <= NEED_NO_DATA else data
    cache = _cache()
    rows: list[dict[str, Any]] = []
    for one in wanted:
        result = _run(one, folder, cache, report, peers, minutes)
        rows += [{"benchmark": one, **row} for row in result["rows"]] if name == "all" else result["rows"]
    return {"name": name, "rows": rows}


def _run(
    name: str, folder: Path | None, cache: Path, report: Report, peers: Path | None, minutes: float
) -> dict[str, Any]:
    more: dict[str, Any] = {"peers": peers} if name in WITH_PEERS else {}
    if name in WITH_MINUTES:
        more["minutes"] = minutes
    try:
        return _load(BENCHMARKS[name])(folder, cache, _progress(name, report), **more)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("steelyard"):
            raise
        raise MissingExtraError(
            f"benchmark '{name}' needs the library '{error.name}', which is not installed.",
            remedy="Install it with: pip install 'steelyard[bench,train]'.",
            code="bench.missing_extra",
        ) from error


def wanted_parts(names: Sequence[str]) -> list[str]:
    """Those of the parts of a benchmark that STEELYARD_BENCH_SETS names, in their order; all where it names none."""
    named = [name for name in os.environ.get(SETS_VARIABLE, "").split(",") if name]
    return [name for name in names if not named or name in named]


def data_folder() -> Path:
    """Where the data sets are.

    Raises:
        UserError: the folder does not exist.
    """
    root = Path(os.environ.get(DATA_VARIABLE, "../shared")) / "data"
    if not root.is_dir():
        raise UserError(
            "the data sets are not here.",
            where=str(root),
            remedy=f"Name their folder with --data, or set {DATA_VARIABLE} to the folder that holds data/.",
            code="bench.no_data",
        )
    return root


def _load(target: str) -> Callable[..., dict[str, Any]]:
    module, _, function = target.partition(":")
    loaded: Callable[..., dict[str, Any]] = getattr(import_module(module), function)
    return loaded


def _cache() -> Path:
    from steelyard.models.loading import cache_folder

    folder = cache_folder() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _progress(name: str, report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report(f"bench {name}", done, total)
