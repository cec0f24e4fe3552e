"""`bench`: the numbers that the docs quote, reproduced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import JsonFlag, console, progress, write_json
from steelyard.evaluation.benchmarks import BENCHMARKS


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    name: Annotated[str, typer.Argument(help=f"{', '.join(BENCHMARKS)}, or all.", metavar="NAME")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets; default: $STEELYARD_SHARED/data or ../shared/data.", metavar="DIR"),
    ] = None,
    peers: Annotated[
        Path | None,
        typer.Option(
            help="Python that has the libraries which `store`, `ingest`, `serve` and `finetune` compare with.",
            metavar="PYTHON",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="Minutes of soak that `serve` adds: clients stream while much happens.", metavar="N")
    ] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Run a benchmark on open data sets, beside a named peer in the same run.

    What each measures and the published figures: docs/benchmarks.md. A data set that is not there is left out, and said so.
    """
    from steelyard.evaluation.benchmarks import run_benchmark

    with progress() as report:
        result = run_benchmark(name, data, report, peers, minutes)
    if as_json:
        write_json(result)
        return
    from steelyard.cli.tables import show_bench

    show_bench(console(), result)
