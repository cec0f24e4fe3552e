"""`steelyard bench money`: ten thousand draws of a scenario, one pricing of a set of facts, and a whole decision from a facts file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from steelyard.decision.money import price
from steelyard.economics.cost_model import exact_bind, input_name, monthly_costs, terms, traffic
from steelyard.economics.sampling import draw_inputs, total_draws, uncertain_inputs
from steelyard.economics.scenario import scenario_from_json
from steelyard.economics.uncertainty import simulate
from steelyard.schema.decision import Facts
from steelyard.schema.economics import Number, Scenario

DRAWS = 10_000
LEDGER_DRAWS = 50  # of the peer; it takes about a thousand times as long for each
ROUNDS = 5
LEDGER = "month by month, exact decimals"
BARE = "python -c pass"
FACTS: Mapping[str, Any] = {
    "behaviour": "facts",
    "queries_per_month": 60_000,
    "knowledge_update_per_year": 4,
    "per_user_scoping": True,
    "corpus_tokens": 5e6,
}
SCENARIO = {
    "horizon_months": 24,
    "queries_per_month": {"low": 300_000, "high": 3_000_000},
    "growth_per_month": {"low": 0, "mode": 0.02, "high": 0.05},
    "hour_usd": {"low": 60, "mode": 95, "high": 150},
    "tokens": {"context": {"low": 1000, "mode": 3000, "high": 8000}},
    "rag": {"setup_hours": {"low": 60, "mode": 160, "high": 500}},
    "fine_tune": {
        "setup_hours": {"low": 100, "mode": 320, "high": 900},
        "update_hours": {"low": 10, "mode": 60, "high": 120},
        "hosting_usd_per_month": {"low": 800, "high": 8000},
    },
}
"""Eight ranges, as wide as a team has them before it has measured anything."""


def bench_money(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Seconds of the draws beside a ledger kept month by month (the two take turns), of a pricing, and of a decision's whole process.

    One thread, medians of five rounds; needs no data. The ledger prices the first 50 of the same draws, `largest_gap` is the largest
    difference of a total to it, as a share.
    """
    del data_root, cache
    scenario = scenario_from_json(SCENARIO)
    seconds: dict[str, list[float]] = {}
    gap = 0.0
    for done in range(ROUNDS):
        turns = (_vectors, _ledger) if done % 2 == 0 else (_ledger, _vectors)
        found = {turn: turn(scenario, seconds) for turn in turns}
        exact = found[_ledger]
        gap = max(gap, float(np.max(np.abs(found[_vectors][:, :LEDGER_DRAWS] / exact - 1))))
        _time("simulate", seconds, lambda: simulate(scenario, draws=DRAWS))
        facts = Facts(**{**FACTS, "queries_per_month": 60_000.0 + done})  # others each time: what was priced is kept
        _time("price", seconds, partial(_priced, facts))
        _processes(seconds)
        progress(done + 1, ROUNDS)
    rows = [
        {"step": "draw and sum", "draws": DRAWS, "seconds": _median(seconds["vectors"]), "largest_gap": gap},
        {"step": LEDGER, "draws": LEDGER_DRAWS, "seconds": _median(seconds["ledger"])},
        {"step": "draw, and what each range decides", "draws": DRAWS, "seconds": _median(seconds["simulate"])},
        {"step": "price one set of facts", "seconds": _median(seconds["price"])},
        {"step": "steelyard decide --facts", "seconds": _median(seconds["decide"])},
        {"step": BARE, "seconds": _median(seconds["bare"])},
    ]
    return {"name": "money", "rows": rows}


def _priced(facts: Facts) -> float:
    return price(facts).p_cheaper("rag", "fine_tune")  # the sums are not made before they are compared


def _time(name: str, seconds: dict[str, list[float]], work: Callable[[], object]) -> Any:
    begun = perf_counter()
    made = work()
    seconds.setdefault(name, []).append(perf_counter() - begun)
    return made


def _drawn(scenario: Scenario) -> dict[str, Any]:
    return draw_inputs(uncertain_inputs(scenario), DRAWS, np.random.default_rng(0))


def _vectors(scenario: Scenario, seconds: dict[str, list[float]]) -> Any:
    return _time("vectors", seconds, lambda: total_draws(scenario, _drawn(scenario)))


def _ledger(scenario: Scenario, seconds: dict[str, list[float]]) -> Any:
    values = _drawn(scenario)

    def sums() -> Any:
        return np.array(
            [_totals(scenario, {name: one[draw] for name, one in values.items()}) for draw in range(LEDGER_DRAWS)]
        ).T

    return _time("ledger", seconds, sums)


def _totals(scenario: Scenario, point: dict[str, float]) -> list[float]:
    """Each option's total at one point of the ranges, as a book-keeper would sum it."""

    def bind(path: str, number: Number) -> Decimal:
        found = point.get(input_name(path, number))
        return exact_bind(path, number) if found is None else Decimal(repr(float(found)))

    flow = traffic(scenario, bind)
    return [
        float(sum(sum(month.values()) for month in monthly_costs(terms(scenario, option, bind), flow)))
        for option in scenario.options
    ]


def _processes(seconds: dict[str, list[float]]) -> None:
    with TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.json"
        facts.write_text(json.dumps(dict(FACTS)), encoding="utf-8")
        commands = {"decide": ["-m", "steelyard", "decide", "--facts", str(facts), "--json"], "bare": ["-c", "pass"]}
        for name, command in commands.items():
            run = partial(subprocess.run, [sys.executable, *command], check=True, capture_output=True)
            _time(name, seconds, run)


def _median(seconds: list[float]) -> float:
    return round(median(seconds), 4)
