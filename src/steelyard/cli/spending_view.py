"""What a command would spend on a generator, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.spending import Foreseen, Foresight


def show_foreseen(out: Console, foreseen: Foresight) -> None:
    """A row for each candidate that asks the generator, the sum, the cap, and what the figures rest on."""
    from rich.table import Table

    if foreseen.generator is None:
        out.print(
            "no generator is set: nothing would be spent ([models.generator] in steelyard.toml sets one)", markup=False
        )
        return
    asking = [row for row in foreseen.rows if row.calls or row.kept or row.note or row.local]
    table = Table(box=None, pad_edge=False, title=f"with {foreseen.generator}", title_justify="left")
    table.add_column("candidate")
    for name in ("calls", "kept", "tokens in", "cached", "tokens out", "USD", "minutes"):
        table.add_column(name, justify="right")
    for row in asking:
        table.add_row(f"{row.component}/{row.candidate}", *_figures(row))
    table.add_row("all", *_figures(foreseen.total), style="bold")
    out.print(table)
    for row in asking:
        if row.note:
            out.print(f"{row.component}/{row.candidate}: {row.note}", markup=False)
    told = [row for row in asking if row.calls or row.local]
    for basis in dict.fromkeys(row.basis for row in told):
        names = ", ".join(f"{row.component}/{row.candidate}" for row in told if row.basis == basis)
        out.print(f"{names}: {basis}", markup=False)
    if foreseen.sampled_calls:
        out.print(
            f"{foreseen.sampled_calls:,} calls were made to know this, for {foreseen.sampled_usd:.4f} USD; their answers are kept",
            markup=False,
        )
    rest = len(foreseen.rows) - len(asking)
    if rest:
        out.print(
            f"{rest} other candidate{'s ask' if rest > 1 else ' asks'} no generator and cost{'' if rest > 1 else 's'} nothing",
            markup=False,
        )
    if foreseen.total.calls and not foreseen.priced:
        out.print(
            "no price is known for this model, so USD are 0: write input_usd and output_usd under [models.generator]",
            markup=False,
            style="yellow",
        )
    _show_cap(out, foreseen)


def _show_cap(out: Console, foreseen: Foresight) -> None:
    if foreseen.cap_usd is None:
        out.print(
            f"spent this month: {foreseen.month_usd:.2f} USD; there is no cap (cap_usd under [models.generator])",
            markup=False,
        )
        return
    out.print(f"spent this month: {foreseen.month_usd:.2f} USD of at most {foreseen.cap_usd:.2f}", markup=False)
    if foreseen.beyond_cap_usd:
        out.print(
            f"it would stop at the cap, {foreseen.beyond_cap_usd:.2f} USD short; what is answered until then is kept",
            markup=False,
            style="yellow",
        )


def _figures(row: Foreseen) -> tuple[str, ...]:
    if row.note:
        return ("–",) * 7
    counts = (row.calls, row.kept, row.tokens_in, row.tokens_cached, row.tokens_out)
    minutes = row.seconds / 60
    return (
        *(f"{count:,}" for count in counts),
        f"{row.usd:.4f}",
        f"{minutes:.1f}" if minutes >= 0.1 or not minutes else "<0.1",
    )
