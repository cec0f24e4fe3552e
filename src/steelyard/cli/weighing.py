"""`train` and `weigh`: build the candidates, measure them, decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

if TYPE_CHECKING:
    from steelyard.schema.spending import Foresight
    from steelyard.workspace import Workspace

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Build and measure nothing; show the calls to the generator that it would make, their tokens, USD and minutes.",
    ),
]


Sample = Annotated[
    bool,
    typer.Option(
        "--sample",
        help="With --dry-run: make some calls of each candidate (ten, or up to a quarter of them), and a few steps of each local tuning. "
        "The calls are paid; their answers are kept, and the run itself does not ask again.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("train")(train)
    app.command("weigh")(weigh)


def train(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            help="One component, or one of its candidates; default: all.", metavar="[COMPONENT[/CANDIDATE]]"
        ),
    ] = None,
    budget_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds that each candidate may train weights in; default: `tuning_s` under `models` in the settings.",
            metavar="N",
            min=1,
        ),
    ] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Fit nothing; show what every fit took so far.")] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Fit nothing; say whether to train again, and why or why not.")
    ] = False,
    dry_run: DryRun = False,
    sample: Sample = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit and calibrate candidates, and register what comes out; unchanged inputs are not fitted again.

    `--why` counts the labels that are new since the recommended version was fitted, looks whether they are of another kind, and holds
    the forecast of its learning curve against the cost of an update.
    A training that was cut off goes on where it was. The ledger has seconds, processor seconds, energy and USD of every fit. Energy is
    an estimate, processor seconds x `cpu_watts`, unless the processor's own counters may be read.
    """
    _require_dry_run(sample=sample, dry_run=dry_run)
    workspace = open_workspace(context)
    if why:
        _show_why(workspace, target, as_json=as_json)
        return
    if ledger:
        _show_ledger(workspace, target, as_json=as_json)
        return
    if dry_run:
        with progress() as report:
            foreseen = workspace.foresee_training(target, report, sampling=sample)
        _show_foreseen(foreseen, as_json=as_json)
        return
    with progress() as report:
        trained = workspace.train(target, report, budget_s=budget_s)
    if as_json:
        write_json(trained.to_json())
        return
    from steelyard.cli.tables import show_trained

    show_trained(console(), trained)


def _require_dry_run(*, sample: bool, dry_run: bool) -> None:
    if sample and not dry_run:
        raise typer.BadParameter("it goes with --dry-run.", param_hint="--sample")


def _show_foreseen(foreseen: Foresight, *, as_json: bool) -> None:
    if as_json:
        write_json(foreseen.to_json())
        return
    from steelyard.cli.spending_view import show_foreseen

    show_foreseen(console(), foreseen)


def _show_why(workspace: Workspace, target: str | None, *, as_json: bool) -> None:
    with progress() as report:
        found = workspace.retraining(None if target is None else target.partition("/")[0], report)
    if as_json:
        write_json({"components": {one.component: one.to_json() for one in found}})
        return
    from steelyard.cli.training_view import show_why

    show_why(console(), found)


def _show_ledger(workspace: Workspace, target: str | None, *, as_json: bool) -> None:
    entries = workspace.ledger(target)
    if as_json:
        write_json({"entries": [entry.to_json() for entry in entries]})
        return
    from steelyard.cli.training_view import show_ledger

    show_ledger(console(), entries)


def weigh(
    context: typer.Context,
    component: Annotated[
        list[str] | None, typer.Option("--component", help="Only this component; repeat for more.", metavar="C")
    ] = None,
    budget_s: Annotated[
        float | None, typer.Option(help="Stop building candidates after this many seconds.", metavar="N", min=1)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of every draw; default: `seed` under `measure` in the settings.", metavar="N"),
    ] = None,
    dry_run: DryRun = False,
    sample: Sample = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure every candidate on the sealed holdout, price it, and recommend what to run for each component.

    Trains what is not trained yet. Writes report.html, decision.md and decision.json into the workspace; with --component the files
    carry the names of the components, and the record of the whole stays.
    """
    _require_dry_run(sample=sample, dry_run=dry_run)
    workspace = open_workspace(context)
    if dry_run:
        with progress() as report:
            foreseen = workspace.foresee_weighing(component or [], report, sampling=sample)
        _show_foreseen(foreseen, as_json=as_json)
        return
    with progress() as report:
        weighed = workspace.weigh(component or [], budget_s=budget_s, seed=seed, report=report)
    if as_json:
        write_json(weighed.to_json())
        return
    from steelyard.cli.tables import show_weighed

    show_weighed(console(), weighed, workspace.folder)
