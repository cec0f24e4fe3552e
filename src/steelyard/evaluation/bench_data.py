"""`steelyard bench data`: 100,000 rows committed, committed again with changes, read back and compared; Parquet files beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from steelyard.dataset.content import content_row
from steelyard.dataset.diff import diff_items
from steelyard.dataset.history import DatasetHistory
from steelyard.schema.items import Item

ROWS = 100_000
CHANGED = 1_000
ROUNDS = 3
PEER = "pyarrow: a Parquet file for each version"


def bench_data(data_root: Path | None, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Seconds and bytes of versions of 100,000 made-up rows, one thread, medians of three rounds; needs no data.

    The second version has 1,000 other labels. The peer keeps what the rows say and knows neither lineage nor what is unchanged; the two
    take turns.
    """
    del data_root, cache
    first = made_rows(ROWS, seed=11)
    second = [replace(item, label=f"new{at}") if at < CHANGED else item for at, item in enumerate(first)]
    seconds: dict[tuple[str, str], list[float]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for done in range(ROUNDS):
        with TemporaryDirectory() as folder:
            turns = (_ours, _parquet) if done % 2 == 0 else (_parquet, _ours)
            for turn in turns:
                turn(Path(folder), first, second, seconds, sizes)
        progress(done + 1, ROUNDS)
    rows = [
        {
            "keeper": keeper,
            "step": step,
            "rows": ROWS,
            "seconds": round(median(found), 2),
            "megabytes": round(sizes[keeper, step] / 1e6, 1) if (keeper, step) in sizes else None,
        }
        for (keeper, step), found in seconds.items()
    ]
    return {"name": "data", "rows": rows}


def made_rows(count: int, seed: int) -> list[Item]:
    """Rows of 6 to 16 made-up words under 50 labels."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnoprstuvw"))
    words = np.array(["".join(rng.choice(letters, size=length)) for length in rng.integers(2, 9, size=4000)])
    texts = [" ".join(words[rng.integers(0, len(words), size=size)]) for size in rng.integers(6, 17, size=count)]
    return [
        Item(id=f"r{at}", task="classify", text=text, label=f"l{at % 50}", row=at + 2) for at, text in enumerate(texts)
    ]


def _ours(
    folder: Path,
    first: Sequence[Item],
    second: Sequence[Item],
    seconds: dict[tuple[str, str], list[float]],
    sizes: dict[tuple[str, str], int],
) -> None:
    path = folder / "datasets.sqlite"
    history = DatasetHistory(path)
    shares = {"train": 0.5, "validation": 0.2, "holdout": 0.3}

    def commit(rows: Sequence[Item]) -> None:
        history.commit("bench", rows, rows, shares=shares, seed=7, files={}, who="bench")

    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("commit", lambda: commit(first)),
        (f"commit, {CHANGED:,} changed", lambda: commit(second)),
        ("commit, unchanged", lambda: commit(second)),
        ("read a version", lambda: history.rows(history.find("bench@1"))),
        ("compare two", lambda: diff_items(first, second, ("bench@1", "bench@2"))),
    )
    for name, step in steps:
        begun = perf_counter()
        step()
        seconds.setdefault(("steelyard", name), []).append(perf_counter() - begun)
        if name.startswith("commit"):
            sizes["steelyard", name] = path.stat().st_size


def _parquet(
    folder: Path,
    first: Sequence[Item],
    second: Sequence[Item],
    seconds: dict[tuple[str, str], list[float]],
    sizes: dict[tuple[str, str], int],
) -> None:
    import pyarrow
    import pyarrow.parquet

    for number, (name, rows) in enumerate((("commit", first), (f"commit, {CHANGED:,} changed", second))):
        begun = perf_counter()
        table = pyarrow.Table.from_pylist([content_row(item) for item in rows])
        pyarrow.parquet.write_table(table, folder / f"{number}.parquet")
        seconds.setdefault((PEER, name), []).append(perf_counter() - begun)
        sizes[PEER, name] = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    begun = perf_counter()
    pyarrow.parquet.read_table(folder / "0.parquet").to_pylist()
    seconds.setdefault((PEER, "read a version"), []).append(perf_counter() - begun)
