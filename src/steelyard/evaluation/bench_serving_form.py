"""The serving-form benchmark: routers on torch, ONNX fp32 and int8 vectors say the same, row by row, and how long one message takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from steelyard.candidates.classify_router import CascadeRouter, KnnRouter, LinearRouter, Router, TfidfRouter
from steelyard.candidates.interface import Tools
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_router import read_intents
from steelyard.evaluation.serving_form import UnderName, compare_forms
from steelyard.models.interface import Encoder
from steelyard.models.loading import load_minilm
from steelyard.models.torch_reference import minilm_reference
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

Row = dict[str, Any]

ROUTERS: tuple[type[Router], ...] = (LinearRouter, CascadeRouter, KnnRouter, TfidfRouter)
COMPARED = 1_000
"""Rows of the test file on which forms are compared: outputs with outputs, no label is read."""

TIMED, WARM_UP, ROUNDS = 200, 20, 3


def bench_serving_form(data_root: Path, cache: Path, progress: Callable[[int, int], None]) -> Row:
    """Agreement and flipped rows of each served form, and p50 and p95 of `predict` end to end on one thread; on banking77.

    Each router is fitted once, on ONNX fp32 vectors, and saved. It is then loaded with the encoder in torch (before the export), in ONNX
    fp32 and in ONNX int8, and says what it makes of the same rows. Times are of tokenizer, encoder and head together, one message a
    call; of three rounds in alternating order the median for each message.

    Raises:
        NotFoundError: the data set is not there.
        MissingExtraError: torch or the original weights are not installed.
    """
    train, test = (read_intents(data_root / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    step = max(1, len(test) // COMPARED)
    rows = test[::step][:COMPARED]
    split = split_items(train, fractions=(0.85, 0.15, 0.0))
    fp32, int8 = (load_minilm(precision=precision, threads=1) for precision in ("fp32", "int8"))
    forms: dict[str, Encoder] = {
        "torch fp32": minilm_reference(fp32.max_tokens, fp32.name),
        "onnx fp32": fp32,
        "onnx int8": UnderName(int8, fp32.name),
    }
    found: list[Row] = []
    # A cache each: the forms carry one name, and four routers read the same rows.
    kept: dict[str, Encoder] = {
        name: CachedEncoder(encoder, cache / f"serving-form-{name.replace(' ', '-')}.sqlite")
        for name, encoder in forms.items()
    }
    with TemporaryDirectory() as folder:
        fitting = Tools(encoder=CachedEncoder(fp32, cache / "bench-router-vectors.sqlite"))
        for done, kind in enumerate(ROUTERS):
            progress(done, len(ROUTERS) + 1)
            saved = Path(folder) / kind.name
            kind(fitting).fit(split.train, split.validation).save(saved)
            found += _agreement(kind, saved, kept, rows)
        progress(len(ROUTERS), len(ROUTERS) + 1)
        found += _latencies(Path(folder), {"onnx fp32": fp32, "onnx int8": forms["onnx int8"]}, rows)
    progress(len(ROUTERS) + 1, len(ROUTERS) + 1)
    return {"name": "serving-form", "encoder": fp32.name, "parity": fp32.parity, "rows": found}


def _agreement(kind: type[Router], saved: Path, forms: dict[str, Encoder], rows: list[Item]) -> list[Row]:
    loaded = {name: kind(Tools(encoder=encoder)).load(saved) for name, encoder in forms.items()}
    found = []
    for reference, served in (("torch fp32", "onnx fp32"), ("onnx fp32", "onnx int8")):
        parity = compare_forms(loaded[reference], loaded[served], rows, reference_name=reference, served_name=served)
        found.append(
            {
                "router": kind.name,
                "reference": reference,
                "served": served,
                "compared": parity.rows,
                "agreement": round(parity.agreement, 4),
                "flipped": len(parity.flipped),
                "flipped_rows": " ".join(one.item for one in parity.flipped) or None,
            }
        )
    return found


def _latencies(folder: Path, forms: dict[str, Encoder], rows: list[Item]) -> list[Row]:
    texts = [item.text for item in rows[: TIMED + WARM_UP]]
    loaded = {
        (kind.name, name): kind(Tools(encoder=encoder)).load(folder / kind.name)
        for kind in ROUTERS
        for name, encoder in forms.items()
    }
    rounds: dict[tuple[str, str], list[list[tuple[float, float]]]] = {key: [] for key in loaded}
    for turn in range(ROUNDS):
        for key in list(loaded)[:: 1 if turn % 2 == 0 else -1]:
            rounds[key].append([_timed(loaded[key], text) for text in texts][WARM_UP:])
    return [
        {
            "router": router,
            "form": form,
            "messages": TIMED,
            "threads": 1,
            "p50_ms": round(float(np.percentile(wall, 50)), 2),
            "p95_ms": round(float(np.percentile(wall, 95)), 2),
            "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 2),
        }
        for (router, form), turns in rounds.items()
        for wall, cpu in [1000 * np.median(turns, axis=0).T]
    ]


def _timed(router: Router, text: str) -> tuple[float, float]:
    """Seconds of one call by the clock, and of work on its thread: beside other work on the machine only the second is the router's."""
    start, worked = perf_counter(), thread_time()
    router.predict(Request(text=text), Scope())
    return perf_counter() - start, thread_time() - worked
