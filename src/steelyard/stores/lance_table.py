"""How passages lie in a LanceDB table: schema, rows in and out, and the filter that says who may see what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from steelyard.schema.corpus import Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Vectors
from steelyard.stores.rows import OPEN, Holder, Rows

TABLE = "passages"

PAYLOAD = (
    "id",
    "document",
    "version",
    "title",
    "start",
    "end",
    "text",
    "heading",
    "page",
    "allow",
    "deny",
    "valid_from",
)
"""The columns a passage is made of."""

STATE = ("number", "id", "document", "version", "added", "retired", "allow", "deny")
"""The columns that say which rows exist, of what, when, and for whom."""


def to_arrow(passages: Sequence[Passage], vectors: Vectors, first_number: int, generation: int) -> Any:
    """The rows to add: `passages` numbered from `first_number`, in force from `generation` on, as an Arrow table."""
    import pyarrow as pa

    count = len(passages)
    names = pa.list_(pa.string())
    # Access as lists of strings: LanceDB silently leaves the index of a list<int32> column unused.
    columns = {
        "number": pa.array(range(first_number, first_number + count), pa.int64()),
        "added": pa.array([generation] * count, pa.int64()),
        "retired": pa.array([OPEN] * count, pa.int64()),
        **{
            name: pa.array([getattr(entry, name) for entry in passages], pa.string())
            for name in ("id", "document", "version", "title", "text")
        },
        "start": pa.array([entry.start for entry in passages], pa.int64()),
        "end": pa.array([entry.end for entry in passages], pa.int64()),
        "heading": pa.array([list(entry.heading) for entry in passages], names),
        "page": pa.array([entry.page for entry in passages], pa.int32()),
        "allow": pa.array([list(entry.access.allow) for entry in passages], names),
        "deny": pa.array([list(entry.access.deny) for entry in passages], names),
        "valid_from": pa.array([entry.valid_from for entry in passages], pa.timestamp("us", tz="UTC")),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]),
    }
    return pa.table(columns)


def to_passages(table: Any) -> list[Passage]:
    """The passages in an Arrow table that has the PAYLOAD columns, in its order."""
    columns = {name: table.column(name).to_pylist() for name in PAYLOAD}
    return [
        Passage(
            id=columns["id"][row],
            document=columns["document"][row],
            version=columns["version"][row],
            title=columns["title"][row],
            start=columns["start"][row],
            end=columns["end"][row],
            text=columns["text"][row],
            heading=tuple(columns["heading"][row]),
            page=columns["page"][row],
            access=Access(allow=tuple(columns["allow"][row]), deny=tuple(columns["deny"][row])),
            valid_from=columns["valid_from"][row],
        )
        for row in range(table.num_rows)
    ]


def to_vectors(table: Any, dim: int) -> Vectors:
    """The vectors in an Arrow table, float32, (rows, dim)."""
    flat = table.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: Vectors = np.ascontiguousarray(flat, dtype=np.float32).reshape(-1, dim)
    return vectors


def visible(scope: Scope, generation: int) -> str:
    """The SQL condition of the rows that `scope` may see in `generation`; deny beats allow, and an empty allow means nobody."""
    names = texts(scope.principals)
    return (
        f"added <= {int(generation)} AND retired > {int(generation)} "
        f"AND array_has_any(allow, [{names}]) AND NOT array_has_any(deny, [{names}])"
    )


def any_of(column: str, values: Iterable[int | str]) -> str:
    """The SQL condition that `column` is one of `values`."""
    listed = ", ".join(_text(value) if isinstance(value, str) else str(int(value)) for value in values)
    return f"{column} IN ({listed})"


def as_list(values: Iterable[str]) -> str:
    """The SQL of a list of strings, the empty one too."""
    listed = texts(values)
    return f"make_array({listed})" if listed else "arrow_cast(make_array(), 'List(Utf8)')"


def texts(values: Iterable[str]) -> str:
    """Strings as SQL, with commas between them."""
    return ", ".join(map(_text, values))


def _text(value: str) -> str:
    # Standard SQL: a quote is doubled, a backslash is a plain character.
    return "'" + value.replace("'", "''") + "'"


def in_order(data: Any) -> Any:
    """The Arrow table by row number; sorting copies every text and vector, so only where updates moved rows."""
    numbers = data.column("number").to_numpy()
    return data if (numbers[1:] > numbers[:-1]).all() else data.sort_by("number")


def state_rows(data: Any) -> Rows:
    """The rows of an Arrow table that has the STATE columns, in its order."""
    allow, deny = data.column("allow").to_pylist(), data.column("deny").to_pylist()
    codes: dict[Access, int] = {}
    rule = [
        codes.setdefault(Access(allow=tuple(may), deny=tuple(may_not)), len(codes))
        for may, may_not in zip(allow, deny, strict=True)
    ]
    holders: dict[Holder, int] = {}
    holder = [
        holders.setdefault(pair, len(holders))
        for pair in zip(data.column("document").to_pylist(), data.column("version").to_pylist(), strict=True)
    ]
    return Rows(
        tuple(data.column("id").to_pylist()),
        data.column("added").to_numpy().astype(np.int64),
        data.column("retired").to_numpy().astype(np.int64),
        np.array(rule, dtype=np.int64),
        tuple(codes),
        np.array(holder, dtype=np.int64),
        tuple(holders),
    )
