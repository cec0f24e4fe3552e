"""The tables of the serving benchmarks in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]

NONE = "–"


def serve(rows: Sequence[Row]) -> list[Table]:
    """Answers a second and latency, releases under streaming clients, and the soak with what must be 0."""
    tables: list[Table] = [(_HEADS, [_asked(row) for row in rows if "answers_per_s" in row and "p99_ms" in row])]
    for name, what in (("releases", "releases under streaming clients"), ("soak", "soak")):
        tables += [((what, ":"), _counted(row)) for row in rows if row["asked"] == name]
    return tables


def page(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds from a moved number to the decided page."""
    lines = [
        (row["moved"], f"{row['median_ms']:.0f}", f"{row['p95_ms']:.0f}", f"{row['longest_ms']:.0f}") for row in rows
    ]
    return [(("moved", "median ms:", "p95 ms:", "longest ms:"), lines)]


_HEADS = (
    "",
    "answers a second:",
    "processor ms an answer:",
    "p50 ms:",
    "p99 ms:",
    "p50 ms at half of that:",
    "p99 ms:",
    "p50 ms at our half rate:",
    "p99 ms:",
    "failed:",
)


def _asked(row: Row) -> Sequence[str]:
    names = ("at_our_half_rate_p50_ms", "at_our_half_rate_p99_ms")
    return (
        f"{row['contender']}, {row['asked']}",
        f"{row['answers_per_s']:.0f}",
        f"{row['cpu_ms']:.1f}",
        f"{row['p50_ms']:.0f}",
        f"{row['p99_ms']:.0f}",
        f"{row['half_rate_p50_ms']:.0f}",
        f"{row['half_rate_p99_ms']:.0f}",
        *(f"{row[name]:.0f}" if name in row else NONE for name in names),
        str(row["failed"]),
    )


_COUNTED: Mapping[str, str] = {
    "minutes": "minutes",
    "clients": "clients that stream",
    "answers": "answers",
    "swaps": "releases and rollbacks that were timed",
    "swap_ms": "ms until no request began on the release before, median",
    "swap_max_ms": "the longest",
    "first_ms": "ms until the first answer of the new release was read, median",
    "first_max_ms": "the longest",
    "citations_opened": "cited places of all releases that were opened again",
    "citations_lost": "of which did not show their quote",
    "generations": "generations that answered",
    "wrong_scope": "answers of the wrong scope",
    "mixed": "answers that mix releases",
    "lost_audit_records": "answers without their audit record",
    "audit_broken": "faults of the audit's chain",
    "failed": "requests that failed without a kill or a restart",
    "cut_by_kill_or_restart": "requests cut by a kill or a restart",
}


def _counted(row: Row) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = [
        (words, f"{row[name]:,}") for name, words in _COUNTED.items() if row.get(name) is not None
    ]
    if "events" in row:
        lines.append(("what happened", ", ".join(f"{count} x {what}" for what, count in row["events"].items())))
    if "own_mb" in row:
        told = ", ".join(NONE if one is None else f"{one:.0f}" for one in row["own_mb"])
        lines.append(("MB of both workers by minute, shared with nobody", told))
        lines.append(("MB a minute, least squares", f"{row['own_slope_mb_per_min']}"))
    life = row.get("life")
    if life is not None:
        told = f"{life['first_mb']:.0f} to {life['last_mb']:.0f} MB in {life['seconds']} s"
        lines.append(("the worker that lived longest", f"{told}, {life['slope_mb_per_min']} MB a minute"))
    return lines


TABLES = {"serve": serve, "page": page}
