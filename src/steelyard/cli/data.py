"""`check` and `ingest`: what goes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json, write_json_line

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.corpus import IngestReport
    from steelyard.workspace import Workspace
    from steelyard.workspace.following import Followed


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)
    app.command("ingest")(ingest)


def check(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Validate settings and data: every problem with its file, row and remedy.

    Finds wrong rows, leaks between parts of the split, repeats, contradicting labels and answers, likely label errors, labels with
    too few rows, slots that fit nowhere, hints of personal data (masked). Changes no file of yours: likely label errors are listed in
    review/COMPONENT-labels.csv for you to decide on. Unchanged data is not looked at again. Exit code 1 when there are errors.
    """
    workspace = open_workspace(context)
    with progress() as report:
        findings = workspace.check(report)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        write_json({"findings": [finding.to_json() for finding in findings]})
    else:
        from steelyard.cli.tables import show_findings

        show_findings(console(), findings)
    if errors:
        raise typer.Exit(1)


def ingest(
    context: typer.Context,
    engine: Annotated[Literal["local"], typer.Option(help="Where documents are parsed.")] = "local",
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and follow the sources until Ctrl-C.")] = False,
    poll: Annotated[
        float | None,
        typer.Option(
            help="With --watch: look every so many seconds, for network folders that report no changes.",
            metavar="SECONDS",
            min=0.1,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read the sources into the next generation of the corpus; only what changed is parsed and embedded.

    The new generation is built beside the one in force and takes over at once when it is whole. A document that cannot be
    read keeps its last good version and is listed. With --watch each burst of changes becomes a generation, and --json
    prints JSON Lines: one object an event.
    """
    if poll is not None and not watch:
        raise typer.BadParameter("--poll needs --watch.", param_hint="--poll")
    workspace = open_workspace(context)
    if watch:
        _watch(workspace, poll, as_json=as_json)
        return
    with progress() as report:
        done = workspace.ingest(report, engine=engine)
    if as_json:
        write_json(done.to_json())
        return
    out = console()
    out.print(_summary(done), markup=False)
    _show_failed(out, done.failed)


def _watch(workspace: Workspace, poll_s: float | None, *, as_json: bool) -> None:
    """Follow until the first Ctrl-C or SIGTERM; a second Ctrl-C does not wait for the batch at work."""
    import signal
    from threading import Event

    from steelyard.schema.progress import silent

    stop = Event()

    def ask_to_stop(_number: int, _frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    out = console()

    def tell(happened: Followed) -> None:
        if as_json:
            write_json_line(happened.to_json())
        else:
            _show_followed(out, happened)

    try:
        workspace.watch(tell, stop, silent, poll_s=poll_s)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(done: IngestReport) -> str:
    changed = done.added + done.updated + done.deleted or done.remade
    state = "in force" if changed else "unchanged"
    remade = (
        "; every passage was made anew, because the encoder or the way of cutting is another one" if done.remade else ""
    )
    return (
        f"generation {done.generation} {state}: {done.added} added, {done.updated} updated, {done.deleted} deleted, "
        f"{done.unchanged} unchanged; {done.passages:,} passages; {done.seconds:.1f} s{remade}"
    )


def _show_failed(out: Console, failed: Sequence[tuple[str, str]]) -> None:
    from rich.text import Text

    for path, reason in failed:
        out.print(Text.assemble(("not read", "yellow"), f" {path}: {reason}"))


def _show_followed(out: Console, happened: Followed) -> None:
    from rich.text import Text

    at = f"{happened.at.astimezone():%H:%M:%S}"
    if happened.event == "watching":
        how = "looking at the sources at intervals" if happened.polling else "following the sources"
        out.print(f"{at} {how}; Ctrl-C ends", markup=False)
    elif happened.event == "stopped":
        out.print(f"{at} stopped; the last generation goes on answering", markup=False)
    elif happened.report is not None:
        waited = max(happened.lag_s.values(), default=None)
        lag = "" if waited is None else f"; answering {waited:.1f} s after the change"
        out.print(f"{at} {_summary(happened.report)}{lag}", markup=False)
        _show_failed(out, happened.report.failed)
    elif happened.error is not None:
        again = f"; next try in {happened.retry_s:.0f} s" if happened.retry_s else ""
        out.print(Text.assemble(f"{at} ", ("failed", "red"), f" {happened.error}{again}"))
