"""`canary` and `shadow`: versions tried beside production."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

canary = typer.Typer(
    no_args_is_help=True, help="Let a version answer a share of the callers; it is stopped by itself when it is worse."
)
shadow = typer.Typer(
    no_args_is_help=True, help="Ask a version what production is asked, compare, and answer nobody with it."
)

Targets = Annotated[
    list[str],
    typer.Argument(
        help="What to try, e.g. intent/linear@3; one for each component.", metavar="COMPONENT/CANDIDATE@VERSION..."
    ),
]
Why = Annotated[str, typer.Option(help="The reason, kept in the history.", metavar="TEXT")]


class SplitBy(StrEnum):
    """What decides which side answers a request."""

    caller = "caller"
    request = "request"


def register(app: typer.Typer) -> None:
    """Add the groups of commands."""
    app.add_typer(canary, name="canary")
    app.add_typer(shadow, name="shadow")


@canary.command("start")
def start_canary(
    context: typer.Context,
    target: Targets,
    share: Annotated[
        float, typer.Option(help="Share of the requests that it answers, up to 0.5.", metavar="SHARE")
    ] = 0.05,
    by: Annotated[
        SplitBy, typer.Option(help="A caller stays on one side, or every request is drawn (for few callers).")
    ] = SplitBy.caller,
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Begin a canary: running servers take it up at once, and stop it when errors, refusals, latency or feedback are shown to be worse."""
    made = open_workspace(context).start_trial("canary", target, share=share, split_by=by.value, why=why)
    if as_json:
        write_json(made.to_json())
        return
    out = console()
    out.print(
        f"canary {made.number} answers {made.share:.0%} of the {by.value}s: {', '.join(made.names)}", markup=False
    )
    out.print("see it with `steelyard canary status`; end it with `canary stop` or `canary promote`.", style="dim")


@canary.command("status")
def canary_status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the newest canary beside production: each figure, the evidence that it is worse, and whether it was stopped."""
    found = open_workspace(context).canary()
    if as_json:
        write_json(found.to_json())
        return
    from steelyard.cli.trial_view import show_canary

    show_canary(console(), found)


@canary.command("stop")
def stop_canary(context: typer.Context, why: Why = "", as_json: JsonFlag = False) -> None:
    """End the canary; production answers everybody from the next request on."""
    _stopped(open_workspace(context).stop_trial("canary", why), as_json=as_json)


@canary.command("promote")
def promote_canary(context: typer.Context, why: Why = "", as_json: JsonFlag = False) -> None:
    """Release what the canary tries, when it passes every gate; exit code 1 and the canary goes on when one fails."""
    workspace = open_workspace(context)
    with progress() as report:
        done = workspace.promote_canary(why=why, report=report)
    if as_json:
        write_json(done.to_json())
    else:
        from steelyard.cli.release_view import show_promotion

        show_promotion(console(), done, dry_run=False)
    if done.refused:
        raise typer.Exit(1)


@shadow.command("start")
def start_shadow(
    context: typer.Context,
    target: Targets,
    share: Annotated[
        float, typer.Option(help="Share of the requests that it is asked as well.", metavar="SHARE")
    ] = 0.1,
    why: Why = "",
    as_json: JsonFlag = False,
) -> None:
    """Begin a shadow: running servers ask it a share of what they answer, and keep how often it says the same."""
    made = open_workspace(context).start_trial("shadow", target, share=share, split_by="request", why=why)
    if as_json:
        write_json(made.to_json())
        return
    console().print(
        f"shadow {made.number} is asked {made.share:.0%} of the requests: {', '.join(made.names)}", markup=False
    )


@shadow.command("status")
def shadow_status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the newest shadow beside production: how often each component says the same, and on which requests it does not."""
    found = open_workspace(context).shadow()
    if as_json:
        write_json(found.to_json())
        return
    from steelyard.cli.trial_view import show_shadow

    show_shadow(console(), found)


@shadow.command("stop")
def stop_shadow(context: typer.Context, why: Why = "", as_json: JsonFlag = False) -> None:
    """End the shadow."""
    _stopped(open_workspace(context).stop_trial("shadow", why), as_json=as_json)


def _stopped(trial: object, *, as_json: bool) -> None:
    from steelyard.schema.trials import Trial

    assert isinstance(trial, Trial)
    if as_json:
        write_json(trial.to_json())
        return
    console().print(f"{trial.kind} {trial.number} has ended; production answers everybody.", markup=False)
