"""The forecast benchmark: what `weigh --dry-run` tells of a first run, beside what the run then takes."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.evaluation.answer_simulator import MODEL, answering_simulator
from steelyard.models.loading import cache_folder, load_encoder
from steelyard.models.lora_pace import guessed_pace, measured_pace
from steelyard.models.planted_causal import make_planted_causal, planted_pairs
from steelyard.schema.spending import Foreseen

JOBS: Mapping[str, tuple[str, ...]] = {
    "intent": ("majority", "zero-shot", "few-shot"),
    "answer": ("rag-bm25", "whole-corpus", "rag-generator"),
    "reply": ("template", "style-few-shot"),
}
"""A baseline of each component, which asks nobody, and the candidates that ask."""

PRICES = "input_usd = 0.4\ncached_usd = 0.1\noutput_usd = 1.6\n"
CONCURRENCY = 8
FORECASTS = ("guessed", "tokenizer", "sample")
LORA_ROWS, LORA_HELD = 60, 20
COUNTED = ("calls", "tokens_in", "tokens_out", "usd", "seconds")


def bench_foresight(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Forecasts of a first `weigh` and what it took; the result is `{"name": "foresight", "rows": [...]}`.

    The example workspace with a simulator as generator: three times the same dry run (as it is, with the endpoint's tokenizer named, with
    a sample of calls), then the run. One row a job and forecast: calls, tokens in (cached ones included), tokens out, USD, minutes,
    foreseen and actual. Then the minutes of a local tuning, guessed and from a few steps, beside those of the whole tuning.
    """
    del data_root, cache
    from steelyard.example.layout import lay_out

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, answering_simulator(_tokenizer()) as url:
        place = Path(folder) / "example"
        lay_out(place)
        _settings(place, url)
        foreseen = dict(_forecasts(place))
        progress(1, 3)
        _run(place)
        for forecast, found in foreseen.items():
            rows += (_compared(place, row, forecast) for row in found)
        progress(2, 3)
    rows += _lora()
    progress(3, 3)
    return {"name": "foresight", "rows": rows}


def _tokenizer() -> Path:
    """The tokenizer's file of the embedded encoder: a real one, and another than the rule of thumb of four characters."""
    load_encoder("minilm")
    return sorted((cache_folder() / "encoders").glob("minilm-*/tokenizer.json"))[-1]


def _settings(place: Path, url: str) -> None:
    file = place / "steelyard.toml"
    text = file.read_text(encoding="utf-8")
    for component, names in JOBS.items():
        listed = ", ".join(f'"{name}"' for name in names)
        text = text.replace(f"[components.{component}]\n", f"[components.{component}]\ncandidates = [{listed}]\n")
    text = re.sub(r"\[models\]\n", '[models]\nencoder = "fake"\n', text, count=1)
    text += f'\n[models.generator]\nkind = "openai"\nbase_url = "{url}"\nmodel = "{MODEL}"\ncontext_tokens = 200000\n'
    file.write_text(f"{text}concurrency = {CONCURRENCY}\nretries = 0\n{PRICES}", encoding="utf-8")


def _forecasts(place: Path) -> Iterator[tuple[str, list[Foreseen]]]:
    """The same dry run with more and more to go by, each in a workspace opened anew."""
    from steelyard.workspace import Workspace

    file = place / "steelyard.toml"
    plain = file.read_text(encoding="utf-8")
    Workspace(place).ingest()
    for forecast in FORECASTS:
        if forecast == "tokenizer":
            file.write_text(f'{plain}tokenizer = "{_tokenizer().as_posix()}"\n', encoding="utf-8")
        else:
            file.write_text(plain, encoding="utf-8")
        found = Workspace(place).foresee_weighing(sampling=forecast == "sample")
        yield forecast, [row for row in found.rows if row.calls and row.component in JOBS]


def _run(place: Path) -> dict[str, float]:
    """Weigh; the wall seconds of building and measuring each candidate, by `component/candidate`, as the run's own progress tells them."""
    from steelyard.workspace import Workspace

    ends = [perf_counter()]
    found: dict[str, float] = {}

    def report(stage: str, done: int, total: int) -> None:
        del total
        component = stage.removeprefix("weigh ")
        if component not in JOBS or component == stage:
            return
        ends.append(perf_counter())
        found[f"{component}/{JOBS[component][done - 1]}"] = ends[-1] - ends[-2]

    Workspace(place).weigh(report=report)
    return found


def _compared(place: Path, row: Foreseen, forecast: str) -> dict[str, Any]:
    """A forecast beside what the run took; a sample's calls are left out of both, as they were made before."""
    actual = _actual(place, f"{row.component}/{row.candidate}", whole=forecast != "sample")
    told: dict[str, float] = {
        "calls": row.calls,
        "tokens_in": row.tokens_in + row.tokens_cached,
        "tokens_out": row.tokens_out,
        "usd": row.usd,
        "seconds": row.seconds,
    }
    return {
        "job": f"{row.component}/{row.candidate}",
        "forecast": forecast,
        "kept": row.kept,
        **{f"{name}_foreseen": round(float(told[name]), 5) for name in COUNTED},
        **{f"{name}_actual": round(float(actual[name]), 5) for name in COUNTED},
        **{f"{name}_off": round(told[name] / actual[name] - 1, 4) for name in COUNTED if actual[name]},
    }


def _actual(place: Path, name: str, *, whole: bool) -> dict[str, float]:
    """What the ledger has of a candidate: its sums, and the seconds in which at least one of its calls was in flight."""
    purposes = [f"train {name}", f"weigh {name}", *([f"sample {name}"] if whole else [])]
    marks = ",".join("?" * len(purposes))
    query = (
        f"SELECT input + cached tokens, output, usd, seconds, created FROM calls WHERE purpose IN ({marks}) ORDER BY id"
    )
    with closing(sqlite3.connect(place / ".steelyard" / "calls.sqlite")) as database:
        found = database.execute(query, purposes).fetchall()
    ends = [(datetime.fromisoformat(created).timestamp(), seconds) for _, _, _, seconds, created in found]
    return {
        "calls": len(found),
        "tokens_in": sum(one[0] for one in found),
        "tokens_out": sum(one[1] for one in found),
        "usd": sum(one[2] for one in found),
        "seconds": _union([(end - seconds, end) for end, seconds in ends]),
    }


def _union(spans: list[tuple[float, float]]) -> float:
    """Length of what the spans cover together.

    >>> _union([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered


def _lora() -> Iterator[dict[str, Any]]:
    """Seconds of a local tuning by the size of the weights, by a few steps, and as it then went."""
    from steelyard.candidates.speaking import planned
    from steelyard.models.lora_fitting import fit_lora

    train, held = planted_pairs(LORA_ROWS), planted_pairs(LORA_HELD, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        base = make_planted_causal(Path(folder) / "model", 64, 1, 8_000)
        # No early end: made-up words cannot be learned, and a forecast is of all steps.
        plan = replace(planned(LORA_ROWS, 0, None), patience=10_000)
        guessed = guessed_pace(base, train, held, plan)
        sampled = measured_pace(base, train, held, plan, ())
        begun = perf_counter()
        fitted = fit_lora(base, train, held, plan=plan).fitted
        whole = perf_counter() - begun
    for forecast, pace in (("guessed", guessed), ("sample", sampled)):
        told = pace.learning_s(plan, len(train))
        yield {
            "job": "a local tuning, 120 steps",
            "forecast": forecast,
            "steps": fitted.steps,
            "seconds_foreseen": round(told, 2),
            "seconds_actual": round(whole, 2),
            "seconds_off": round(told / whole - 1, 4),
        }
