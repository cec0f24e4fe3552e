"""Takes rows out of a LanceDB table so that no file holds them any more."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.stores.lance_library import connect
from steelyard.stores.rows import Numbers

SPOOL = ".purge.arrow"
"""The rows that stay, while the table is written anew from them."""

SPOOL_ROWS = 50_000
"""Rows read at a time: at 384 numbers about 100 MB."""


def rewrite(folder: Path, name: str, table: Any, kept: Numbers) -> Any:
    """Write the table anew with the rows whose `number` is in `kept` (ascending), numbered from 0 again; the open table.

    Readers see the table of before or of after. Deleting rows in place would leave them in the data files until a compaction that
    LanceDB does only where enough of a file is gone, so every file is written again. Call `clean` afterwards to remove the old ones.
    """
    import pyarrow as pa

    spool = folder / SPOOL
    try:
        # Through a file, not a generator over the table: LanceDB reads and writes on one thread, and would wait for itself.
        with pa.OSFile(str(spool), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            for start in range(0, len(kept), SPOOL_ROWS):
                writer.write_table(_part(table, kept[start : start + SPOOL_ROWS], start))
        with pa.memory_map(str(spool)) as source:
            batches = pa.ipc.open_file(source)
            rows = (batches.get_batch(number) for number in range(batches.num_record_batches)) if len(kept) else None
            made = connect(folder).create_table(name, rows, schema=table.schema, mode="overwrite")
    finally:
        spool.unlink(missing_ok=True)
    return made


def clean(folder: Path, table: Any) -> None:
    """Remove every file that only earlier versions of the table use; nobody may be staging meanwhile."""
    (folder / SPOOL).unlink(missing_ok=True)
    with _quiet():
        table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)


def _part(table: Any, kept: Numbers, first: int) -> Any:
    """The rows of these numbers, in their order, numbered from `first`."""
    import pyarrow as pa

    span = f"number >= {int(kept[0])} AND number <= {int(kept[-1])}"
    rows = table.search().where(span).limit(None).to_arrow().select(table.schema.names).sort_by("number")
    rows = rows.filter(pa.array(np.isin(rows.column("number").to_numpy(), kept)))
    place = table.schema.get_field_index("number")
    return rows.set_column(place, "number", pa.array(range(first, first + rows.num_rows), pa.int64())).cast(
        table.schema
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """LanceDB warns that readers of old versions fail now; the store reads again when that happens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
