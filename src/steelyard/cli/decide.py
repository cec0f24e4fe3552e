"""`steelyard decide`: which approach, before any data exists."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import JsonFlag, console, write_json

if TYPE_CHECKING:
    from steelyard.schema.decision import Facts, FactSheet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("decide", rich_help_panel="Decide without data")(decide)


def decide(
    facts: Annotated[
        Path | None,
        typer.Option("--facts", "-f", metavar="FILE", help="The facts, JSON; what it leaves out is unknown."),
    ] = None,
    queries: Annotated[str | None, typer.Option(metavar="N", help="Requests a month: 120000, 120k, 2.5M.")] = None,
    updates: Annotated[
        str | None, typer.Option(metavar="N", help="Knowledge changes a year: a number, or weekly, monthly, ...")
    ] = None,
    behaviour: Annotated[
        str | None, typer.Option(metavar="KIND", help="facts, style, format, classification or mixed.")
    ] = None,
    citations: Annotated[bool | None, typer.Option(help="Answers must cite their sources.")] = None,
    audit: Annotated[bool | None, typer.Option(help="Answers must stand an audit.")] = None,
    scoping: Annotated[bool | None, typer.Option(help="Users see different parts of the knowledge.")] = None,
    corpus_tokens: Annotated[str | None, typer.Option(metavar="N", help="Size of the knowledge in tokens.")] = None,
    latency_ms: Annotated[str | None, typer.Option(metavar="N", help="Milliseconds a request may take.")] = None,
    examples: Annotated[str | None, typer.Option(metavar="N", help="Labelled examples there are.")] = None,
    prompt_examples_tokens: Annotated[
        str | None, typer.Option(metavar="N", help="Tokens of examples a prompt would need.")
    ] = None,
    mlops: Annotated[bool | None, typer.Option(help="The team carries model operations.")] = None,
    ir_ops: Annotated[bool | None, typer.Option(help="The team carries retrieval operations.")] = None,
    ask: Annotated[bool, typer.Option(help="On a terminal, ask for what is missing and matters.")] = True,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot; the ending chooses .svg, .png or .html.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Which approach to run, why, and what would change it; from facts alone, in a minute.

    Without --facts it asks on a terminal: three questions, then only what can still change the verdict.
    """
    from steelyard.schema.decision import FactSheet

    given = {
        "queries_per_month": queries,
        "knowledge_update_per_year": updates,
        "behaviour": behaviour,
        "needs_citations": citations,
        "needs_audit": audit,
        "per_user_scoping": scoping,
        "corpus_tokens": corpus_tokens,
        "latency_budget_ms": latency_ms,
        "examples_count": examples,
        "prompt_examples_tokens": prompt_examples_tokens,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if facts is not None:
        sheet = _from_file(facts, given, (mlops, ir_ops))
    else:
        known = _from_flags(given, mlops, ir_ops)
        if ask and not as_json and sys.stdin.isatty() and sys.stderr.isatty():
            known = _interview(known)
        sheet = FactSheet(components=(known,))
    _answer(sheet, plot, as_json)


def _answer(sheet: FactSheet, plot: Path | None, as_json: bool) -> None:
    from steelyard.decision.recommend import decide as decide_all

    decision = decide_all(sheet)
    if plot is not None:
        from steelyard.decision.plots import save_plot

        save_plot(sheet, decision, plot)
    if as_json:
        write_json(decision.to_json() | ({"plot": str(plot)} if plot else {}))
        return
    from steelyard.cli.decide_view import view

    terminal = console()
    terminal.print(view(sheet, decision, width=terminal.width))
    if plot is not None:
        terminal.print(f"Plot written to {plot}", style="dim", soft_wrap=True)


def _from_file(path: Path, given: dict[str, Any], skills: tuple[bool | None, bool | None]) -> FactSheet:
    from steelyard.decision.facts import read_facts
    from steelyard.schema.errors import FactsError

    if given or skills != (None, None):
        named = ", ".join(given) or "team_skills"
        raise FactsError(
            f"--facts and flags for single facts ({named}) were both given.",
            where="decide",
            remedy="Put the facts into the file, or leave --facts out.",
            code="facts.two_sources",
        )
    return read_facts(path)


def _from_flags(given: dict[str, Any], mlops: bool | None, ir_ops: bool | None) -> Facts:
    from dataclasses import replace

    from steelyard.decision.interview import Interview
    from steelyard.schema.decision import TeamSkills

    talk = Interview()
    for key, value in given.items():
        talk.answer(key, value if isinstance(value, str) else "yes" if value else "no")
    return replace(talk.facts, team_skills=TeamSkills(mlops=mlops, ir_ops=ir_ops))


def _interview(known: Facts) -> Facts:
    """Ask on stderr, so that what stands on stdout is the result alone."""
    from rich.console import Console

    from steelyard.decision.facts import FIELDS
    from steelyard.decision.interview import Interview, hint
    from steelyard.schema.errors import FactsError

    terminal = Console(stderr=True, highlight=False)
    terminal.print(
        "[bold]Three questions decide most cases; then only what still matters.[/bold]  [dim]Enter: do not know[/dim]\n"
    )
    talk = Interview(facts=known)
    number = 0
    while (key := talk.next_question()) is not None:
        number += 1
        terminal.print(f"[bold cyan]{number}[/bold cyan]  {FIELDS[key].question}")
        terminal.print(f"   [dim]{hint(key)}[/dim]")
        try:
            talk.answer(key, terminal.input("   > "))
        except EOFError:
            break
        except FactsError as error:
            number -= 1
            terminal.print(f"   [yellow]{error.message} {error.remedy}[/yellow]")
    left = "nothing that is still unknown can change it" if not talk.left_open else "what was left open stays unknown"
    terminal.print(f"\n[dim]That is enough: {left}.[/dim]\n")
    return talk.facts
