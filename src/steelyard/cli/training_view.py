"""What `train` prints for people beside versions: the ledger, and whether to train again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.ledger import LedgerEntry
    from steelyard.schema.retraining import Retraining

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


def show_why(out: Console, found: Sequence[Retraining]) -> None:
    """A sentence for each component, with the drift of its new rows below."""
    from steelyard.cli.layout import notes

    if not found:
        out.print("nothing was trained yet: steelyard train")
    for one in found:
        out.print(f"{one.component}/{one.candidate}@{one.version}", style="bold", markup=False)
        told = [("retrain", one.why)]
        drift = one.drift
        if drift is not None:
            psi = "" if drift.psi is None else f"; stability index of the labels {drift.psi:.3f} (p {drift.psi_p:.3f})"
            told.append(("drift", f"mean of the texts moved by {drift.shift:.3f} (p {drift.shift_p:.3f}){psi}"))
        if one.on_new_rows is not None:
            right = one.on_new_rows
            told.append(("new rows", f"right for {right.mean:.1%} ({right.low:.1%} to {right.high:.1%}) of {right.n}"))
        notes(out, told)
