"""What `train` prints for people beside versions: the ledger, and whether to train again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.ledger import LedgerEntry

SOURCES = {"estimate": "estimated: processor seconds x cpu_watts", "rapl": "read from the processor's counters"}


def show_ledger(out: Console, entries: Sequence[LedgerEntry]) -> None:
    """Every fit with its seconds, energy and money, and the sum."""
    from steelyard.cli.layout import table

    if not entries:
        out.print("nothing was fitted yet: steelyard train")
        return
    grid = table("fitted", ("rows", True), ("seconds", True), ("cpu s", True), ("Wh", True), ("USD", True), "when")
    for one in entries:
        name = f"{one.component}/{one.candidate}" + (f"@{one.version}" if one.version else f" ({one.kind})")
        effort = one.effort
        when = one.created[:16].replace("T", " ")
        figures = (f"{effort.seconds:.1f}", f"{effort.cpu_seconds:.1f}", f"{effort.energy_wh:.3f}", f"{one.usd:.5f}")
        grid.add_row(name, f"{one.rows:,}", *figures, when)
    out.print(grid)
    seconds = sum(one.effort.seconds for one in entries)
    energy, usd = sum(one.effort.energy_wh for one in entries), sum(one.usd for one in entries)
    out.print(f"{len(entries)} fits: {seconds:,.1f} s, {energy:,.3f} Wh, {usd:,.5f} USD")
    for source in sorted({one.effort.energy_source for one in entries}):
        out.print(f"energy {SOURCES[source]}", style="dim")
