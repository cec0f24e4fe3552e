"""`feedback`: what people said of answers, and what becomes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, write_json

feedback = typer.Typer(
    no_args_is_help=True, help="Review what people said of answers; what is accepted becomes labelled rows."
)

Number = Annotated[int, typer.Argument(help="The number of the feedback.", metavar="NUMBER")]


class State(StrEnum):
    """Where a piece of feedback stands."""

    new = "new"
    accepted = "accepted"
    rejected = "rejected"


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(feedback, name="feedback")


@feedback.command("list")
def list_feedback(
    context: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only what stands so.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List what people said of answers, oldest first."""
    found = open_workspace(context).feedback(None if state is None else state.value)
    if as_json:
        write_json({"feedback": [one.to_json() for one in found]})
        return
    out = console()
    if not found:
        out.print("nobody has said anything yet; askers do with POST /api/feedback.")
        return
    for one in found:
        about = one.component or "the whole answer"
        out.print(f"{one.number}  {one.at[:16].replace('T', ' ')}  {one.verdict}  {about}  {one.state}", markup=False)
        said = {
            "asked": one.question,
            "label": one.label,
            "answer": one.answer,
            "comment": one.comment,
            "by": one.caller,
        }
        for name, value in said.items():
            if value:
                out.print(f"    {name}: {value}", markup=False)


@feedback.command("accept")
def accept(
    context: typer.Context,
    number: Number,
    component: Annotated[str | None, typer.Option(help="The component to learn from it.", metavar="NAME")] = None,
    label: Annotated[str | None, typer.Option(help="The right label, for a router.", metavar="LABEL")] = None,
    answer: Annotated[str | None, typer.Option(help="The right answer or reply.", metavar="TEXT")] = None,
    text: Annotated[str | None, typer.Option(help="What was asked, where it was not kept.", metavar="TEXT")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Add what was said to the component's examples as a row for training, never for the holdout, and keep the new data version."""
    done, made = open_workspace(context).accept_feedback(
        number, component=component, label=label, answer=answer, text=text
    )
    if as_json:
        write_json({"feedback": done.to_json(), "dataset": made.to_json()})
        return
    console().print(
        f"feedback {number} is a row of {made.component} now: data version {made.number}, {made.dataset[:12]}",
        markup=False,
    )


@feedback.command("reject")
def reject(context: typer.Context, number: Number, as_json: JsonFlag = False) -> None:
    """Put it aside; it stays in the list."""
    done = open_workspace(context).reject_feedback(number)
    if as_json:
        write_json(done.to_json())
        return
    console().print(f"feedback {number} is rejected", markup=False)
