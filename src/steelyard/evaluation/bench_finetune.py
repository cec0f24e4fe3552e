"""`steelyard bench finetune`: does tuning the encoder pay? Heads on the untouched encoder beside tuned encoders, on the same test rows."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from steelyard.candidates.classify_router import CascadeRouter, LinearRouter, Router
from steelyard.candidates.classify_tuned import ContrastiveRouter, FullRouter, TunedRouter
from steelyard.candidates.interface import Tools
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_router import OUTSIDE, SHOTS, few_of_each, read_intents
from steelyard.evaluation.setfit_peer import PEERS_VARIABLE, setfit_beside
from steelyard.metrics.classify import calibration_error, classify_scores, decided_label
from steelyard.metrics.scores import Unscored
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

Progress = Callable[[int, int], None]
Row = dict[str, Any]
Runs = dict[str, tuple[list[Output], float, dict[str, Any]]]

SECONDS_VARIABLE, DRAWS_VARIABLE, PARTS_VARIABLE = (
    "STEELYARD_BENCH_TUNING_S",
    "STEELYARD_BENCH_DRAWS",
    "STEELYARD_BENCH_PARTS",
)
"""Seconds that one fit may tune (default 600), draws of ten rows a label (default 3), and parts to run, comma-separated (default all)."""

ROUTERS: tuple[type[Router], ...] = (LinearRouter, CascadeRouter, ContrastiveRouter, FullRouter)
TARGETS = {
    ("banking77", "full", "accuracy"): 0.938,
    ("banking77", "full", "calibration_error"): 0.010,
    ("banking77", f"{SHOTS}-shot", "accuracy"): 0.860,
    ("clinc150", "full", "in_scope_accuracy"): 0.945,
    ("clinc150", "full", "out_of_scope_recall"): 0.70,
}
"""What the router that validation rows choose has to reach; the calibration error at most."""

CHOSEN = "chosen on validation"


def bench_finetune(data_root: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Tuned encoders beside heads on the untouched one; `{name, encoder, tuning_s, rows, comparisons}`.

    Every router sees the same train and validation rows and is scored on the same test rows. The row `chosen on validation` is the
    router whose validation labels were likeliest: nobody looks at the test rows to choose. With a Python that has SetFit in
    STEELYARD_PEERS its training runs beside ours on the first draw.

    Raises:
        NotFoundError: a data set is not there.
        UserError: a part is named that does not exist.
    """
    encoder = load_encoder("minilm", precision="fp32")
    seconds = float(os.environ.get(SECONDS_VARIABLE, "600"))
    tools = Tools(
        encoder=CachedEncoder(encoder, cache / "bench-router-vectors.sqlite"),
        out_of_scope_label=OUTSIDE,
        budget_s=seconds,
    )
    known: dict[str, Callable[[Path, Tools], tuple[list[Row], list[Row]]]] = {
        "few": _few,
        "banking77": _banking,
        "clinc150": _clinc,
        "hint3": _hint3,
        "setfit": setfit_beside,
    }
    wanted = [name for name in os.environ.get(PARTS_VARIABLE, "").split(",") if name] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(
            f"there is no part '{unknown[0]}' of this benchmark.",
            where=PARTS_VARIABLE,
            remedy=f"Known: {', '.join(known)}.",
            code="bench.unknown_part",
        )
    rows: list[Row] = []
    comparisons: list[Row] = []
    for done, name in enumerate(wanted):
        progress(done, len(wanted))
        if name == "setfit" and PEERS_VARIABLE not in os.environ:
            continue
        made, compared = known[name](data_root, tools)
        rows += made
        comparisons += compared
    progress(len(wanted), len(wanted))
    return {"name": "finetune", "encoder": encoder.name, "tuning_s": seconds, "rows": rows, "comparisons": comparisons}


def _few(data_root: Path, tools: Tools) -> tuple[list[Row], list[Row]]:
    train, test = (read_intents(data_root / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    draws: dict[str, list[list[float]]] = defaultdict(list)
    fit_s: dict[str, float] = defaultdict(float)
    count = int(os.environ.get(DRAWS_VARIABLE, "3"))
    for draw in range(count):
        split = split_items(few_of_each(train, SHOTS, draw), fractions=(0.8, 0.2, 0.0))
        for name, (outputs, seconds, _) in _runs(tools, split.train, split.validation, test).items():
            right = [decided_label(out, OUTSIDE) == item.label for out, item in zip(outputs, test, strict=True)]
            draws[name].append([float(one) for one in right])
            fit_s[name] += seconds / count
    # One score a test row, its mean over the draws: the interval is over rows, the draws are listed beside it.
    means = {name: np.mean(values, axis=0).tolist() for name, values in draws.items()}
    rows = []
    for name, values in means.items():
        row = _row("banking77", f"{SHOTS}-shot", name, "accuracy", values)
        rows.append(
            row | {"draws": [round(float(np.mean(one)), 4) for one in draws[name]], "fit_s": round(fit_s[name], 1)}
        )
    return rows, _compared("banking77", f"{SHOTS}-shot", means)


def _banking(data_root: Path, tools: Tools) -> tuple[list[Row], list[Row]]:
    train, test = (read_intents(data_root / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    split = split_items(train, fractions=(0.85, 0.15, 0.0))
    return _scored("banking77", test, _runs(tools, split.train, split.validation, test))


def _clinc(data_root: Path, tools: Tools) -> tuple[list[Row], list[Row]]:
    train, held, test = (read_intents(data_root / "clinc150" / f"{part}.jsonl.gz") for part in ("train", "val", "test"))
    return _scored("clinc150", test, _runs(tools, train, held, test, refit=False))


def _hint3(data_root: Path, tools: Tools) -> tuple[list[Row], list[Row]]:
    """Each bot for itself: few rows, and messages of real users, half of which belong to no label."""
    rows: list[Row] = []
    comparisons: list[Row] = []
    for bot, train, test in read_bots(data_root):
        split = split_items(train, fractions=(0.85, 0.15, 0.0))
        made, compared = _scored(f"hint3 {bot}", test, _runs(tools, split.train, split.validation, test))
        rows += made
        comparisons += compared
    return rows, comparisons


def read_bots(data_root: Path) -> list[tuple[str, list[Item], list[Item]]]:
    """Name, train rows and test rows of each bot of HINT3.

    Raises:
        NotFoundError: the data set is not there.
    """
    import gzip
    import json

    parts = []
    for part in ("train", "test"):
        path = data_root / "hint3" / f"{part}.jsonl.gz"
        items = read_intents(path)
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            bots = [json.loads(line)["bot"] for line in lines]
        parts.append(list(zip(bots, items, strict=True)))
    return [
        (bot, *([item for name, item in part if name == bot] for part in parts))
        for bot in sorted({name for name, _ in parts[0]})
    ]


def _runs(
    tools: Tools, train: Sequence[Item], held: Sequence[Item], test: Sequence[Item], *, refit: bool = True
) -> Runs:
    runs: Runs = {}
    for kind in ROUTERS:
        with tempfile.TemporaryDirectory() as folder:
            router = kind(replace(tools, work=Path(folder)), refit=refit)
            begun = perf_counter()
            router.fit(train, held)
            seconds = perf_counter() - begun
        notes = router.notes_ if isinstance(router, TunedRouter) else {}
        runs[kind.name] = (router.predict_many([item.text for item in test]), seconds, notes)
    return runs


def _scored(dataset: str, test: Sequence[Item], runs: Runs) -> tuple[list[Row], list[Row]]:
    rows: list[Row] = []
    right: dict[str, Any] = {}
    for name, (outputs, fit_s, notes) in runs.items():
        scores = [classify_scores(item, output, OUTSIDE) for item, output in zip(test, outputs, strict=True)]
        for metric in scores[0]:
            values = [score[metric] for score in scores]
            if not all(isinstance(value, Unscored) for value in values):
                rows.append(_row(dataset, "full", name, metric, values))
        right[name] = [score["accuracy"] for score in scores]
        correct = [float(output.label == item.label) for output, item in zip(outputs, test, strict=True)]
        error = calibration_error([output.probability or 0.0 for output in outputs], correct)
        base = {"dataset": dataset, "setting": "full", "candidate": name}
        if not isinstance(error, Unscored):
            rows.append(_judged({**base, "metric": "calibration_error", "mean": round(error, 4)}))
        rows.append({**base, "metric": "fit_s", "mean": round(fit_s, 1), "notes": notes})
    return rows, _compared(dataset, "full", right)


def _row(dataset: str, setting: str, name: str, metric: str, values: Sequence[Any]) -> Row:
    row: Row = {"dataset": dataset, "setting": setting, "candidate": name, "metric": metric}
    return _judged(row | {key: round(value, 4) for key, value in mean_interval(values).to_json().items()})


def _judged(row: Row) -> Row:
    target = TARGETS.get((row["dataset"], row["setting"], row["metric"]))
    if target is None:
        return row
    reached = row["mean"] <= target if row["metric"] == "calibration_error" else row["mean"] >= target
    return row | {"target": target, "reached": reached}


def _compared(dataset: str, setting: str, scores: dict[str, Any]) -> list[Row]:
    base = {"dataset": dataset, "setting": setting, "metric": "accuracy"}
    return [base | comparison.to_json() for comparison in compare_all(scores)]
