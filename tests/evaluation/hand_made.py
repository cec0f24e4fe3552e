"""Runs written by hand: what each candidate scored on each item is given, so every figure after it can be checked."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard.config import EconomicsSettings, Requirements, Settings, TrafficSettings
from steelyard.evaluation.bakeoff import Listed
from steelyard.schema.items import Approach, Item, Split, Task
from steelyard.schema.runs import ItemResult, RunRecord


def items(count: int, task: Task = "classify") -> tuple[Item, ...]:
    """Items `i0`, `i1`, ... of one task."""
    return tuple(Item(id=f"i{at}", task=task, text=f"message {at}", label="a", row=at + 1) for at in range(count))


def split(holdout: Sequence[Item], train: int = 100) -> Split:
    """A split with this holdout, and `train` train rows."""
    rows = tuple(Item(id=f"t{at}", task=holdout[0].task, text=f"train {at}", label="a") for at in range(train))
    return Split(dataset="d" * 64, train=rows, validation=(), holdout=tuple(holdout))


def run(
    candidate: str,
    right: Sequence[float],
    *,
    task: Task = "classify",
    approach: Approach = "fine_tune",
    declined: Sequence[float] | None = None,
    seconds: float = 0.001,
    leaks: int = 0,
    clusters: Sequence[str] | None = None,
) -> RunRecord:
    """A run in which item i scored `right[i]`; what is neither right nor declined is a wrong answer."""
    handed_over = declined or [0.0] * len(right)
    results = tuple(
        ItemResult(
            item=f"i{at}",
            text=f"message {at}",
            output="a" if score else "b",
            expected="a",
            scores={"accuracy": score, "wrong": float(not score and not left), "declined": left},
            seconds=seconds,
            tokens_in=10,
            tokens_out=0,
            cluster=clusters[at] if clusters else f"i{at}",
            abstained=bool(left),
        )
        for at, (score, left) in enumerate(zip(right, handed_over, strict=True))
    )
    return RunRecord(
        key=f"key-{candidate}",
        component="part",
        task=task,
        candidate=candidate,
        approach=approach,
        version=1,
        metric="accuracy",
        items=results,
        build_s=2.0,
        refresh_s=1.0,
        peak_mb=100.0,
        leaks=leaks,
        created="2026-01-01T00:00:00+00:00",
    )


def listed(runs: Sequence[RunRecord], simplicity: dict[str, int] | None = None) -> dict[str, Listed]:
    """What the table says of the runs' candidates."""
    order = simplicity or {}
    return {
        one.candidate: Listed(
            name=one.candidate, approach=one.approach, role=one.candidate, simplicity=order.get(one.candidate, 1)
        )
        for one in runs
    }


def settings(
    requirements: Requirements | None = None, traffic: TrafficSettings | None = None, **money: float
) -> Settings:
    """Settings with these requirements, traffic and money, the rest as by default."""
    return Settings(
        requirements=requirements or Requirements(),
        traffic=traffic or TrafficSettings(queries_per_month=10_000),
        economics=EconomicsSettings(**money),  # type: ignore[arg-type]
    )
