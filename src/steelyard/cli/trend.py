"""Retrieval quality by generation, as a table with bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.quality import GenerationQuality

BAR = 24
"""Characters of a full bar: quality 1."""

EIGHTHS = " ▏▎▍▌▋▊▉"


def show_quality(out: Console, found: Sequence[GenerationQuality]) -> None:
    """A table for each component: generations oldest first, with nDCG@10 as a bar; and what the newest step did."""
    if not found:
        out.print("no generation could be measured: no gold question (answerable, with a source) holds at its date.")
    for component, records in groupby(found, key=lambda one: one.component):
        rows = list(records)
        table = Table(title=f"retrieval, {component}", title_justify="left", box=None, pad_edge=False)
        for head in ("generation", "as of"):
            table.add_column(head)
        for head in ("questions", "recall@5", "nDCG@10"):
            table.add_column(head, justify="right")
        table.add_column("")
        for one in rows:
            table.add_row(
                str(one.generation),
                one.as_of[:10],
                str(one.questions),
                f"{one.recall_at_5:.3f}",
                f"{one.ndcg_at_10:.3f}",
                f"[cyan]{bar(one.ndcg_at_10)}[/cyan]",
            )
        out.print(table)
        out.print(change(rows), style="dim", markup=False)


def bar(share: float) -> str:
    """A bar of `share` (0 to 1) of BAR characters, exact to an eighth of one.

    >>> bar(0.5)
    '████████████'
    """
    eighths = round(max(0.0, min(1.0, share)) * BAR * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def change(rows: Sequence[GenerationQuality]) -> str:
    """What the newest generation changed; a fall below the interval of the one before is said to be one."""
    newest = rows[-1]
    interval = f"{newest.ndcg_low:.3f} to {newest.ndcg_high:.3f}"
    if len(rows) == 1:
        return f"nDCG@10 {newest.ndcg_at_10:.3f} ({interval}); one generation so far."
    before = rows[-2]
    step = f"{newest.ndcg_at_10 - before.ndcg_at_10:+.3f} since generation {before.generation}"
    if newest.gold != before.gold:
        return f"nDCG@10 {newest.ndcg_at_10:.3f} ({interval}), {step}; the questions that hold changed as well."
    verdict = "below" if newest.ndcg_at_10 < before.ndcg_low else "within or above"
    return f"nDCG@10 {newest.ndcg_at_10:.3f} ({interval}), {step}: {verdict} the interval of the one before."
