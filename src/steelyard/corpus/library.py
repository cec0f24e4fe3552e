"""The library: every document version ever ingested, which generation held it, and which generation answers now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from steelyard.corpus import layout
from steelyard.corpus.control import Control
from steelyard.corpus.database import Database
from steelyard.corpus.passages import heading_path, page_of, passage
from steelyard.schema.corpus import Citation, DocumentVersion, Generation, Passage
from steelyard.schema.errors import NotFoundError, StoreError
from steelyard.schema.scope import NOBODY, Access, Scope

_SELECT = f"SELECT {layout.VERSION_COLUMNS} FROM {layout.VERSION_TABLES}"


class Library:
    """The version store in one SQLite file, safe for many threads and processes; a write is there or not.

    Generations are numbered from 1 and never change. The one in force is a pointer, moved in one transaction. Who may see a document
    is not a part of them: every version comes with the access that the control plane gives it now.

    For askers there are `read` and `cited`, which take a scope. The other methods tell everything and are for operators.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Also what `staging.Staging` writes through.
        self.database = Database(path, layout.MIGRATIONS)

    def close(self) -> None:
        """Close the file's connections."""
        self.database.close()
        if "control" in self.__dict__:
            self.control.close()

    @cached_property
    def control(self) -> Control:
        """The truth about access and erasure, in the file `control.sqlite` beside this one."""
        return Control(self.path.with_name("control.sqlite"))

    # For askers

    def read(self, document: str, version: str, scope: Scope) -> DocumentVersion:
        """A stored version, for an asker who may see it.

        Raises:
            NotFoundError: there is none that `scope` may see; the same words for a forbidden and for an absent one.
        """
        # What may not be seen is not read from the disk either, so that its size is not told by the time it takes.
        found = self._stored(document, version) if self.control.permits(document, version, scope) else None
        if found is None:
            raise _no_version(document, version)
        return found

    def cited(self, citation: Citation, scope: Scope) -> DocumentVersion | None:
        """What `resolve` gives, for an asker; None as well when `scope` may not see it."""
        if not self.control.permits(citation.document, citation.version, scope):
            return None
        return self.resolve(citation)

    def bytes(self) -> int:
        """The size of everything beside the library and below, its index and vectors included."""
        return sum(file.stat().st_size for file in self.path.parent.rglob("*") if file.is_file())

    # Generations

    def in_force(self) -> int:
        """The number of the generation that answers; 0 before the first ingest."""
        row = self.database.connection.execute("SELECT generation FROM switch ORDER BY id DESC LIMIT 1").fetchone()
        return int(row[0]) if row else 0

    def newest(self) -> Generation | None:
        """The generation made last, in force or not (a rollback leaves it where it is); None before the first."""
        query = f"SELECT {layout.GENERATION_COLUMNS} FROM generation ORDER BY number DESC LIMIT 1"
        row = self.database.connection.execute(query).fetchone()
        return layout.generation(row) if row else None

    def generations(self) -> list[Generation]:
        """The generations that are kept, oldest first."""
        query = f"SELECT {layout.GENERATION_COLUMNS} FROM generation WHERE dropped IS NULL ORDER BY number"
        return [layout.generation(row) for row in self.database.connection.execute(query)]

    def generation(self, number: int) -> Generation:
        """One generation.

        Raises:
            NotFoundError: there is none of this number, or retention has given it up.
        """
        query = f"SELECT {layout.GENERATION_COLUMNS}, dropped FROM generation WHERE number = ?"
        row = self.database.connection.execute(query, (number,)).fetchone()
        if row is not None and row[-1] is not None:
            raise self._dropped(f"generation {number}")
        if row is None:
            known = [generation.number for generation in self.generations()]
            held = (
                f"There are generations {known[0]} to {known[-1]}."
                if known
                else "Nothing is ingested yet: run steelyard ingest."
            )
            raise NotFoundError(f"there is no generation {number}.", remedy=held, code="corpus.unknown_generation")
        return layout.generation(row[:-1])

    def generation_at(self, date: datetime) -> Generation:
        """The generation that was in force at `date` (aware).

        Raises:
            NotFoundError: the corpus begins later, or what was in force then is no longer kept; the first kept date is named.
        """
        query = "SELECT generation FROM switch WHERE at <= ? ORDER BY id DESC LIMIT 1"
        row = self.database.connection.execute(query, (layout.stamp(date),)).fetchone()
        if row is None:
            first = self.database.connection.execute("SELECT at FROM switch ORDER BY id LIMIT 1").fetchone()
            since = f"It begins on {first[0][:10]}." if first else "Nothing is ingested yet: run steelyard ingest."
            raise NotFoundError(
                f"the corpus has no generation of {date.date()}.", remedy=since, code="corpus.before_first"
            )
        number = int(row[0])
        if number not in {generation.number for generation in self.generations()}:
            raise self._dropped(f"the corpus of {date.date()}")
        return self.generation(number)

    def _dropped(self, what: str) -> NotFoundError:
        """The error for a time that retention has given up."""
        numbers = [generation.number for generation in self.generations()]
        marks = ",".join(map(str, numbers))
        first = self.database.connection.execute(
            f"SELECT at FROM switch WHERE generation IN ({marks}) ORDER BY id LIMIT 1"
        ).fetchone()
        since = f"The first kept date is {first[0][:10]}; " if first else ""
        return NotFoundError(
            f"{what} is no longer kept.",
            remedy=f"{since}`steelyard generations` lists what is kept, [corpus] keep_days and keep_generations say for how long.",
            code="corpus.no_longer_kept",
        )

    def switches(self) -> list[tuple[datetime, int]]:
        """(when, generation) of every time a generation began to answer, oldest first."""
        rows = self.database.connection.execute("SELECT at, generation FROM switch ORDER BY id")
        return [(layout.moment(at), number) for at, number in rows]

    def switch(self, number: int, at: datetime | None = None) -> None:
        """Let generation `number` answer from now on; nothing is rebuilt.

        Raises:
            NotFoundError: there is no such generation.
        """
        self.generation(number)
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO switch (at, generation) VALUES (?, ?)", (layout.stamp(at or datetime.now(UTC)), number)
            )

    # Versions

    def version(self, document: str, version: str) -> DocumentVersion:
        """A stored version by its document and hash, in force or not, whoever may see it: for operators.

        Raises:
            NotFoundError: it was never ingested.
        """
        found = self._stored(document, version)
        if found is None:
            raise _no_version(document, version)
        return found

    def _stored(self, document: str, version: str) -> DocumentVersion | None:
        query = f"{_SELECT} WHERE m.document = ? AND c.version = ? ORDER BY m.id DESC LIMIT 1"
        row = self.database.connection.execute(query, (document, version)).fetchone()
        return None if row is None else replace(layout.document_version(row), access=self.control.access(document))

    def versions(self, generation: int) -> Iterator[DocumentVersion]:
        """The document versions of a generation, in document order, whoever may see them: for operators."""
        now = self.control.all_access()
        query = f"{_SELECT} WHERE {layout.HELD} ORDER BY m.document"
        for row in self.database.connection.execute(query, {"number": generation}):
            version = layout.document_version(row)
            yield replace(version, access=now.get(version.document, NOBODY))

    def history(self, document: str) -> list[DocumentVersion]:
        """All states of a document, oldest first, whoever may see them: for operators. Empty when it was never ingested.

        `valid_to` is when the next state began, or when the document was deleted.
        """
        query = f"{_SELECT} WHERE m.document = ? ORDER BY m.id"
        now = self.control.access(document)
        rows = self.database.connection.execute(query, (document,))
        return [replace(layout.document_version(row), access=now) for row in rows]

    def access_now(self, document: str) -> Access:
        """Who may see a document now, in any generation; nobody when no rule names it."""
        return self.control.access(document)

    def passages(self, generation: int) -> Iterator[Passage]:
        """The passages of a generation, by document and offset: what the index must hold for it, under the access of now.

        Raises:
            NotFoundError: there is no such generation.
        """
        splitting = self.generation(generation).splitting
        now = self.control.all_access()
        query = (
            f"SELECT {layout.VERSION_COLUMNS}, cut.spans FROM {layout.VERSION_TABLES} "
            f"JOIN cut ON cut.content = c.id AND cut.splitting = :splitting WHERE {layout.HELD} ORDER BY m.document"
        )
        for row in self.database.connection.execute(query, {"number": generation, "splitting": splitting}):
            version = layout.document_version(row)
            version = replace(version, access=now.get(version.document, NOBODY))
            for span in layout.unpacked_spans(row[-1]):
                yield passage(version, span)

    def resolve(self, citation: Citation) -> DocumentVersion | None:
        """The version a citation quotes, when its characters [start:end) are exactly the quote; None when it does not resolve.

        Whoever may see it: for operators. Askers get `cited`.
        """
        try:
            version = self.version(citation.document, citation.version)
        except NotFoundError:
            return None
        inside = 0 <= citation.start < citation.end <= len(version.text)
        return version if inside and version.text[citation.start : citation.end] == citation.quote else None

    def placed(self, citation: Citation) -> Citation:
        """A citation, and its copies, with the page and heading path of the quote's own characters.

        A passage may hold several small sections or run over a page break; a reader is sent to the page where the quote begins.

        Raises:
            StoreError: a quote is not in the version it names, so the index does not show what the library holds.
        """
        version = self.resolve(citation)
        if version is None:
            raise StoreError(
                f"the passage found is not in the stored version of '{citation.document}'.",
                where=f"characters {citation.start} to {citation.end}",
                remedy="Delete the index folder in .steelyard; the next command makes it again from the library.",
                code="corpus.citation_broken",
            )
        return replace(
            citation,
            heading=heading_path(version.headings, citation.start, citation.end),
            page=page_of(version, citation.start),
            copies=tuple(map(self.placed, citation.copies)),
        )

    def failing(self) -> tuple[tuple[str, str], ...]:
        """(path, reason) of the files that the last ingest could not read."""
        return tuple(
            self.database.connection.execute("SELECT document, reason FROM failing ORDER BY document").fetchall()
        )


def _no_version(document: str, version: str) -> NotFoundError:
    return NotFoundError(
        f"there is no version {version[:12]} of '{document}'.",
        remedy="Check the document's name and the version's hash.",
        code="corpus.unknown_version",
    )
