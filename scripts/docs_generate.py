"""The tables of the benchmarks of language models, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def generate(rows: Sequence[Row]) -> list[Table]:
    """Tokens a second and the times of a stream by client, then what ours adds."""
    heads = ("", "tokens a second:", "first piece p50, ms:", "p95:", "end p50, ms:", "p95:")
    times = ("first_p50_ms", "first_p95_ms", "end_p50_ms", "end_p95_ms")
    clients = [
        (row["client"], f"{row['tokens_per_s']:,.0f}", *(f"{row[key]:,.0f}" for key in times))
        for row in rows
        if "tokens_per_s" in row
    ]
    return [(heads, clients), *(_added(row) for row in rows if "tokens_per_s_ratio" in row)]


def _added(row: Row) -> Table:
    lines = [("tokens a second", f"x {row['tokens_per_s_ratio']:.3f}")]
    names = {"first_p95_ms": "first piece p95, ms", "end_p50_ms": "end p50, ms", "end_p95_ms": "end p95, ms"}
    lines += [
        (name, f"{row[key]:+.1f} ({row[f'{key}_low']:+.1f} to {row[f'{key}_high']:+.1f})")
        for key, name in names.items()
    ]
    return ("what ours adds", "median (least to most):"), list(lines)


def lora(rows: Sequence[Row]) -> list[Table]:
    """Tokens a second of both sides, then ours over the peer's."""
    heads = ("", "device", "threads:", "tokens:", "steps:", "seconds:", "tokens a second:", "mean loss:")
    sides = [
        (
            row["side"], row["device"], f"{row['threads']}", f"{row['tokens']:,}", f"{row['steps']}",
            f"{row['seconds']:,.1f}", f"{row['tokens_per_second']:,}", f"{row['mean_loss']:.3f}",
        )
        for row in rows
        if "side" in row
    ]  # fmt: skip
    ratios = [
        ("tokens a second", f"x {row['ours_over_trl']:.2f} ({row['least']:.2f} to {row['most']:.2f})")
        for row in rows
        if "ours_over_trl" in row
    ]
    return [(heads, sides), (("ours over the peer's", "median (least to most):"), list(ratios))]
