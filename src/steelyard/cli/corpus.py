"""`generations`, `compact`, `erase` and `doctor`: the corpus through time, and its health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.schema.upkeep import EraseReport

PANEL = "Keep the corpus healthy"

generations = typer.Typer(help="The corpus through time: list its generations, go back to one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(generations, name="generations", rich_help_panel=PANEL)
    app.command("compact", rich_help_panel=PANEL)(compact)
    app.command("erase", rich_help_panel=PANEL)(erase)
    app.command("doctor", rich_help_panel=PANEL)(doctor)


@generations.command("list")
def list_generations(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Every generation of the corpus that is kept, and which one answers."""
    found = open_workspace(context).generations()
    if as_json:
        write_json({"generations": [one.to_json() for one in found]})
        return
    out = console()
    if not found:
        out.print("nothing is ingested yet: steelyard ingest")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head, side in (
        ("generation", "right"),
        ("shows", "left"),
        ("documents", "right"),
        ("passages", "right"),
        ("", "left"),
    ):
        table.add_column(head, justify=side)  # type: ignore[arg-type]
    for one in found:
        state = "[green]answers[/green]" if one.answers else ""
        table.add_row(str(one.number), f"{one.as_of:%Y-%m-%d %H:%M}", f"{one.documents:,}", f"{one.passages:,}", state)
    out.print(table)


@generations.command("use")
def use_generation(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The generation, as `generations list` shows it.", metavar="N", min=1)],
    as_json: JsonFlag = False,
) -> None:
    """Let an earlier (or later) generation answer from now on; nothing is rebuilt, and it takes effect with the next query.

    What was revoked or erased since stays so. The next change of the sources makes a generation that answers again.
    """
    used = open_workspace(context).use_generation(number)
    if as_json:
        write_json(used.to_json())
        return
    console().print(f"generation {used.number} answers: {used.documents:,} documents, {used.passages:,} passages")


def compact(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove the generations that the settings keep_generations and keep_days do not keep, with all that only they held.

    Kept are the newest, those that answered lately, the one in force, and those that a release pins. What a measured answer cites
    keeps its text. Earlier dates cannot be asked afterwards. Kept answers of a generator go by keep_answers_days and
    keep_answers_mb.
    """
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.compact(report, dry_run=dry_run)
    if as_json:
        write_json(done.to_json())
        return
    out = console()
    would = "would go" if dry_run else "gone"
    if done.answers or not done.kept:
        out.print(
            f"kept answers of a generator {would}: {done.answers:,}; what needs them is asked again", markup=False
        )
    if not done.kept:
        return
    names = _runs_of(done.dropped) if done.dropped else "none"
    out.print(f"generations {would}: {names}; kept: {_runs_of(done.kept)}", markup=False)
    if done.first_kept is not None:
        out.print(f"the first date that can be asked: {done.first_kept:%Y-%m-%d}", markup=False)
    if not dry_run:
        out.print(
            f"removed {done.versions:,} document states and {done.passages:,} passages; "
            f"{done.bytes_before / 2**20:,.1f} MiB before, {done.bytes_after / 2**20:,.1f} MiB now; {done.seconds:.1f} s"
        )


def erase(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            help="Documents, patterns such as 'docs/hr/**', or content hashes (SHA-256).", metavar="DOCUMENT"
        ),
    ],
    why: Annotated[str, typer.Option(help="The reason, for the record.", metavar="TEXT")] = "",
    lift: Annotated[
        bool, typer.Option("--lift", help="Let them be taken in again by the next ingest, instead.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and what would be left.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Erase documents: from now on nobody is answered from them, in any generation, and every file that holds them is cleaned.

    They are not taken in again, whatever the sources hold, until --lift. Exit code 1 when their text was still found in a file
    below .steelyard afterwards; what the command does not touch (your own files, git) is listed.
    """
    workspace = open_workspace(context)
    if lift:
        lifted = workspace.lift_erasure(names, why=why)
        if as_json:
            write_json({"lifted": lifted})
        else:
            console().print(f"lifted: {', '.join(lifted)}; the next ingest takes them in again", markup=False)
        return
    with progress() as report:
        done = workspace.erase(names, why=why, dry_run=dry_run, report=report)
    if as_json:
        write_json(done.to_json())
    else:
        _show_erased(console(), done)
    if done.found:
        raise typer.Exit(1)


def doctor(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what can be made from the library or the sources.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check every file below .steelyard: databases, stored texts, the index against the library, vectors, access, models, runs.

    Exit code 1 when an error is left. With --repair the index is made again from the library, the library from the sources where
    their bytes are still there, and what cannot be had is named.
    """
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.doctor(report, repair=repair)
    if as_json:
        write_json(done.to_json())
    else:
        from steelyard.cli.tables import show_findings

        out = console()
        for text in done.repaired:
            out.print(f"repaired: {text}", markup=False)
        show_findings(out, done.findings)
        out.print(
            f"{done.passages:,} passages of the index compared with the library; {done.seconds:.1f} s", style="dim"
        )
    if not done.healthy:
        raise typer.Exit(1)


def _show_erased(out: Console, done: EraseReport) -> None:
    named = ", ".join(done.documents) or f"{len(done.versions)} versions"
    if done.dry_run:
        out.print(f"would be erased: {named}", markup=False)
    else:
        out.print(f"erased: {named}; {done.passages:,} passages removed; {done.seconds:.1f} s", markup=False)
    for name, found in (("run records", done.runs), ("fitted candidates", done.models)):
        if found:
            went = "would go" if done.dry_run else "removed"
            out.print(f"{name} that quoted them, {went}: {', '.join(found)}", markup=False)
    if done.texts:
        out.print(f"feedback and kept questions that quoted them, emptied: {done.texts}", markup=False)
    for one in done.left:
        out.print(f"left: {one.place}: {one.why}", markup=False)
    for place in done.found:
        hint = " (a kept question quotes it: `steelyard audit cut`)" if place.startswith("audit.sqlite") else ""
        out.print(f"STILL FOUND in .steelyard/{place}{hint}", markup=False)


def _runs_of(numbers: tuple[int, ...]) -> str:
    """Numbers with their runs drawn together.

    >>> _runs_of((1, 2, 3, 7, 9, 10))
    '1 to 3, 7, 9 to 10'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
