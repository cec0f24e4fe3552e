"""The writer's tables of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def writer(rows: Sequence[Row]) -> list[tuple[Sequence[str], list[Sequence[str]]]]:
    """Slots, format, style and closeness of each writer by set; then every writer less `exemplar`, with intervals and verdicts."""
    found = [row for row in rows if "missing" not in row]
    metrics = ("style", "chrf", "right_kind")

    def pair(row: Row, metric: str) -> str:
        if metric not in row:
            return "–"
        mean, low, high = row[metric]
        return f"{mean:.3f} ({low:.3f} to {high:.3f})"

    def less(row: Row, metric: str) -> str:
        if f"{metric}_less_exemplar" not in row:
            return "–"
        mean, low, high = row[f"{metric}_less_exemplar"]
        return f"{mean:+.3f} ({low:+.3f} to {high:+.3f}), {row[f'{metric}_verdict'].replace('_', ' ')}"

    quality = [
        (
            f"`{row['set']}`",
            f"`{row['writer']}`",
            *(f"{row[name][0]:.3f}" if name in row else "–" for name in ("format_valid", "slot_fidelity")),
            f"{row['slots_once']:.3f}",
            *(pair(row, metric) for metric in metrics),
        )
        for row in found
    ]
    compared = [
        (f"`{row['set']}`", f"`{row['writer']}`", *(less(row, metric) for metric in ("slot_fidelity", *metrics)))
        for row in found
        if row["writer"] != "exemplar"
    ]
    beside = [
        (
            f"`{row['set']}`",
            f"`{row['writer']}`",
            f"{row['train']:,} / {row['test']:,}",
            f"{row['different']:.2f}",
            f"{row['fallback']:.3f}",
            f"{row['declined']:.3f}",
            f"{row.get('training_seconds', 0):.0f}",
            f"{row['p50_ms']:.0f}",
        )
        for row in found
    ]
    heads = ("set", "writer", "format valid:", "slot fidelity:", "every slot once:", "style:", "chrF:", "right kind:")
    differences = ("set", "less `exemplar`", "slot fidelity:", "style:", "chrF:", "right kind:")
    more = (
        "set",
        "writer",
        "train / test rows:",
        "different replies:",
        "fell back:",
        "declined:",
        "trained s:",
        "ms p50:",
    )
    return [(heads, quality), (differences, compared), (more, beside)]
