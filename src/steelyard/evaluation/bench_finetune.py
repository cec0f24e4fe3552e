"""`steelyard bench finetune`: does tuning the encoder pay? Heads on the untouched encoder beside tuned encoders, on the same test rows."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.candidates.classify_router import CascadeRouter, LinearRouter, Router
from steelyard.candidates.classify_tuned import ContrastiveRouter, FullRouter
from steelyard.candidates.interface import Tools
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_router import OUTSIDE, SHOTS, few_of_each, read_intents
from steelyard.evaluation.finetune_runs import Ran, run_router
from steelyard.evaluation.setfit_peer import setfit_beside
from steelyard.metrics.classify import (
    calibration_by_chance,
    calibration_error,
    classify_scores,
    debiased_calibration_error,
    decided_label,
)
from steelyard.metrics.scores import Score, Unscored
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

Progress = Callable[[int, int], None]
Row = dict[str, Any]

SECONDS_VARIABLE, DRAWS_VARIABLE, PARTS_VARIABLE, ROUTERS_VARIABLE = (
    "STEELYARD_BENCH_TUNING_S",
    "STEELYARD_BENCH_DRAWS",
    "STEELYARD_BENCH_PARTS",
    "STEELYARD_BENCH_ROUTERS",
)
"""Seconds that one fit may tune (default 600), draws of ten rows a label (default 3), parts and routers to run, comma-separated (all)."""

ROUTERS: tuple[type[Router], ...] = (LinearRouter, CascadeRouter, ContrastiveRouter, FullRouter)
CHOSEN = "chosen on validation"
TARGETS = {
    ("banking77", "full", "accuracy"): 0.938,
    ("banking77", "full", "calibration_error"): 0.010,
    ("banking77", f"{SHOTS}-shot", "accuracy"): 0.860,
    ("clinc150", "full", "in_scope_accuracy"): 0.945,
    ("clinc150", "full", "out_of_scope_recall"): 0.70,
}
"""What the router that validation rows choose (`CHOSEN`) has to reach; the calibration error at most."""

Parts = tuple[Sequence[Item], Sequence[Item], Sequence[Item]]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every part needs: the data sets, the encoder and the seconds to tune, routers, where runs are kept, a Python with SetFit."""

    data: Path
    tools: Tools
    routers: tuple[type[Router], ...]
    kept: Path
    peers: Path | None

    def runs(self, parts: Parts, *, refit: bool = True) -> dict[str, Ran]:
        """Every router on the same rows, and as CHOSEN the one under which the validation labels were likeliest."""
        found = {kind.name: run_router(kind, self.tools, parts, kept=self.kept, refit=refit) for kind in self.routers}
        best = min(found, key=lambda name: found[name].loss)
        chosen = Ran(
            outputs=found[best].outputs, loss=found[best].loss, fit_s=found[best].fit_s, notes={"router": best}
        )
        return {**found, CHOSEN: chosen}


def bench_finetune(data_root: Path, cache: Path, progress: Progress, peers: Path | None = None) -> dict[str, Any]:
    """Tuned encoders beside heads on the untouched one; `{name, rows}`, each row with its `part`, encoder and seconds to tune.

    Every router sees the same train and validation rows and is scored on the same test rows. `chosen on validation` is the router
    under which the validation labels were likeliest: nobody looks at the test rows to choose. With `peers`, a Python that has
    SetFit, its training runs beside ours on the first draw. A run that was cut off goes on: what a router said is kept in `cache`.

    Raises:
        NotFoundError: a data set is not there.
        UserError: a part or router is named that does not exist, or the peer failed.
    """
    encoder = load_encoder("minilm", precision="fp32")
    seconds = float(os.environ.get(SECONDS_VARIABLE, "600"))
    tools = Tools(
        encoder=CachedEncoder(encoder, cache / "bench-router-vectors.sqlite"),
        out_of_scope_label=OUTSIDE,
        budget_s=seconds,
    )
    names = _named(ROUTERS_VARIABLE, [kind.name for kind in ROUTERS])
    bench = Bench(
        data=data_root,
        tools=tools,
        routers=tuple(kind for kind in ROUTERS if kind.name in names),
        kept=cache / "finetune-runs",
        peers=peers,
    )
    wanted = _named(PARTS_VARIABLE, list(PARTS))
    rows: list[Row] = []
    for done, name in enumerate(wanted):
        progress(done, len(wanted))
        said = {"part": name, "encoder": encoder.name, "tuning_s": seconds}
        rows += [said | row for row in PARTS[name](bench)]
    progress(len(wanted), len(wanted))
    return {"name": "finetune", "rows": rows}


def _named(variable: str, known: Sequence[str]) -> list[str]:
    wanted = [name for name in os.environ.get(variable, "").split(",") if name]
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(
            f"this benchmark knows no '{unknown[0]}'.",
            where=variable,
            remedy=f"Known: {', '.join(known)}.",
            code="bench.unknown_part",
        )
    return wanted or list(known)


def _few(bench: Bench) -> list[Row]:
    train, test = (read_intents(bench.data / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    draws: dict[str, list[list[float]]] = defaultdict(list)
    fit_s: dict[str, float] = defaultdict(float)
    chosen: list[str] = []
    count = int(os.environ.get(DRAWS_VARIABLE, "3"))
    for draw in range(count):
        split = split_items(few_of_each(train, SHOTS, draw), fractions=(0.8, 0.2, 0.0))
        for name, ran in bench.runs((split.train, split.validation, test)).items():
            draws[name].append(
                [float(decided_label(o, OUTSIDE) == i.label) for o, i in zip(ran.outputs, test, strict=True)]
            )
            fit_s[name] += ran.fit_s / count
            chosen += [ran.notes["router"]] if name == CHOSEN else []
    # One score a test row, its mean over the draws: the interval is over rows, the draws are listed beside it.
    means = {name: np.mean(values, axis=0).tolist() for name, values in draws.items()}
    rows = []
    for name, values in means.items():
        row = _row("banking77", f"{SHOTS}-shot", name, "accuracy", values)
        row |= {"draws": [round(float(np.mean(one)), 4) for one in draws[name]], "fit_s": round(fit_s[name], 1)}
        rows.append(row | {"chosen": chosen} if name == CHOSEN else row)
    return [*rows, *_compared("banking77", f"{SHOTS}-shot", means)]


def _banking(bench: Bench) -> list[Row]:
    train, test = (read_intents(bench.data / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    split = split_items(train, fractions=(0.85, 0.15, 0.0))
    return _scored("banking77", test, bench.runs((split.train, split.validation, test)))


def _clinc(bench: Bench) -> list[Row]:
    parts = tuple(read_intents(bench.data / "clinc150" / f"{part}.jsonl.gz") for part in ("train", "val", "test"))
    return _scored("clinc150", parts[2], bench.runs((parts[0], parts[1], parts[2]), refit=False))


def _hint3(bench: Bench) -> list[Row]:
    """Each bot for itself: few rows, and messages of real users, half of which belong to no label."""
    rows: list[Row] = []
    for bot, train, test in read_bots(bench.data):
        split = split_items(train, fractions=(0.85, 0.15, 0.0))
        rows += _scored(f"hint3 {bot}", test, bench.runs((split.train, split.validation, test)))
    return rows


def _setfit(bench: Bench) -> list[Row]:
    return [] if bench.peers is None else setfit_beside(bench.data, bench.peers)


PARTS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "few": _few,
    "banking77": _banking,
    "clinc150": _clinc,
    "hint3": _hint3,
    "setfit": _setfit,
}


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


def _scored(dataset: str, test: Sequence[Item], runs: Mapping[str, Ran]) -> list[Row]:
    rows: list[Row] = []
    right: dict[str, list[Score]] = {}
    for name, ran in runs.items():
        scores = [classify_scores(item, output, OUTSIDE) for item, output in zip(test, ran.outputs, strict=True)]
        for metric in scores[0]:
            values = [score[metric] for score in scores]
            if not all(isinstance(value, Unscored) for value in values):
                rows.append(_row(dataset, "full", name, metric, values))
        right[name] = [score["accuracy"] for score in scores]
        base = {"dataset": dataset, "setting": "full", "candidate": name}
        rows += [_judged({**base, **row}) for row in _calibration(test, ran.outputs)]
        rows.append({**base, "metric": "fit_s", "mean": round(ran.fit_s, 1), "notes": ran.notes})
    return [*rows, *_compared(dataset, "full", right)]


def _calibration(test: Sequence[Item], outputs: Sequence[Output]) -> list[Row]:
    """The calibration error over all rows, and over those in scope where there are others; each beside what chance alone gives."""
    rows: list[Row] = []
    inside = [item.label != OUTSIDE for item in test]
    for prefix, taken in (("", [True] * len(test)), ("in_scope_", inside)):
        if prefix and all(inside):
            continue
        kept = [(o, i) for o, i, take in zip(outputs, test, taken, strict=True) if take]
        sure = [output.probability or 0.0 for output, _ in kept]
        correct = [float(output.label == item.label) for output, item in kept]
        error, debiased = calibration_error(sure, correct), debiased_calibration_error(sure, correct)
        if isinstance(error, Unscored) or isinstance(debiased, Unscored):
            continue
        chance = calibration_by_chance(sure, correct)
        by_chance = {name: round(value, 4) for name, value in vars(chance).items()}
        rows.append({"metric": f"{prefix}calibration_error", "mean": round(error, 4), **by_chance})
        rows.append({"metric": f"{prefix}calibration_error_debiased", "mean": round(debiased, 4)})
    return rows


def _row(dataset: str, setting: str, name: str, metric: str, values: Sequence[Any]) -> Row:
    row: Row = {"dataset": dataset, "setting": setting, "candidate": name, "metric": metric}
    return _judged(row | {key: round(value, 4) for key, value in mean_interval(values).to_json().items()})


def _judged(row: Row) -> Row:
    target = TARGETS.get((row["dataset"], row["setting"], row["metric"]))
    if target is None or row["candidate"] != CHOSEN:
        return row
    reached = row["mean"] <= target if row["metric"] == "calibration_error" else row["mean"] >= target
    return row | {"target": target, "reached": reached}


def _compared(dataset: str, setting: str, scores: Mapping[str, Any]) -> list[Row]:
    """Every pair of routers, the later less the earlier: mean and interval of the difference, corrected p-value, verdict."""
    own = {name: values for name, values in reversed(list(scores.items())) if name != CHOSEN}
    rows = []
    for one in compare_all(own):
        difference = {name: round(value, 4) for name, value in one.difference.to_json().items()}
        base = {"dataset": dataset, "setting": setting, "candidate": f"{one.first} - {one.second}"}
        more = {"p_value": round(one.p_value, 5), "verdict": one.verdict}
        rows.append({**base, "metric": "accuracy_difference", **difference, **more})
    return rows
