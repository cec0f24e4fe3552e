"""The writer benchmark: the tuned writer beside approved replies on two open sets; slots, format, style, closeness, and samples."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Candidate, Tools
from steelyard.evaluation.run import request_of, scope_of
from steelyard.evaluation.writer_sets import bitext_rows, sgd_rows
from steelyard.metrics.scores import Score, Unscored
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.metrics.style import StyleDiscriminator
from steelyard.metrics.writing import write_scores
from steelyard.models.loading import load_minilm
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

Row = dict[str, Any]
Progress = Callable[[int, int], None]

WRITERS = ("template", "exemplar", "tuned-selector", "tuned-writer")
METRICS = ("format_valid", "slot_fidelity", "style", "chrf", "right_kind")
SAMPLES = 4
STEPS = 100  # of progress for each set


@dataclass(frozen=True, kw_only=True)
class WriterSet:
    """Rows to learn from, to choose by, and to test on once; `voice` are approved replies that no writer learns from, for the style."""

    name: str
    train: Sequence[Item]
    validation: Sequence[Item]
    voice: Sequence[Item]
    test: Sequence[Item]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many rows of each part are taken, and the seconds that the tuned writer may train."""

    train: int
    validation: int
    voice: int
    test: int
    tuning_s: float


SIZES: Mapping[str, Size] = {
    "bitext_support": Size(train=800, validation=100, voice=1_500, test=200, tuning_s=240.0),
    "sgd_nlg": Size(train=2_000, validation=200, voice=3_000, test=300, tuning_s=180.0),
}
"""Parts of the sets that a core fits in about ten minutes, encoding and all."""

SETS_VARIABLE = "STEELYARD_BENCH_SETS"
"""Sets to run, comma-separated (default all)."""

READERS: Mapping[str, Callable[[Path], tuple[list[Item], list[Item]]]] = {
    "bitext_support": bitext_rows,
    "sgd_nlg": sgd_rows,
}


def bench_writer(data_root: Path, cache: Path, progress: Progress) -> Row:
    """Every writer on the test rows of each set in `data_root`; a set that is not there is a row that says so.

    See `measure_set` for the columns. The style discriminator is trained on approved replies that no writer learned from, so a writer
    that repeats its replies gains nothing by that; test rows are read by neither. STEELYARD_BENCH_SETS names the sets to run; each
    row says its set as its `part`.
    """
    wanted = [name for name in os.environ.get(SETS_VARIABLE, "").split(",") if name] or list(SIZES)
    encoder = CachedEncoder(load_minilm(threads=1), cache / "bench-writer-vectors.sqlite")
    rows: list[Row] = []
    samples: dict[str, list[Row]] = {}
    for place, (name, size) in enumerate((name, SIZES[name]) for name in SIZES if name in wanted):
        if not (data_root / name).is_dir():
            rows.append({"part": name, "set": name, "missing": f"no folder {name} in the data folder"})
            continue
        data = cut(name, *READERS[name](data_root / name), size)
        tools = Tools(encoder=encoder, budget_s=size.tuning_s)
        found, samples[name] = measure_set(data, tools, _part(progress, place))
        rows += [{"part": name} | row for row in found]
    progress(len(SIZES) * STEPS, len(SIZES) * STEPS)
    return {"name": "writer", "rows": rows, "samples": samples, "tuning_s": {n: s.tuning_s for n, s in SIZES.items()}}


def cut(name: str, train: Sequence[Item], test: Sequence[Item], size: Size) -> WriterSet:
    """The first rows of `train` to learn from, then to choose by, then for the voice; the first of `test`. No row is in two parts.

    A test row whose reply a writer may have read is left out: it would measure memory.
    """
    first, second = size.train, size.train + size.validation
    known = {item.output for item in train[:second]}
    fresh = [item for item in test if item.output not in known] if name != "sgd_nlg" else list(test)
    return WriterSet(
        name=name,
        train=train[:first],
        validation=train[first:second],
        voice=train[second : second + size.voice],
        test=fresh[: size.test],
    )


def measure_set(data: WriterSet, tools: Tools, progress: Progress) -> tuple[list[Row], list[Row]]:
    """A row for each writer, and samples of what each wrote.

    For each metric its mean with a 95 % interval; `METRIC_less_exemplar`, the paired difference with its interval; and the verdict.
    `slots_once` is the share of replies in which every value given stands exactly once, `fallback` the share for which the tuned
    writer sent the exemplar's reply. Rows of one dialogue are one cluster.
    """
    style = StyleDiscriminator(seed=tools.seed).fit([item.output or "" for item in data.voice])
    outputs: dict[str, list[Output]] = {}
    notes: dict[str, Row] = {}
    for place, name in enumerate(WRITERS):
        own = replace(tools, progress=_within(progress, place))
        fitted: Candidate = CANDIDATES.load(name)(own).fit(data.train, data.validation)
        with tempfile.TemporaryDirectory() as folder:
            fitted.save(Path(folder))
            served: Candidate = CANDIDATES.load(name)(tools).load(Path(folder))
            notes[name] = {"size_mb": round(sum(one.stat().st_size for one in Path(folder).rglob("*.*")) / 1e6, 1)}
        outputs[name] = [served.predict(request_of(item), scope_of(item)) for item in data.test]
        notes[name] |= {f"training_{key}": value for key, value in getattr(served, "training", {}).items()}
    scores = {name: _scores(data.test, found, style) for name, found in outputs.items()}
    rows = [_row(data, name, scores, outputs[name], notes[name]) for name in WRITERS]
    return rows, _samples(data.test, outputs)


def _scores(items: Sequence[Item], outputs: Sequence[Output], style: StyleDiscriminator) -> dict[str, list[Score]]:
    voices = style.score([output.template or output.text for output in outputs])
    found: dict[str, list[Score]] = {metric: [] for metric in METRICS}
    for item, output, voice in zip(items, outputs, voices, strict=True):
        own = write_scores(item, output)
        own["style"] = voice
        own["right_kind"] = float(output.label == item.label) if item.label else Unscored("the replies have no kinds")
        for metric in METRICS:
            found[metric].append(own[metric])
    return found


def _row(
    data: WriterSet, name: str, scores: Mapping[str, Mapping[str, list[Score]]], outputs: Sequence[Output], notes: Row
) -> Row:
    clusters = [item.group or item.id for item in data.test]
    row: Row = {
        "set": data.name,
        "writer": name,
        "train": len(data.train),
        "test": len(data.test),
        "declined": sum(output.abstained for output in outputs) / len(outputs),
        "fallback": float(np.mean(["fallback" in dict(output.trace) for output in outputs])),
        "slots_once": float(np.mean([_once(item, out) for item, out in zip(data.test, outputs, strict=True)])),
        "different": len({output.template for output in outputs}) / len(outputs),
        "p50_ms": round(1000 * float(np.median([output.usage.seconds for output in outputs])), 1),
    }
    for metric in METRICS:
        own = mean_interval(scores[name][metric], clusters)
        if not own.n:
            continue
        row[metric] = [round(own.mean, 4), round(own.low, 4), round(own.high, 4)]
        if name != "exemplar":
            (pair,) = compare_all({one: scores[one][metric] for one in (name, "exemplar")}, clusters)
            between = pair.difference
            row[f"{metric}_less_exemplar"] = [round(v, 4) for v in (between.mean, between.low, between.high)]
            row[f"{metric}_verdict"] = pair.verdict
    return row | notes


def _once(item: Item, output: Output) -> bool:
    return not output.abstained and all((output.template or "").count(f"{{{name}}}") == 1 for name in item.slots)


def _samples(items: Sequence[Item], outputs: Mapping[str, Sequence[Output]]) -> list[Row]:
    """Rows spread evenly over the test rows: nobody chose them."""
    places = [len(items) * at // SAMPLES for at in range(SAMPLES)]
    return [
        {
            "message": items[at].text,
            "slots": sorted(items[at].slots),
            "approved": items[at].output,
            **{name: found[at].template for name, found in outputs.items()},
        }
        for at in places
    ]


def _within(progress: Progress, place: int) -> Progress:
    share = STEPS // len(WRITERS)
    return lambda done, total: progress(place * share + share * done // max(1, total), STEPS)


def _part(progress: Progress, place: int) -> Progress:
    return lambda done, total: progress(place * STEPS + STEPS * done // max(1, total), len(SIZES) * STEPS)
