"""From sources to the next generation: read what changed, stage it beside the one that answers, switch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from steelyard.corpus.changes import Plan, compare
from steelyard.corpus.control import Control
from steelyard.corpus.enforcing import Enforcing
from steelyard.corpus.file_rules import FileRules
from steelyard.corpus.filling import Counted, cut_all, fill, passages_of
from steelyard.corpus.freshness import Freshness
from steelyard.corpus.interface import Encoder, Index, Progress, ProgressCallback, silent
from steelyard.corpus.kept import Burst, Kept
from steelyard.corpus.library import Library
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.passages import SplitSettings, passage_id
from steelyard.corpus.past_sources import snapshot
from steelyard.corpus.scanning import look_again, scan
from steelyard.corpus.seen_files import SeenFiles
from steelyard.corpus.sidecar import follow_files
from steelyard.corpus.sources import Listing, SourceFile, SourceRule
from steelyard.corpus.staging import Content, Member, Staging, Step
from steelyard.schema.corpus import Generation, IngestReport
from steelyard.schema.errors import UserError

WRITE_BATCH = 32
"""Parsed files a transaction: one costs some milliseconds of waiting for the disk, a file some of parsing."""


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """How documents are read and cut; `workers` None takes one parsing process for each core but one."""

    splitting: SplitSettings = field(default_factory=SplitSettings)
    limits: Limits = field(default_factory=Limits)
    workers: int | None = None


def ingest(
    rules: Sequence[SourceRule],
    library: Library,
    index: Index,
    encoder: Encoder,
    *,
    root: Path,
    settings: IngestSettings | None = None,
    progress: ProgressCallback = silent,
    at: datetime | None = None,
    parsers: ParsePool | None = None,
    kept: Kept | None = None,
    burst: Burst | None = None,
) -> IngestReport:
    """Bring the corpus to what the sources hold, and let it answer.

    Who may see what follows the rules of now (see `corpus.enforcing`): a change of rules alone makes no generation and holds for all.

    Files whose bytes are known are neither parsed nor embedded; equal passages are embedded once. The next generation is staged in
    `index` beside the one in force, then the library's pointer moves in one transaction: a crash leaves the old or the new. What
    cannot be read keeps its last good version and is in the report's `failed`. Sources that did not change make no generation.
    Changes are counted against the newest generation, also after a rollback; `passages` counts all of the generation in force.

    `root` is the workspace folder that the rules' paths start from. `at` (aware) replays: the sources as git held them then; replay
    goes forward in time only. `parsers` are processes that the caller keeps for several ingests, of the same limits; without them some
    are started when there is something to parse. `kept` is what a caller that follows the sources keeps between ingests, and `burst`
    what it heard of: then nothing else is looked at, unless access rules, encoder or splitting are others than they were.

    Raises:
        DataError: a rules file or the group file has problems; all of them are named, and nothing was changed.
        UserError: another ingest runs, a source is missing or has no history, or `at` lies before the newest generation.
        StoreError, ModelError: the database, the index or the encoder broke; the generation in force still answers.
    """
    begin = time.perf_counter()
    settings = settings or IngestSettings()
    staging = Staging(library)
    with staging.lock(), contextlib.ExitStack() as closing:
        kept = kept or closing.enter_context(contextlib.closing(Kept(library.path)))
        _discard_left_over(staging, index)
        newest = library.newest()
        remade = newest is not None and (newest.encoder, newest.splitting) != (encoder.name, settings.splitting.name)
        look = _Look(rules, root, settings, newest, at, staging, SeenFiles(kept.sources))
        documents = None if remade or newest is None else kept.documents(burst, rules, root)
        members, listing, files = look.with_rules(documents, library.control, kept)
        plan = _plan(listing, members, library, staging, files, settings, progress, parsers)
        plan.rules |= files.withdrawn(library.control, plan.rules, root, listing.looked)
        enforcing = Enforcing(library.control, plan.rules)
        if newest is not None and not remade and not plan.changes:
            staging.note_failing(plan.failing)
            enforcing.close(())
            made, embedded = library.generation(library.in_force()), 0
        else:
            made, embedded = _next_generation(
                plan, newest, staging, enforcing, index, encoder, settings, kept, progress, listing.as_of
            )
        enforcing.open(index)
        _count_access(plan, enforcing.changed)
        if at is None:
            _note(look, listing, files, plan, made.number, kept, burst)
    return replace(_report(plan, made, embedded, time.perf_counter() - begin), remade=remade)


def _note(
    look: _Look, listing: Listing, files: FileRules, plan: Plan, number: int, kept: Kept, burst: Burst | None
) -> None:
    """Record a look at the sources of now that ended well."""
    touched = {member.document: member.source for member in (*plan.retired, *plan.added)}
    until = burst.until if burst and listing.looked is not None else listing.as_of
    Freshness(kept.sources).record(look.rules, look.root, listing, touched, number, until)
    kept.note(files, listing.aliases, everything=listing.looked is None)


def _discard_left_over(staging: Staging, index: Index) -> None:
    """Undo what an interrupted ingest had begun to stage."""
    left_over = staging.pending()
    if left_over is not None:
        index.discard(left_over)
        staging.forget()


def _report(plan: Plan, made: Generation, embedded: int, seconds: float) -> IngestReport:
    return IngestReport(
        generation=made.number,
        added=plan.new,
        updated=plan.updated,
        deleted=plan.deleted,
        unchanged=plan.unchanged,
        passages=made.passages,
        failed=tuple(plan.failing),
        seconds=seconds,
        renamed=plan.renamed,
        access_changed=plan.access_changed,
        parsed=plan.parsed,
        embedded=embedded,
    )


@dataclass(frozen=True)
class _Look:
    """The look at the sources that one ingest takes: at some documents or at all of them, now or at `date`."""

    rules: Sequence[SourceRule]
    root: Path
    settings: IngestSettings
    newest: Generation | None
    date: datetime | None
    staging: Staging
    seen: SeenFiles

    def with_rules(
        self, documents: frozenset[str] | None, control: Control, kept: Kept
    ) -> tuple[dict[str, Member], Listing, FileRules]:
        """What `at` gives, and the access rules in files; where those are others than they were, all documents are looked at."""
        members, listing = self.at(documents)
        files = follow_files(self.rules, self.root, control)
        if documents is not None and not kept.holds(files):
            members, listing = self.at(None)
        return members, listing, files

    def at(self, documents: frozenset[str] | None) -> tuple[dict[str, Member], Listing]:
        """The members of these names, or all, and what the sources hold of them."""
        members = self.staging.members(documents)
        known = {document: (member.content.version, member.valid_from) for document, member in members.items()}
        max_bytes = self.settings.limits.file_bytes
        if self.date is not None:
            self._require_forward(self.date)
            return members, snapshot(self.rules, self.root, self.date, known=known, max_bytes=max_bytes)
        if documents is not None:
            listing = look_again(self.rules, self.root, documents, known=known, max_bytes=max_bytes, seen=self.seen)
            return members, listing
        return members, scan(self.rules, self.root, known=known, max_bytes=max_bytes, seen=self.seen)

    def _require_forward(self, date: datetime) -> None:
        if self.newest is not None and date < self.newest.as_of:
            raise UserError(
                f"the corpus already shows {self.newest.as_of.date()}; it cannot go back to {date.date()}.",
                remedy="Replay a history forward, into a library of its own.",
                code="corpus.replay_backwards",
            )


def _count_access(plan: Plan, changed: set[str]) -> None:
    """Count the documents of which only the access changed: they are updates, though no generation holds them."""
    replaced = {member.document for member in (*plan.added, *plan.retired)}
    alone = [document for document in changed if document in plan.members and document not in replaced]
    plan.access_changed = len(alone)
    plan.updated += len(alone)
    plan.unchanged -= len(alone)


def _erased(listing: Listing, library: Library, plan: Plan) -> set[str]:
    """Documents that must not be taken in again; each is in the plan's failures with the reason."""
    erasures = {(one.document, one.version): one for one in library.control.erasures()}
    if not erasures:
        return set()
    refused = set()
    for file in listing.files:
        keys = (file.document, ""), (file.document, file.version), ("", file.version)
        found = next((erasures[key] for key in keys if key in erasures), None)
        if found is not None:
            refused.add(file.document)
            plan.failing.append((file.document, f"it was erased on {found.at:%Y-%m-%d} and is not taken in again"))
    return refused


def _plan(
    listing: Listing,
    members: dict[str, Member],
    library: Library,
    staging: Staging,
    files: FileRules,
    settings: IngestSettings,
    progress: ProgressCallback,
    parsers: ParsePool | None,
) -> Plan:
    """Compare the sources with the newest generation, parsing the bytes that were never seen."""
    plan = Plan(failing=list(listing.failed), members=members)
    plan.held = staging.count()
    # What this look leaves alone: it stays in the corpus, and among the failures.
    plan.unchanged = plan.held - len(members)
    if listing.looked is not None:
        plan.failing += [one for one in library.failing() if one[0] not in listing.looked]
    contents: dict[str, Content] = {}
    refused = _erased(listing, library, plan)
    dated = {file.document: file for file in listing.files if file.document not in refused}
    unread: list[SourceFile] = []
    for file in dated.values():
        before = members.get(file.document)
        if before is not None and (before.content.version, before.content.format) == (file.version, file.format):
            contents[file.document] = before.content
        elif content := staging.content(file.version, file.format):
            contents[file.document] = content
        elif reason := staging.failure(file.version, file.format, settings.limits):
            plan.failing.append((file.document, reason))
        else:
            unread.append(file)
    for file, outcome in _read(plan, listing, unread, staging, settings, progress, parsers):
        dated[file.document] = file
        if isinstance(outcome, Content):
            contents[file.document] = outcome
        else:
            plan.failing.append((file.document, outcome))
    plan.failing.sort()
    compare(plan, dated, contents, members, listing, files)
    return plan


def _read(
    plan: Plan,
    listing: Listing,
    files: Sequence[SourceFile],
    staging: Staging,
    settings: IngestSettings,
    progress: ProgressCallback,
    parsers: ParsePool | None,
) -> Iterator[tuple[SourceFile, Content | str]]:
    """Each file with its stored content, or with the reason it could not be read. Equal bytes are parsed once."""
    twins: dict[tuple[str, str], list[SourceFile]] = {}
    for file in files:
        twins.setdefault((file.version, file.format), []).append(file)
    unreadable: list[tuple[SourceFile, str]] = []

    def tasks() -> Iterator[tuple[SourceFile, str, bytes]]:
        for file, content in listing.contents([same[0] for same in twins.values()]):
            if isinstance(content, OSError):
                unreadable.append((file, f"the file cannot be read ({content.strerror})"))
            else:
                yield file, file.format, content

    if not files:
        return
    begin = time.perf_counter()
    started = parsers or ParsePool(settings.limits, settings.workers and min(len(twins), settings.workers))
    with contextlib.nullcontext(parsers) if parsers else started as pool:
        parsed = pool.map(tasks())
        while batch := list(islice(parsed, WRITE_BATCH)):
            kept = staging.keep([(file.version, file.format, outcome) for file, outcome in batch], settings.limits)
            for (file, outcome), content in zip(batch, kept, strict=True):
                reached = outcome.message if isinstance(outcome, ParseError) else content
                assert reached is not None
                # A file that was edited since the listing has bytes of its own.
                for same in twins.get((file.version, file.format), [file]):
                    yield same, reached
            plan.parsed += len(batch)
            rate = plan.parsed / max(time.perf_counter() - begin, 1e-9)
            progress(Progress(stage="parse", done=plan.parsed, total=len(twins), rate=rate))
    yield from unreadable


def _next_generation(
    plan: Plan,
    newest: Generation | None,
    staging: Staging,
    enforcing: Enforcing,
    index: Index,
    encoder: Encoder,
    settings: IngestSettings,
    kept: Kept,
    progress: ProgressCallback,
    as_of: datetime,
) -> tuple[Generation, int]:
    """Stage and commit the next generation; it, and how many passages were embedded."""
    incoming, outgoing, held = plan.added, plan.retired, newest.passages if newest else 0
    if newest is not None and (newest.encoder, newest.splitting) != (encoder.name, settings.splitting.name):
        # Vectors and passages of another make never mix with these: the whole index is made anew.
        left = {member.document for member in plan.retired}
        incoming = [member for document, member in plan.members.items() if document not in left] + plan.added
        outgoing = list(plan.members.values())
    epoch = enforcing.close(member.document for member in plan.retired)
    incoming = [replace(member, access=enforcing.access(member.document)) for member in incoming]
    retire = [name for member in outgoing for name in _passage_ids(member, staging, newest)]
    count = cut_all(incoming, staging, settings.splitting)
    made = Generation(
        number=newest.number + 1 if newest else 1,
        created_at=datetime.now(UTC),
        as_of=as_of,
        encoder=encoder.name,
        splitting=settings.splitting.name,
        documents=plan.held - len(plan.retired) + len(plan.added),
        passages=held - len(retire) + count,
    )
    staging.begin(made.number)
    embedded = 0
    if count or retire:
        parts = passages_of(incoming, staging, settings.splitting)
        embedded = fill(index, made.number, parts, retire, encoder, kept.vectors, Counted(progress, count))
        enforcing.settle(epoch, [member.document for member in incoming])
    staging.commit(Step(generation=made, added=plan.added, retired=plan.retired, failing=plan.failing))
    return made, embedded


def _passage_ids(member: Member, staging: Staging, newest: Generation | None) -> list[str]:
    """The ids that a member's passages have in the newest generation."""
    spans = staging.cut(member, newest.splitting) if newest else None
    return [passage_id(member.document, member.content.version, span) for span in spans or []]
