"""Which generations stay, and taking the others away: their rows, texts, vectors and files."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from steelyard.corpus import layout
from steelyard.corpus.interface import Index
from steelyard.corpus.library import Library
from steelyard.corpus.removal import Doomed, carry_out
from steelyard.corpus.staging import Staging
from steelyard.schema.corpus import Generation
from steelyard.schema.upkeep import CompactReport

READERS_GRACE = timedelta(minutes=10)
"""A generation that answered this short a time ago stays, whatever the policy: a search that took its number may still be running."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long generations are kept: the newest `generations`, and those that answered within the last `days`.

    The one in force and the newest always stay, and so does whatever a caller pins.
    """

    generations: int = 20
    days: float = 90.0


def kept(library: Library, policy: Policy, *, pinned: Collection[int] = (), now: datetime | None = None) -> list[int]:
    """The numbers of the generations that stay under `policy`, ascending."""
    made = [generation.number for generation in library.generations()]
    moment = now or datetime.now(UTC)
    since = moment - max(timedelta(days=policy.days), READERS_GRACE)
    staying = {library.in_force(), *made[-max(1, policy.generations) :], *pinned}
    # A switch answers until the next one: the last before `since` still answered then.
    switches = library.switches()
    for (_, number), end in zip(switches, [at for at, _ in switches[1:]] + [moment], strict=True):
        if end > since:
            staying.add(number)
    return [number for number in made if number in staying]


def compact(
    library: Library,
    index: Index,
    policy: Policy,
    *,
    pinned: Collection[int] = (),
    cited: Collection[tuple[str, str]] = (),
    erased: Collection[tuple[str, str]] = (),
    now: datetime | None = None,
    dry_run: bool = False,
) -> CompactReport:
    """Give up the generations that `policy` does not keep, and remove what only they held from every file.

    `cited` are (document, version) pairs whose text stays, so that answers which quote them can still be checked. `erased` is what
    the control plane withholds: it goes too, if it is still there. Answers of the generations that stay do not change. Interrupted, it
    is completed by the next call.

    Raises:
        UserError: an ingest is running.
        StoreError: a file is damaged or the disk is full; what answered before still answers.
    """
    begin = time.perf_counter()
    staging = Staging(library)
    with staging.lock():
        before = library.generations()
        staying = kept(library, policy, pinned=pinned, now=now)
        leaving = [generation.number for generation in before if generation.number not in staying]
        doomed = _doomed(library, leaving, cited)
        if dry_run:
            return _report(before, staying, len(doomed.members), 0, (0, 0), begin, dry_run=True)
        left_over = staging.pending()
        if left_over is not None:
            index.discard(left_over)
            staging.forget()
        size = library.bytes()
        rows = carry_out(library, index, doomed, keep=staying, drop=leaving, erased=erased)
        return _report(before, staying, len(doomed.members), rows, (size, library.bytes()), begin, dry_run=False)


def _doomed(library: Library, leaving: Sequence[int], cited: Collection[tuple[str, str]]) -> Doomed:
    """The document states that no generation holds once those of `leaving` are gone, without the cited ones."""
    marks = ",".join(str(int(number)) for number in leaving)
    query = (
        f"SELECT m.id, m.document, c.version FROM {layout.VERSION_TABLES} WHERE NOT EXISTS ("
        f"SELECT 1 FROM generation g WHERE g.dropped IS NULL AND g.number NOT IN ({marks}) "
        "AND g.number >= m.added AND (m.retired IS NULL OR g.number < m.retired))"
    )
    wanted = set(cited)
    rows = library.database.connection.execute(query).fetchall()
    return Doomed(members=tuple(number for number, document, version in rows if (document, version) not in wanted))


def _report(
    before: Sequence[Generation],
    staying: Sequence[int],
    versions: int,
    rows: int,
    sizes: tuple[int, int],
    begin: float,
    *,
    dry_run: bool,
) -> CompactReport:
    first = next((generation for generation in before if generation.number in staying), None)
    return CompactReport(
        kept=tuple(staying),
        dropped=tuple(generation.number for generation in before if generation.number not in staying),
        first_kept=None if first is None else first.as_of,
        versions=versions,
        passages=rows,
        bytes_before=sizes[0],
        bytes_after=sizes[1],
        seconds=time.perf_counter() - begin,
        dry_run=dry_run,
    )
