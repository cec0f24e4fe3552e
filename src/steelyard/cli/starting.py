"""`demo` and `init`: the first minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, progress, write_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("demo")(demo)
    app.command("init")(init)


def demo(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to lay it out.")] = Path("steelyard-demo"),
    as_json: JsonFlag = False,
) -> None:
    """Lay out the example workspace and run check, ingest, train and weigh on it.

    The example is the support desk of a fictional vendor: documents with 24 months of history for three audiences, labelled messages,
    dated questions, approved replies. Run it again and only what changed is done again.
    """
    from steelyard.workspace import Workspace

    with progress() as report:
        workspace, weighed = Workspace.demo(folder, report)
    if as_json:
        write_json(weighed.to_json())
        return
    from steelyard.cli.tables import next_steps, show_weighed

    out = console()
    show_weighed(out, weighed, workspace.folder)
    next_steps(out, workspace.folder)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace folder; made when absent.")],
    docs: Annotated[
        list[Path] | None, typer.Option(help="A folder of documents; repeat for more.", metavar="D")
    ] = None,
    examples: Annotated[Path | None, typer.Option(help="Labelled messages: CSV or JSON Lines.", metavar="F")] = None,
    questions: Annotated[Path | None, typer.Option(help="Questions with answers: JSON Lines.", metavar="F")] = None,
    replies: Annotated[Path | None, typer.Option(help="Approved replies: JSON Lines.", metavar="F")] = None,
    allow: Annotated[str, typer.Option(help="The group that may see the documents.", metavar="GROUP")] = "everyone",
    facts: Annotated[Path | None, typer.Option(help="Start from a facts file of `decide`.", metavar="F")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a workspace around files you already have; the files stay where they are."""
    from steelyard.workspace import Workspace

    made = Workspace.create(
        folder, docs=docs or [], examples=examples, questions=questions, replies=replies, allow=allow, facts=facts
    )
    if as_json:
        write_json({"workspace": str(made.folder), "files": ["steelyard.toml"]})
        return
    out = console()
    out.print(f"wrote {made.folder / 'steelyard.toml'}")
    out.print(f"next: [bold]steelyard -w {made.folder} check[/bold], then ingest, train, weigh")
