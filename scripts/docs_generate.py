"""The tables of the benchmarks of language models, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def generate(rows: Sequence[Row]) -> list[Table]:
    """At each server: tokens a second and the times of a stream by client, then what ours adds; notes of what could not be measured."""
    heads = ("", "processor ms a stream:", "tokens a second:", "first piece p50, ms:", "p95:", "end p50, ms:", "p95:")
    times = ("first_p50_ms", "first_p95_ms", "end_p50_ms", "end_p95_ms")
    tables: list[Table] = []
    for server in dict.fromkeys(row["server"] for row in rows):
        own = [row for row in rows if row["server"] == server]
        clients = [
            (
                row["client"],
                _shown(row.get("cpu_ms_per_stream"), ".1f"),
                f"{row['tokens_per_s']:,.0f}",
                *(_shown(row[key], ",.0f") for key in times),
            )
            for row in own
            if "tokens_per_s" in row
        ]
        if clients:
            title = f"{server}, {own[0]['streams']} streams, {own[0]['rounds']} rounds each"
            tables.append(((title, *heads[1:]), clients))
        tables += [_added(row) for row in own if "tokens_per_s_ratio" in row]
        tables += [((server,), [(row["note"],)]) for row in own if "note" in row]
    return tables


def _shown(value: float | None, form: str) -> str:
    """A figure; a dash where it was not taken, or where no piece had text to wait for."""
    return format(value, form) if value else "–"


def _added(row: Row) -> Table:
    names = {
        "cpu_ms_per_stream": "processor ms a stream",
        "first_p50_ms": "first piece p50, ms", "first_p95_ms": "first piece p95, ms",
        "first_p95_of_a_round_ms": "first piece p95 of a round, ms, median",
        "end_p50_ms": "end p50, ms", "end_p95_ms": "end p95, ms",
        "end_p95_of_a_round_ms": "end p95 of a round, ms, median",
    }  # fmt: skip
    lines = [
        (name, f"{row[key]:+.1f} ({row[f'{key}_low']:+.1f} to {row[f'{key}_high']:+.1f})")
        for key, name in names.items()
        if row.get(f"{key}_high")
    ]
    key = "tokens_per_s_ratio"
    lines.append(("tokens a second", f"x {row[key]:.3f} ({row[f'{key}_low']:.3f} to {row[f'{key}_high']:.3f})"))
    return ("what ours adds", "difference (95 % interval):"), list(lines)


def foresight(rows: Sequence[Row]) -> list[Table]:
    """Each job's calls and tokens, then by how much each forecast was off."""
    taken = [name for name in FORESEEN if any(f"{name}_actual" in row for row in rows)]
    heads = [FORESEEN[name] for name in taken]
    last = {row["job"]: row for row in rows if row["forecast"] != "sample"}
    jobs = [(job, *(_counted(row.get(f"{name}_actual"), name) for name in taken)) for job, row in last.items()]
    off = [
        (row["job"], FORECASTS[row["forecast"]], *(_share(row.get(f"{name}_off")) for name in taken)) for row in rows
    ]
    return [(("job", *heads), jobs), (("foreseen less actual", "from", *heads), list(off))]


FORECASTS = {"guessed": "nothing", "tokenizer": "the tokenizer", "sample": "a sample"}
FORESEEN = {
    "calls": "calls:", "tokens_in": "tokens in:", "tokens_out": "tokens out:", "usd": "USD:", "seconds": "seconds:"
}  # fmt: skip


def _counted(value: float | None, name: str) -> str:
    if value is None:
        return ""
    return format(value, {"usd": ".4f", "seconds": ",.1f"}.get(name, ",.0f"))


def _share(off: float | None) -> str:
    return "" if off is None else f"{100 * off:+.0f} %"


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
