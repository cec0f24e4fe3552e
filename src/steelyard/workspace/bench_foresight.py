"""The forecast benchmark: what `weigh --dry-run` tells of a first run, beside what the run then takes."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.evaluation.answer_simulator import MODEL, answering_simulator
from steelyard.example.layout import lay_out
from steelyard.models.loading import cache_folder, load_encoder
from steelyard.schema.spending import Foreseen
from steelyard.workspace.foresight_tuning import hosted_rows, local_rows

JOBS: Mapping[str, tuple[str, ...]] = {
    "intent": ("majority", "zero-shot", "few-shot"),
    "answer": ("rag-bm25", "whole-corpus", "rag-generator"),
    "reply": ("template", "style-few-shot"),
}
"""A baseline of each component, which asks nobody, and the candidates that ask."""

PRICES = "input_usd = 0.4\ncached_usd = 0.1\noutput_usd = 1.6\n"
CONCURRENCY = 8
WITHOUT_CALLS, WITH_CALLS = ("guessed", "tokenizer"), ("sample",)
"""Forecasts that make no call, and those that do: each kind has a workspace and a run of its own."""
COUNTED = ("calls", "tokens_in", "tokens_out", "usd", "seconds")


def bench_foresight(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Forecasts of a first `weigh` and what it took; the result is `{"name": "foresight", "rows": [...]}`.

    The example workspace with a simulator as generator, twice: dry runs (as it is, and with the endpoint's tokenizer named; then with a
    sample of calls), and the run. One row a job and forecast: calls, tokens in (cached ones included), tokens out, USD, wall seconds of
    building and measuring, foreseen and actual. Then the same for tunings: USD of one at a simulated provider, seconds of one here.
    """
    del data_root, cache
    rows: list[dict[str, Any]] = []
    for done, forecasts in enumerate((WITHOUT_CALLS, WITH_CALLS)):
        with tempfile.TemporaryDirectory() as folder, answering_simulator(_tokenizer()) as url:
            place = Path(folder) / "example"
            lay_out(place)
            _settings(place, url)
            foreseen = dict(_forecasts(place, forecasts))
            progress(1 + 2 * done, 6)
            taken = _run(place)
            for forecast, found in foreseen.items():
                rows += (_compared(place, row, forecast, taken) for row in found)
            progress(2 + 2 * done, 6)
    with tempfile.TemporaryDirectory() as folder:
        rows += hosted_rows(Path(folder), _tokenizer())
        progress(5, 6)
        rows += local_rows(Path(folder))
    progress(6, 6)
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


def _forecasts(place: Path, forecasts: Sequence[str]) -> Iterator[tuple[str, list[Foreseen]]]:
    """The same dry run with more and more to go by, each in a workspace opened anew."""
    from steelyard.workspace import Workspace

    file = place / "steelyard.toml"
    plain = file.read_text(encoding="utf-8")
    Workspace(place).ingest()
    for forecast in forecasts:
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


def _compared(place: Path, row: Foreseen, forecast: str, taken: Mapping[str, float]) -> dict[str, Any]:
    """A forecast beside what the run took; a sample's calls are left out of both, as they were made before."""
    name = f"{row.component}/{row.candidate}"
    actual = {**_actual(place, name), "seconds": taken[name]}
    told: dict[str, float] = {
        "calls": row.calls,
        "tokens_in": row.tokens_in + row.tokens_cached,
        "tokens_out": row.tokens_out,
        "usd": row.usd,
        "seconds": row.seconds,
    }
    return {
        "job": name,
        "forecast": forecast,
        "kept": row.kept,
        **{f"{name}_foreseen": round(float(told[name]), 5) for name in COUNTED},
        **{f"{name}_actual": round(float(actual[name]), 5) for name in COUNTED},
        **{f"{name}_off": round(told[name] / actual[name] - 1, 4) for name in COUNTED if actual[name]},
    }


def _actual(place: Path, name: str) -> dict[str, float]:
    """What the ledger has of a candidate's run."""
    query = "SELECT count(*), total(input + cached), total(output), total(usd) FROM calls WHERE purpose IN (?, ?)"
    with closing(sqlite3.connect(place / ".steelyard" / "calls.sqlite")) as database:
        found = database.execute(query, (f"train {name}", f"weigh {name}")).fetchone()
    return dict(zip(COUNTED, found, strict=False))
