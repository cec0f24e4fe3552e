"""What `backtest` shows on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from steelyard.schema.ageing import AgedStep, Backtest
from steelyard.workspace.probing import Derived

SOURCES = {
    "front_matter": "front matter",
    "table": "tables",
    "list": "lists",
    "default": "documented defaults",
    "sentence": "changed sentences",
}
BARS = " ▁▂▃▄▅▆▇█"


def show_backtest(terminal: Console, found: Backtest) -> None:
    """A line for each way to run a candidate, then the sentences."""
    table = Table(
        title=f"{found.component}: {found.begin:%Y-%m-%d} to {found.end:%Y-%m-%d}, each {found.every}, {found.facts} questions",
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for name, justify in (
        ("candidate", "left"),
        ("right, step by step", "left"),
        ("first", "right"),
        ("last", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("worst stale", "refused", "trainings", "USD"):
        table.add_column(name, justify="right")
    best = found.hindsight.best
    for name in found.candidates:
        steps = found.of(name)
        table.add_row(
            name,
            bars(steps),
            f"{steps[0].accuracy.mean:.0%}",
            f"{steps[-1].accuracy.mean:.0%}",
            f"{max(step.stale.mean for step in steps):.0%}",
            f"{steps[-1].refused.mean:.0%}",
            str(sum(step.work.trained for step in steps)) if found.approaches[name] == "fine_tune" else "-",
            f"{sum(step.cost_usd for step in steps):,.0f}",
            style="bold green" if name == best else None,
        )
    terminal.print(table)
    terminal.print()
    for sentence in found.sentences:
        terminal.print(f"- {sentence}", highlight=False, soft_wrap=True)


def show_probes(terminal: Console, derived: Derived) -> None:
    """How many there are, a few of them, and what to do next."""
    kinds = ", ".join(f"{count} from {SOURCES.get(kind, kind)}" for kind, count in derived.kinds.items())
    terminal.print(
        f"{derived.facts} facts in {derived.rows} rows, {derived.changed} of them changed: {kinds}.", highlight=False
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("question", "answer", "from", "to"):
        table.add_column(name, overflow="fold")
    for probe in derived.samples:
        end = f"{probe.valid_to:%Y-%m-%d}" if probe.valid_to else "now"
        table.add_row(escape(probe.question), escape(probe.answers[0]), f"{probe.valid_from:%Y-%m-%d}", end)
    terminal.print(table)
    terminal.print(
        f'Written to {derived.file}. Read it, set "reviewed": true on the rows that hold (or accept all: '
        "steelyard probes --accept), then run steelyard backtest.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def bars(steps: tuple[AgedStep, ...]) -> str:
    """Accuracy over the steps as a row of bars from 0 to 1; an empty one is below 6 %."""
    return "".join(BARS[min(8, round(step.accuracy.mean * 8))] for step in steps)
