"""The tables of the benchmarks on labelled data and on money, for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], list[Sequence[str]]]


def labels(rows: Sequence[Row]) -> list[Table]:
    """How many planted label errors are among the most doubtful rows, and among those that `check` names."""
    lines = [
        (
            row["dataset"],
            f"{row['rows']:,}",
            f"{row['planted']:,}",
            f"{row['precision_at_k']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            f"{row['named']:,.0f}",
            f"{row['precision_of_named']:.3f}",
            f"{row['recall_of_named']:.3f}",
            f"{row['suggestion_right']:.3f}",
            f"{row['estimated_errors']:,.0f}",
        )
        for row in rows
    ]
    heads = (
        "",
        "rows:",
        "planted:",
        "precision@k:",
        "named:",
        "precision:",
        "recall:",
        "suggestion right:",
        "estimated:",
    )
    return [(heads, lines)]


def curves(rows: Sequence[Row]) -> list[Table]:
    """What was foretold for all labels from half of them, and what was measured."""
    lines = [
        (
            f"{row['dataset']}, draw {row['draw']}",
            f"{row['labels']:,} → {row['labels_then']:,}",
            f"{row['accuracy']:.3f}",
            f"{row['foretold']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            f"{row['measured']:.3f}",
            f"{row['gain_foretold'] * 100:+.1f}",
            f"{row['gain_measured'] * 100:+.1f}",
        )
        for row in rows
    ]
    mean = {what: sum(row[what] for row in rows) / max(1, len(rows)) * 100 for what in ("error", "zero_gain_error")}
    held = sum(row["held"] for row in rows)
    heads = ("", "labels:", "accuracy:", "foretold:", "measured:", "gain foretold, points:", "measured:")
    sums = [
        ("intervals that held", f"{held} of {len(rows)}"),
        ("forecast off by, mean", f"{mean['error']:.1f} points"),
        ("expecting no gain off by, mean", f"{mean['zero_gain_error']:.1f} points"),
    ]
    return [(heads, lines), (("", "all draws:"), sums)]


def data(rows: Sequence[Row]) -> list[Table]:
    """Seconds and size of versions of many rows."""
    lines = [
        (
            row["keeper"],
            row["step"],
            f"{row['rows']:,}",
            f"{row['seconds']:.1f}",
            "–" if row["megabytes"] is None else f"{row['megabytes']:.1f}",
        )
        for row in rows
    ]
    return [(("", "step", "rows:", "seconds:", "MB on disk then:"), lines)]


def money(rows: Sequence[Row]) -> list[Table]:
    """Milliseconds of what is drawn, priced and decided."""
    lines = []
    for row in rows:
        draws = row.get("draws")
        each = "–" if draws is None else f"{row['seconds'] / draws * 1e6:,.1f}"
        lines.append((row["step"], "–" if draws is None else f"{draws:,}", f"{row['seconds'] * 1000:,.1f}", each))
    return [(("", "draws:", "ms:", "µs a draw:"), lines)]


TABLES = {"labels": labels, "curves": curves, "data": data, "money": money}
