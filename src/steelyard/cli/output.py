"""What every command shares: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.printable import json_safe, printable

LOG_LINE_S = 60.0
"""How often a long stage says in a log how far it is."""

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.workspace import Workspace

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of text.")]


def write_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write(json_safe(text) + "\n")


def write_json_line(value: Any) -> None:
    """Print one JSON object on one line of stdout, at once: a reader of JSON Lines sees it when it happens."""
    sys.stdout.write(json_safe(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)) + "\n")
    sys.stdout.flush()


def console() -> Console:
    """The terminal for results; what it is given is shown and never steers it (see `printable`).

    A reader of the pipe who leaves early (`| head`) is no error: exit code 0.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Results(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            try:
                super().on_broken_pipe()  # takes the rest away quietly, then exits with 1
            except SystemExit:
                raise SystemExit(0) from None

    return Results(highlight=False)


def open_workspace(context: typer.Context) -> Workspace:
    """The workspace that `-w` names, by default the current folder.

    Raises:
        ConfigError: it has no steelyard.toml, or a wrong one.
    """
    from steelyard.workspace import Workspace

    return Workspace(context.obj)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar per stage on stderr with rate and ETA; where stderr is no terminal, one line a stage, and one a minute of a long one."""
    from rich.console import Console

    stderr = Console(stderr=True, highlight=False)
    if not stderr.is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        Remaining(),
    )
    with Progress(*columns, console=stderr) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            speed = bars.tasks[bars.task_ids.index(tasks[stage])].speed
            bars.update(tasks[stage], completed=done, total=max(total, 1), rate=f"{speed:,.0f}/s" if speed else "")
            if done >= total:
                bars.update(tasks[stage], completed=max(total, 1))

        yield report


def _lines() -> Callable[[str, int, int], None]:
    from time import monotonic

    begun: dict[str, float] = {}
    told: dict[str, float] = {}
    finished: set[str] = set()

    def report(stage: str, done: int, total: int) -> None:
        begun.setdefault(stage, monotonic())
        if done >= total and stage not in finished:
            finished.add(stage)
            sys.stderr.write(f"{stage}: {total} in {monotonic() - begun[stage]:.1f} s\n")
        elif done < total and monotonic() - told.setdefault(stage, begun[stage]) >= LOG_LINE_S:
            told[stage] = monotonic()
            sys.stderr.write(f"{stage}: {done} of {total} after {monotonic() - begun[stage]:.0f} s\n")
            sys.stderr.flush()

    return report
