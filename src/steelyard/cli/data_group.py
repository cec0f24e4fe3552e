"""`steelyard data`: versions of the labelled data, what changed between them, and their cards."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, open_workspace, progress, write_json

data = typer.Typer(help="Versions of the labelled data: commit, list, show, compare, describe.", no_args_is_help=True)

Component = Annotated[str | None, typer.Argument(help="One component; default: all.", metavar="[COMPONENT]")]
NAMES = "COMPONENT@NUMBER, the beginning of a content hash, or COMPONENT for its file as it is now."


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(data, name="data")


@data.command("commit")
def commit(
    context: typer.Context,
    component: Component = None,
    note: Annotated[str, typer.Option(help="Why this version was made.", metavar="TEXT")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Keep the rows as they are now as a version, named by content; unchanged rows make none.

    `train` and `weigh` do the same before they fit, so that what a candidate learned from can always be shown.
    """
    workspace = open_workspace(context)
    with progress() as report:
        made = workspace.datasets.commit(component, note=note, report=report)
    if as_json:
        write_json({"versions": [{**version.to_json(), "new": new} for version, new in made]})
        return
    from steelyard.cli.data_view import show_committed

    show_committed(console(), made)


@data.command("versions")
def versions(context: typer.Context, component: Component = None, as_json: JsonFlag = False) -> None:
    """List the versions of the labelled data: rows, parts of the split, when, who, and what each followed."""
    found = open_workspace(context).datasets.versions(component)
    if as_json:
        write_json({"versions": [one.to_json() for one in found]})
        return
    from steelyard.cli.data_view import show_datasets

    show_datasets(console(), found)


@data.command("show")
def show(
    context: typer.Context, name: Annotated[str, typer.Argument(help=NAMES, metavar="NAME")], as_json: JsonFlag = False
) -> None:
    """Print the rows of a version as they were, as JSON Lines that Steelyard reads again; with --json as one object."""
    from steelyard.dataset.content import content_row

    rows = [content_row(item) for item in open_workspace(context).datasets.rows(name)]
    if as_json:
        write_json({"name": name, "rows": rows})
        return
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


@data.command("diff")
def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help=NAMES, metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="The same.", metavar="AFTER")],
    as_json: JsonFlag = False,
) -> None:
    """Show rows added, removed and changed between two versions: labels, answers, replies, parts of the split."""
    found = open_workspace(context).datasets.diff(before, after)
    if as_json:
        write_json(found.to_json())
        return
    from steelyard.cli.data_view import show_diff

    show_diff(console(), found)


@data.command("card")
def card(context: typer.Context, component: Component = None, as_json: JsonFlag = False) -> None:
    """Write data-card-COMPONENT.md: origin, size, split, labels, texts, repeats, personal data, known issues, licence.

    The same data gives the same card. Origin and licence come from the component's settings.
    """
    workspace = open_workspace(context)
    with progress() as report:
        files = [path.name for path in workspace.datasets.cards(component, report=report)]
    if as_json:
        write_json({"files": files})
        return
    for name in files:
        console().print(f"written: {workspace.folder / name}", markup=False, soft_wrap=True)


@data.command("curve")
def curve(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="Default candidate: the recommended one.", metavar="COMPONENT[/CANDIDATE]")
    ],
    labels: Annotated[
        list[int] | None, typer.Option(help="Forecast that many more labels; repeat for more.", metavar="N", min=1)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure how right a candidate is with 10, 25, 50 and 100 % of the labels, and price what more of them would bring.

    Validation rows only; the holdout stays sealed. What was measured is kept, so an interrupted curve goes on. Writes the picture
    curve-COMPONENT-CANDIDATE.svg, and the report of the next weigh shows it.
    """
    workspace = open_workspace(context)
    with progress() as report:
        made, picture = workspace.curve(target, labels or (), report)
    if as_json:
        write_json({**made.to_json(), "files": {"chart": picture.name}})
        return
    from steelyard.cli.data_view import show_curve

    show_curve(console(), made)
    console().print(f"written: {picture}", markup=False, soft_wrap=True)
