"""What ingest reads and writes in the library on the way to the next generation."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from operator import itemgetter

from steelyard.corpus import layout
from steelyard.corpus.database import broken
from steelyard.corpus.interface import Parsed
from steelyard.corpus.library import Library
from steelyard.corpus.parsing import PARSER_VERSION
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.passages import Span, SplitSettings, spans
from steelyard.schema.corpus import DocumentVersion, Generation
from steelyard.schema.errors import UserError
from steelyard.schema.scope import Access

TRANSIENT_ATTEMPTS = 2
"""A file that took too long or broke its process is tried once more by the next ingest: the machine may have been to blame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What is stored of a file's bytes, without the text: `allow` and `deny` are its own rule (None where it states none)."""

    id: int
    version: str
    format: str
    allow: tuple[str, ...] | None
    deny: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A document in a generation: its content, source, access and date. `id` is 0 for one that is not stored yet."""

    document: str
    content: Content
    source: str
    access: Access
    valid_from: datetime
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One generation to write: its record, the members that come in and go out, and the files that could not be read."""

    generation: Generation
    added: Sequence[Member]
    retired: Sequence[Member]
    failing: Sequence[tuple[str, str]]


_INSERT_CONTENT = (
    f"INSERT INTO content ({layout.CONTENT_SEALED}, digest) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_INSERT_FAILURE = (
    "INSERT INTO failure VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET "
    "attempts = iif(reader = excluded.reader, attempts + 1, 1), reader = excluded.reader, "
    "reason = excluded.reason, transient = excluded.transient"
)


class Staging:
    """Ingest's side of a library.

    Contents and cuts written here are in no generation until `commit`, and are found again after a crash; so an interrupted ingest
    goes on where it was.
    """

    def __init__(self, library: Library) -> None:
        self._database = library.database
        self._lock_path = library.path.with_suffix(".lock")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other ingests out for the block; the system frees it when the process dies.

        Raises:
            UserError: another ingest is running on this library.
        """
        # An SQLite file as lock: exclusive on every system, and never left behind by a crash.
        connection = sqlite3.connect(self._lock_path, timeout=0, isolation_level=None)
        try:
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise broken(self._lock_path, error) from error
                raise UserError(
                    "another ingest is running on this workspace.",
                    remedy="Wait for it to end, then run this one again.",
                    code="corpus.ingest_running",
                ) from error
            yield
        finally:
            connection.close()

    # Reading

    def count(self) -> int:
        """How many documents the newest generation has."""
        return int(self._connection.execute("SELECT count(*) FROM member WHERE retired IS NULL").fetchone()[0])

    def members(self, documents: Collection[str] | None = None) -> dict[str, Member]:
        """The documents of the newest generation by name, in order; of these names, or all."""
        query = (
            "SELECT m.id, m.document, m.source, m.allow, m.deny, m.valid_from, c.id, c.version, c.format, c.allow, c.deny "
            f"FROM {layout.LIVE_TABLES}"
        )
        found = {}
        for row in sorted(self._database.named(query, "m.document", documents), key=itemgetter(1)):
            number, document, source, allow, deny, valid_from = row[:6]
            found[document] = Member(
                id=number,
                document=document,
                content=_content(row[6:]),
                source=source,
                access=layout.access(allow, deny),
                valid_from=layout.moment(valid_from),
            )
        return found

    def content(self, version: str, format_name: str) -> Content | None:
        """What is stored of these bytes read in this format, or None."""
        query = "SELECT id, version, format, allow, deny FROM content WHERE version = ? AND format = ?"
        row = self._connection.execute(query, (version, format_name)).fetchone()
        return _content(row) if row else None

    def document_version(self, member: Member) -> DocumentVersion:
        """A member with its text, stored or still to be."""
        query = "SELECT ?, version, ?, format, title, text, '[]', '[]', ?, NULL, headings, pages, blocks FROM content WHERE id = ?"
        values = (member.document, member.source, layout.stamp(member.valid_from), member.content.id)
        row = self._connection.execute(query, values).fetchone()
        return replace(layout.document_version(row), access=member.access)

    def cut(self, member: Member, splitting: str) -> list[Span] | None:
        """The spans of a member's content under a splitting, or None when it was never cut so."""
        query = "SELECT spans FROM cut WHERE content = ? AND splitting = ?"
        row = self._connection.execute(query, (member.content.id, splitting)).fetchone()
        return layout.unpacked_spans(row[0]) if row else None

    def failure(self, version: str, format_name: str, limits: Limits) -> str | None:
        """Why these bytes could not be read, when trying again under these limits is of no use; else None."""
        query = "SELECT reason, attempts, transient FROM failure WHERE version = ? AND format = ? AND reader = ?"
        row = self._connection.execute(query, (version, format_name, _reader(limits))).fetchone()
        if row is None or (row[2] and row[1] < TRANSIENT_ATTEMPTS):
            return None
        return str(row[0])

    def pending(self) -> int | None:
        """The generation that an interrupted ingest had begun to stage, or None."""
        row = self._connection.execute("SELECT generation FROM pending").fetchone()
        return int(row[0]) if row else None

    # Writing

    def keep(self, outcomes: Sequence[tuple[str, str, Parsed | ParseError]], limits: Limits) -> list[Content | None]:
        """Store what was parsed of some bytes (version, format, outcome), in one transaction; None where they could not be read.

        Bytes that are stored stay as they are, so citations of them hold. Failures are remembered for these limits.
        """
        with self._database.transaction() as connection:
            for version, format_name, outcome in outcomes:
                if isinstance(outcome, ParseError):
                    row = (version, format_name, _reader(limits), outcome.message, int(outcome.transient))
                    connection.execute(_INSERT_FAILURE, row)
                    continue
                structure = layout.packed_structure(outcome.headings, outcome.blocks, outcome.page_starts)
                rule = layout.listed(outcome.allow), layout.listed(outcome.deny)
                whole = (version, format_name, PARSER_VERSION, outcome.title, *rule, *structure, outcome.text)
                connection.execute(_INSERT_CONTENT, (*whole, layout.sealed(*whole)))
                connection.execute("DELETE FROM failure WHERE version = ? AND format = ?", (version, format_name))
        return [self.content(version, format_name) for version, format_name, _ in outcomes]

    def keep_cuts(self, members: Sequence[Member], settings: SplitSettings) -> None:
        """Cut the contents of these members under `settings`, those that are not yet, in one transaction."""
        rows = []
        missing = {member.content.id: member for member in members if self.cut(member, settings.name) is None}
        for member in missing.values():
            packed = layout.packed_spans(spans(self.document_version(member), settings))
            rows.append((member.content.id, settings.name, packed))
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO cut VALUES (?, ?, ?)", rows)

    def begin(self, generation: int) -> None:
        """Note that `generation` is being staged in the index, so that a crash is cleaned up after."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM pending")
            connection.execute("INSERT INTO pending VALUES (?)", (generation,))

    def forget(self) -> None:
        """Note that nothing is being staged."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM pending")

    def note_failing(self, failing: Sequence[tuple[str, str]]) -> None:
        """Replace the list of files that could not be read."""
        with self._database.transaction() as connection:
            _replace_failing(connection, failing)

    def commit(self, step: Step) -> None:
        """Write a generation and let it answer, in one transaction."""
        number, as_of = step.generation.number, step.generation.as_of
        successors = {member.document: member for member in step.added}
        with self._database.transaction() as connection:
            made = step.generation
            connection.execute(
                f"INSERT INTO generation ({layout.GENERATION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    number,
                    layout.stamp(made.created_at),
                    layout.stamp(as_of),
                    made.encoder,
                    made.splitting,
                    made.documents,
                    made.passages,
                ),
            )
            for member in step.retired:
                end = _valid_to(member, successors.get(member.document), as_of)
                connection.execute(
                    "UPDATE member SET retired = ?, valid_to = ? WHERE id = ?", (number, layout.stamp(end), member.id)
                )
            rows = [_member_row(member, number) for member in step.added]
            connection.executemany(
                f"INSERT INTO member ({layout.MEMBER_SEALED}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*row, layout.sealed(*row)) for row in rows],
            )
            _replace_failing(connection, step.failing)
            connection.execute("INSERT INTO switch (at, generation) VALUES (?, ?)", (layout.stamp(as_of), number))
            connection.execute("DELETE FROM pending")

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._database.connection


@lru_cache(maxsize=1 << 17)
def _content(row: tuple[object, ...]) -> Content:
    number, version, format_name, allow, deny = row
    return Content(
        id=int(str(number)),
        version=str(version),
        format=str(format_name),
        allow=layout.unlisted(allow if allow is None else str(allow)),
        deny=layout.unlisted(deny if deny is None else str(deny)),
    )


def _member_row(member: Member, added: int) -> tuple[object, ...]:
    """A member's values of MEMBER_SEALED."""
    allow, deny = layout.listed(member.access.allow), layout.listed(member.access.deny)
    date = layout.stamp(member.valid_from)
    return member.document, member.content.id, member.source, allow, deny, date, added


def _reader(limits: Limits) -> str:
    """What read a file: a failure holds for this parser version and these limits."""
    return f"{PARSER_VERSION} {limits}"


def _valid_to(member: Member, successor: Member | None, as_of: datetime) -> datetime:
    """When a state ended: when the next began if that is dated later, else when the change was seen."""
    if (
        successor is not None
        and successor.content.version != member.content.version
        and successor.valid_from > member.valid_from
    ):
        return successor.valid_from
    return as_of


def _replace_failing(connection: sqlite3.Connection, failing: Sequence[tuple[str, str]]) -> None:
    connection.execute("DELETE FROM failing")
    connection.executemany("INSERT OR REPLACE INTO failing VALUES (?, ?)", failing)
