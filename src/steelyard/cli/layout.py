"""How text output is laid out: tables and labelled lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def notes(out: Console, notes: Sequence[tuple[str, str]] = (), quiet: Sequence[tuple[str, str]] = ()) -> None:
    """Labelled lines under a table, quiet ones last and dim; a long one goes on under its own beginning."""
    if not notes and not quiet:
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for at, (label, text) in enumerate((*notes, *quiet)):
        grid.add_row(f"  {label}" if label else "", Text(text), style="dim" if at >= len(notes) else "")
    out.print(grid)


def table(*columns: str | tuple[str, bool]) -> Table:
    """An empty table; a column is its name, or its name and whether its cells stand on the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        name, right = column if isinstance(column, tuple) else (column, False)
        made.add_column(name, justify="right" if right else "left", no_wrap=True)
    return made
