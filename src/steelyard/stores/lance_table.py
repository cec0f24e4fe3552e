"""How passages lie in a LanceDB table: schema, rows in and out, and the filter that says who may see what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from steelyard.schema.corpus import Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import StoredRows, Vectors
from steelyard.stores.rows import OPEN, Mask, Numbers, Rows
from steelyard.stores.texts import packed_headings, unpacked_headings

TABLE = "passages"
READ_ROWS = 8192  # rows taken from the table at a time

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
    "lead",
    "headings",
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
            for name in ("id", "document", "version", "title", "text", "lead")
        },
        "headings": pa.array([_as_json(entry) for entry in passages], pa.string()),
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


def state_rows(table: Any) -> Rows:
    """The rows in an Arrow table that has the STATE columns, in its order."""
    rule, rules = _coded(table, "allow", "deny")
    holder, holders = _coded(table, "document", "version")
    return Rows(
        tuple(table.column("id").to_pylist()),
        table.column("added").to_numpy().astype(np.int64),
        table.column("retired").to_numpy().astype(np.int64),
        rule,
        tuple(Access(allow=tuple(may), deny=tuple(may_not)) for may, may_not in rules),
        holder,
        tuple(holders),
    )


def _coded(table: Any, *names: str) -> tuple[Numbers, list[tuple[Any, Any]]]:
    """A number for each row, the same for equal values in both columns, and the values by that number.

    Neighbours are mostly alike (passages of one document), so only where a row differs from the one before it is Python
    asked: a million rows take a second less.
    """
    import pyarrow as pa

    columns = [table.column(name) for name in names]
    starts = np.zeros(table.num_rows, dtype=bool)
    starts[:1] = True
    for column in columns:
        starts[1:] |= _changes(pa.concat_arrays(column.chunks)) if column.num_chunks else False
    runs = np.flatnonzero(starts)
    codes: dict[tuple[Any, Any], int] = {}
    first, second = (column.take(pa.array(runs)).to_pylist() for column in columns)
    if table.schema.field(names[0]).type == pa.list_(pa.string()):
        first, second = map(tuple, first), map(tuple, second)
    numbers = [codes.setdefault(pair, len(codes)) for pair in zip(first, second, strict=True)]
    return np.repeat(np.array(numbers, dtype=np.int64), np.diff(np.append(runs, table.num_rows))), list(codes)


def _changes(column: Any) -> Mask:
    """Whether each value differs from the one before it, for all but the first; strings or lists of strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(column.type):
        # Each name with its length before it: no two lists can look the same.
        flat = column.flatten()
        sized = pc.binary_join_element_wise(pc.cast(pc.binary_length(flat), pa.string()), flat, ":")
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        column = pc.binary_join(pa.ListArray.from_arrays(offsets, sized), ",")
    changed: Mask = pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))).to_numpy(
        zero_copy_only=False
    )
    return changed


def add_missing_columns(table: Any) -> None:
    """Give a table from before passages had a `lead` or `headings` that column, empty; reading does without it."""
    for name in ("lead", "headings"):
        if name not in table.schema.names:
            table.add_columns({name: "''"})


def to_passages(table: Any) -> list[Passage]:
    """The passages in an Arrow table that has the PAYLOAD columns, in its order; one without `lead` or `headings` is older."""
    columns = {name: table.column(name).to_pylist() for name in PAYLOAD if name in table.schema.names}
    leads, headings = (columns.get(name) or [""] * table.num_rows for name in ("lead", "headings"))
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
            lead=leads[row],
            headings=unpacked_headings(json.loads(headings[row])) if headings[row] else (),
        )
        for row in range(table.num_rows)
    ]


def _as_json(entry: Passage) -> str:
    return json.dumps(packed_headings(entry.headings), ensure_ascii=False) if entry.headings else ""


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


def stored_rows(table: Any) -> Iterator[StoredRows]:
    """All rows of a LanceDB table, in the order of their numbers, READ_ROWS at a time."""
    numbers = np.sort(table.search().select(["number"]).limit(None).to_arrow().column("number").to_numpy())
    dim = int(table.schema.field("vector").type.list_size)
    columns = [*dict.fromkeys((*STATE, *PAYLOAD, "vector"))]
    for start in range(0, len(numbers), READ_ROWS):
        some = numbers[start : start + READ_ROWS]
        wanted = f"number >= {int(some[0])} AND number <= {int(some[-1])}"
        present = [name for name in columns if name in table.schema.names]
        data = in_order(table.search().where(wanted).select(present).limit(None).to_arrow())
        added, retired = data.column("added").to_pylist(), data.column("retired").to_pylist()
        yield StoredRows(to_passages(data), to_vectors(data, dim), added, retired)
