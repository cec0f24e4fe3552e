"""`serve`: the HTTP API and the page."""

from __future__ import annotations

from typing import Annotated

import typer

from steelyard.cli.output import open_workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default takes requests of this machine only.", metavar="H")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535, metavar="P")] = 8642,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1, max=64, metavar="N")] = 1,
) -> None:
    """Serve the release in force: one endpoint for the whole pipeline, one for each part, and the page.

    Releases, rollbacks and ingests in other processes are followed at once. Stop it with Ctrl-C or SIGTERM: requests that run are
    finished first. A worker that dies is started again.
    """
    from steelyard.server.process import run_server

    run_server(open_workspace(context).folder, host=host, port=port, workers=workers, tell=typer.echo)
