"""`ask` and `route`: one answer, one label."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, write_json

if TYPE_CHECKING:
    from steelyard.schema.corpus import Citation


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ask")(ask)
    app.command("route")(route)


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question, in quotes.", metavar="QUESTION")],
    user: Annotated[str | None, typer.Option(help="Who asks.", metavar="U")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A group the asker is in; repeat for more.", metavar="G")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Answer from the corpus in force at the end of that day, UTC.", metavar="DATE"
        ),
    ] = None,
    generation: Annotated[int | None, typer.Option(help="Answer from this generation.", metavar="N")] = None,
    candidate: Annotated[str | None, typer.Option(help="Use this candidate, e.g. rag-dense.", metavar="C")] = None,
    component: Annotated[str | None, typer.Option(help="The answer component, when there are several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer one question from the documents the asker may see, with citations, or decline."""
    workspace = open_workspace(context)
    asked = workspace.ask(
        question,
        user=user,
        groups=group or [],
        as_of=None if as_of is None else as_of + timedelta(days=1, microseconds=-1),
        generation=generation,
        candidate=candidate,
        component=component,
    )
    if as_json:
        write_json(asked.to_json())
        return
    out = console()
    if asked.abstained:
        out.print("[yellow]No answer found in the documents you may see.[/yellow]")
    else:
        out.print(asked.answer, markup=False)
    parts = {citation.supports for citation in asked.citations}
    for citation in asked.citations:
        # One source for the whole answer needs no word of what it supports; of several each says it.
        said = f"“{asked.answer[slice(*citation.supports)]}” " if len(parts) > 1 and citation.supports else ""
        out.print(f"  {said}from {_place(citation)}", style="dim", markup=False)
        for copy in citation.copies:
            out.print(f"  also in {_place(copy)}", style="dim", markup=False)
    out.print(
        f"{asked.latency_ms:.0f} ms, {asked.candidate} v{asked.version}, generation {asked.generation}",
        style="dim",
        markup=False,
    )


def _place(citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    under = f": {' > '.join(citation.heading)}" if citation.heading else ""
    return f"{citation.document}{page}{under} (characters {citation.start} to {citation.end})"


def route(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The message, in quotes.", metavar="TEXT")],
    candidate: Annotated[str | None, typer.Option(help="Use this candidate, e.g. knn.", metavar="C")] = None,
    component: Annotated[str | None, typer.Option(help="The classify component, when there are several.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify one message: label, calibrated probability, and whether it is out of scope."""
    workspace = open_workspace(context)
    routed = workspace.route(text, candidate=candidate, component=component)
    if as_json:
        write_json(routed.to_json())
        return
    note = " (out of scope)" if routed.out_of_scope else ""
    console().print(
        f"[bold]{routed.label}[/bold]{note}  probability {routed.probability:.2f}  [dim]{routed.candidate} v{routed.version}[/dim]"
    )
