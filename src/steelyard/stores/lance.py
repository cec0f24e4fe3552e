"""The default: durable rows in a LanceDB table, searched through segments of our own that lie beside it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from steelyard.schema.scope import Access, Scope
from steelyard.stores.clusters import clustered
from steelyard.stores.interface import Staged, StoredRows
from steelyard.stores.lance_access import AccessMark, write_access
from steelyard.stores.lance_errors import reading, writing
from steelyard.stores.lance_library import connect
from steelyard.stores.lance_purge import clean, rewrite
from steelyard.stores.lance_table import (
    PAYLOAD,
    READ_ROWS,
    STATE,
    TABLE,
    add_missing_columns,
    any_of,
    in_order,
    state_rows,
    stored_rows,
    to_arrow,
    to_passages,
    to_vectors,
    visible,
)
from steelyard.stores.memory_given_back import give_back
from steelyard.stores.rows import OPEN, Holder, Rows
from steelyard.stores.segment_files import damaged_segments, forget_segments, load_segments, write_segment
from steelyard.stores.segments import Segment, due, starts
from steelyard.stores.snapshot import Searching, Snapshot, checked_vectors

EXACT_ROWS = 100_000
"""Rows up to which vectors are never clustered: every search compares with all that the asker sees."""

FIRST_SHARE = 1.2
"""Times EXACT_ROWS from which rows are clustered for the first time: not for the first edit of a corpus of just that size, as searching a
fifth more of them exactly takes 2 ms, and clustering some seconds."""
LOOSE_SHARE = 0.1  # of all rows that may lie outside the clusters before they are made anew; those are searched exactly
FRAGMENTS = 64
"""Files of the table from which it is compacted. Compacting copies all of it (2 s at 100,000 rows, 20 s at a million) and searches read
the segments, so more files only make the next writes slower, by under a millisecond each."""
KEPT_VERSIONS = timedelta(hours=1)
"""Compacting removes the files of versions of the table that are older: nobody reads them longer than it takes to load rows."""
LARGE = 1024  # rows read or written by one call after which freed memory is given back
BATCH_IDS = 1000  # ids in one SQL condition


class LanceStore(Searching):
    """A `Store` in `folder`, made when first staged.

    Every row carries the generations it is in force between, so a reader sees a generation whole or not at all, and a
    crash while staging leaves rows that no search reads and the next staging removes. LanceDB's own version history is
    not used: restoring it would bring back revoked access. One process stages at a time; any number read. A generation
    that has been searched must not be staged anew by another process: numbers are not used twice.

    The table is the truth. What searches read is derived from it and lies in `folder/segments`, mapped into memory:
    vectors, our own inverted index (`Postings`) and packed texts. A segment that is missing, damaged or of other rows
    is made again from the table. Through LanceDB's own indexes a search took 33 to 147 ms at 100,000 rows and fetching
    400 passages 20 ms more; its full-text index also counts hidden, retired and staged rows, so a search could tell
    that something is hidden. Measured on 800 character passages (nDCG@10, our words / LanceDB's / bm25s):
    postgresql15_docs .834/.786/.495, clapnq_dev .945/.940/.935, cranfield .385/.384/.384, xquad_en .970/.971/.962,
    medquad .772/.772/.763.
    """

    def __init__(self, folder: Path, *, exact_rows: int = EXACT_ROWS) -> None:
        self.folder = folder
        self._segments = folder / "segments"
        self._exact_rows = exact_rows
        self._guard = RLock()
        self._opened: Any = None
        self._snapshot: Snapshot | None = None
        self._newest = -1  # the latest generation that the rows read so far mention
        # The latest generation asked for: asked means staged, so the rows read since then hold it whole.
        self._asked = -1
        self._version: int | None = None
        self._next_number = 0
        self._mark = AccessMark(folder)

    @writing()
    def stage(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """See `Store.stage`; what was staged for later generations is discarded as well."""
        with self._guard:
            self.discard(generation)
            self._put(generation, add, retire)

    @writing()
    def extend(self, generation: int, add: Staged) -> None:
        """See `Store.extend`."""
        with self._guard:
            self._put(generation, add, ())

    @writing()
    def discard(self, generation: int) -> None:
        """See `Store.discard`."""
        with self._guard:
            state = self._state(generation)
            table = self._table()
            if table is None:
                return
            rows = state.rows
            if (rows.added >= generation).any() or ((rows.retired >= generation) & (rows.retired < OPEN)).any():
                before = state.before(generation)
                forget_segments(self._segments, len(before.rows))
                self._snapshot = None
                table.delete(f"added >= {int(generation)}")
                table.update(where=f"retired >= {int(generation)} AND retired < {OPEN}", values={"retired": OPEN})
                self._remember(before)

    @property
    def epoch(self) -> int:
        """See `Store.epoch`."""
        with self._guard:
            self._state(0)
            return self._mark.epoch

    def restrict(self, access: Mapping[str, Access], epoch: int, withheld: Collection[Holder] = ()) -> None:
        """See `Store.restrict`.

        Searches follow it at once, the table with `optimize`; the epoch written beside it says how far it has come, so
        whoever opens it applies the rest.
        """
        with self._guard:
            before = self._state(0)
            self._snapshot = before.restricted(access, withheld)
            # Rows are staged with the access of now, so most of a first ingest is in the table already.
            self._mark.note(before.rows.unlike(access), withheld, epoch)

    @writing()
    def purge(self, keep: Collection[int], erased: Collection[Holder] = ()) -> int:
        """See `Store.purge`. Other processes read the rows again when a file they read from is gone."""
        with self._guard:
            table = self._table()
            if table is None:
                return 0
            self._settle()
            with self._mark.alone():
                table.checkout_latest()
                self._snapshot = None
                before = self._state(self._newest)
                kept = before.rows.needed(keep, erased)
                # Rows that a discard deleted still lie in the files, so an erasure always writes them anew.
                if erased or not kept.all():
                    after = before.only(kept)
                    forget_segments(self._segments)
                    self._opened = table = rewrite(self.folder, TABLE, table, np.flatnonzero(kept))
                    self._next_number = len(after.rows)
                    self._remember(self._saved(after))
                    if len(after.rows) > self._exact_rows:
                        _build_indexes(table)
                clean(self.folder, table)
                self._version = table.version
                return len(kept) - int(kept.sum())

    def stored(self) -> Iterator[StoredRows]:
        """See `Store.stored`; read from the table, not from what searches read."""
        with writing():
            table = self._table()
            if table is not None:
                table.checkout_latest()
                yield from stored_rows(table)

    def faults(self, *, mend: bool = False) -> list[str]:
        """See `Store.faults`: the segments."""
        with self._guard:
            found = damaged_segments(self._segments)
            if mend and found:
                for path in found:
                    path.unlink(missing_ok=True)
                self._snapshot = None
            return [path.relative_to(self.folder).as_posix() for path in found]

    @writing()
    def optimize(self) -> None:
        """See `Store.optimize`; well above EXACT_ROWS rows the vectors are laid by likeness, and the table gets its indexes."""
        with self._guard:
            table = self._table()
            if table is None:
                return
            table.checkout_latest()
            self._settle()
            state = self._state(self._newest)
            laid = any(part.clusters is not None for part in state.segments)
            if len(state.rows) > self._exact_rows * (1 if laid else FIRST_SHARE):
                self._lay(state)
                _build_indexes(table)
            if table.stats()["fragment_stats"]["num_fragments"] > FRAGMENTS:
                table.optimize(cleanup_older_than=KEPT_VERSIONS)

    def explain(self, scope: Scope, generation: int) -> str:
        """LanceDB's plan of reading what `scope` sees from the table: access must be answered by `ScalarIndexQuery`."""
        table = self._table()
        query = table.search(np.zeros(_dim(table), dtype=np.float32), vector_column_name="vector")
        plan: str = query.where(visible(scope, generation), prefilter=True).limit(10).explain_plan()
        return plan

    def forget(self) -> None:
        """Read the table anew at the next search."""
        with self._guard:
            self._snapshot = None
            self._opened = None

    def _put(self, generation: int, add: Staged, retire: Sequence[str]) -> None:
        """Write rows into the table, then into segments, then let searches read them."""
        before = self._state(generation)
        table = self._table()
        vectors = checked_vectors(add, None if table is None else _dim(table))
        after = before.staged(generation, Staged(add.passages, vectors), retire)
        self._snapshot = None  # until everything is written: a failure half-way is read back from disk
        gone = after.rows.retired[: len(before.rows)] != before.rows.retired
        leaving = [before.rows.ids[row] for row in np.flatnonzero(gone).tolist()]
        for start in range(0, len(leaving), BATCH_IDS):
            part = any_of("id", leaving[start : start + BATCH_IDS])
            table.update(where=f"retired = {OPEN} AND {part}", values={"retired": generation})
            if len(leaving) >= LARGE:
                give_back()
        fresh = to_arrow(add.passages, vectors, self._next_number, generation)
        if table is None:
            self._opened = self._create(fresh)
        elif len(add.passages):
            add_missing_columns(table)
            table.add(fresh)
        self._next_number += len(add.passages)
        self._remember(self._saved(after))
        if len(add.passages) >= LARGE:
            del fresh, vectors
            give_back()

    @reading
    def _state(self, generation: int) -> Snapshot:
        """The rows as far as `generation`; read from disk when another process has staged since."""
        with self._guard:
            if self._snapshot is None or generation > min(self._newest, self._asked):
                table = self._table()
                if table is not None:
                    table.checkout_latest()
                known, self._asked = self._asked, max(self._asked, generation)
                if self._snapshot is None or (table is not None and table.version != self._version):
                    self._remember(self._followed(table, known) or self._load(table))
                assert self._snapshot is not None
            return self._snapshot

    def _settle(self) -> None:
        """Write into the table what `restrict` has said since it was opened, then how far it has come."""
        table = self._table()

        def write() -> None:
            if table is not None:
                # Rows that another process staged meanwhile are written too. `_version` stays: they are not yet read.
                table.checkout_latest()
                write_access(table, self._mark.access, self._mark.withheld)

        if self._mark.settle(write):
            self._snapshot = None  # the rows of a newer access are in the table

    def _remember(self, snapshot: Snapshot) -> None:
        """Take `snapshot` as what the table holds now."""
        self._snapshot = snapshot
        self._version = None if self._opened is None else self._opened.version
        rows = snapshot.rows
        mentioned = np.concatenate([rows.added, rows.retired[rows.retired < OPEN]])
        self._newest = int(mentioned.max(initial=-1))

    def _followed(self, table: Any, known: int) -> Snapshot | None:
        """What was read before, with what another process has staged after generation `known`; None when more has changed than that."""
        before, epoch = self._snapshot, self._mark.epoch
        self._mark.read()
        if before is None or self._mark.epoch != epoch or (before.rows.added > known).any():
            return None
        since = f"added > {known} OR (retired > {known} AND retired < {OPEN})"
        data = in_order(table.search().where(since).select(list(STATE)).limit(None).to_arrow())
        changed = state_rows(data)
        new = changed.added > known
        numbers = data.column("number").to_numpy()[new]
        renumbered = len(numbers) and int(numbers[0]) < self._next_number
        if renumbered or table.count_rows() != len(before.rows) + len(numbers):
            return None
        retired = {}
        for place in np.flatnonzero(~new).tolist():
            row = before.rows.named(changed.ids[place], int(changed.added[place]))
            if row is None:
                return None
            retired[row] = int(changed.retired[place])
        rows = before.rows.joined(changed.only(new), retired)
        self._next_number = int(numbers[-1]) + 1 if len(numbers) else self._next_number
        segments = self._grown(table, before.segments, rows, numbers)
        return Snapshot(rows, segments).restricted(self._mark.access, self._mark.withheld)

    def _grown(self, table: Any, known: Sequence[Segment], rows: Rows, numbers: Any) -> tuple[Segment, ...]:
        """Segments of all `rows`, of which `known` hold the first and the table has the rest under `numbers`."""
        begins = starts(known).tolist()
        for kept in range(len(known), -1, -1):
            # The process that staged may have put new rows together with rows that were known.
            segments = (*known[:kept], *load_segments(self._segments, rows, begins[kept]))
            if int(starts(segments)[-1]) == len(rows):
                return segments
        return (*known, *_made(table, numbers))

    def _load(self, table: Any) -> Snapshot:
        if table is None:
            return Snapshot()
        # Before the rows: what is settled in between is applied twice, never missed.
        self._mark.read()
        table.checkout_latest()
        data = in_order(table.search().select(list(STATE)).limit(None).to_arrow())
        numbers = data.column("number").to_numpy()
        self._next_number = int(numbers[-1]) + 1 if len(numbers) else 0
        rows = state_rows(data)
        if len(rows) >= LARGE:
            del data
            give_back()
        segments = load_segments(self._segments, rows)
        # Rows of a generation that nobody asked for may yet be discarded: what is made of them is not written.
        lasting = int((rows.added <= self._asked).sum())
        held = int(starts(segments)[-1])
        for segment in _made(table, numbers[held:]):
            segments = (*segments, segment)
            if int(starts(segments)[-1]) <= lasting:
                segments = self._saved(Snapshot(rows, segments)).segments
        return Snapshot(rows, segments).restricted(self._mark.access, self._mark.withheld)

    def _saved(self, state: Snapshot) -> Snapshot:
        """The state with all segments on disk, few of them, and no other file beside them."""
        parts, rows = state.segments, state.rows
        loose = next((at + 1 for at in range(len(parts) - 1, -1, -1) if parts[at].clusters is not None), 0)
        at = loose + due([len(part) for part in parts[loose:]])
        kept: list[Segment] = []
        for first, part in zip(starts(parts).tolist(), parts[:at], strict=False):
            kept.append(part if part.path else write_segment(self._segments, rows, first, [part]))
        if at < len(parts):
            kept.append(write_segment(self._segments, rows, int(starts(parts)[at]), parts[at:]))
        forget_segments(self._segments, 0, [part.path for part in kept if part.path])
        return Snapshot(rows, tuple(kept))

    def _lay(self, state: Snapshot) -> None:
        """Put all rows into one segment laid by likeness, when too many lie outside of one."""
        parts, rows = state.segments, state.rows
        loose = sum(len(part) for part in parts if part.clusters is None)
        if loose <= LOOSE_SHARE * len(rows):
            return
        whole = write_segment(self._segments, rows, 0, parts) if len(parts) > 1 else parts[0]
        laid = write_segment(self._segments, rows, 0, [whole], clustered(whole.blocks, len(whole)))
        forget_segments(self._segments, 0, [laid.path] if laid.path else [])
        # With views of its own: what was worked out for the old segments does not fit.
        self._snapshot = Snapshot(rows.copied(), (laid,))

    def _table(self) -> Any:
        """The LanceDB table, or None while nothing was ever staged."""
        # A folder without a manifest is what a crash left of the first staging: nothing was ever in it.
        if self._opened is None and any((self.folder / f"{TABLE}.lance" / "_versions").glob("*.manifest")):
            self._opened = connect(self.folder).open_table(TABLE)
        return self._opened

    def _create(self, fresh: Any) -> Any:
        shutil.rmtree(self.folder / f"{TABLE}.lance", ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        return connect(self.folder).create_table(TABLE, fresh)


def _dim(table: Any) -> int:
    return int(table.schema.field("vector").type.list_size)


def _made(table: Any, numbers: Any) -> Iterator[Segment]:
    """Segments in memory of the rows with these numbers, ascending, from the table."""
    columns = [name for name in dict.fromkeys(("number", *PAYLOAD, "vector")) if name in table.schema.names]
    for start in range(0, len(numbers), READ_ROWS):
        some = numbers[start : start + READ_ROWS]
        wanted = f"number >= {int(some[0])} AND number <= {int(some[-1])}"
        data = in_order(table.search().where(wanted).select(columns).limit(None).to_arrow())
        yield Segment.of(Staged(to_passages(data), to_vectors(data, _dim(table))))


def _build_indexes(table: Any) -> None:
    from lancedb.index import BTree, LabelList

    there = {column for index in table.list_indices() for column in index.columns}
    for column in ("allow", "deny"):
        if column not in there:
            table.create_index(column, config=LabelList())
    for column in ("id", "added", "retired", "number", "document"):
        if column not in there:
            table.create_index(column, config=BTree())
