"""Erasing documents: first closed to everyone in every generation, then taken out of every file of the corpus."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.corpus import layout
from steelyard.corpus.control import Control
from steelyard.corpus.interface import Index
from steelyard.corpus.library import Library
from steelyard.corpus.patterns import is_plain, matches
from steelyard.corpus.removal import Doomed, carry_out, is_unfinished
from steelyard.corpus.staging import Staging
from steelyard.schema.errors import NotFoundError, UserError, nearest

HASH = re.compile(r"[0-9a-f]{64}")
"""How a content hash is written: the SHA-256 of a file's bytes."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What an erasure names: documents, and versions (hashes) of whatever document holds them.

    `shared` names, by version, the documents that hold the bytes of a named one and were not named themselves: their text stays.
    """

    documents: tuple[str, ...]
    versions: tuple[str, ...]
    shared: Mapping[str, tuple[str, ...]]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(document, version) as the control plane and `Store.purge` take them; "" stands for any."""
        return tuple((name, "") for name in self.documents) + tuple(("", version) for version in self.versions)


def find_targets(library: Library, names: Sequence[str]) -> Targets:
    """What `names` stand for: documents, patterns (`docs/hr/**`) or content hashes.

    The bytes of a named document are closed under every other name too, unless another document that was not named holds them.

    Raises:
        UserError: nothing is named.
        NotFoundError: a name fits no document that was ever ingested; the nearest is named.
    """
    if not names:
        raise UserError(
            "no document is named.", remedy="Name a document, a pattern or a hash.", code="corpus.erase_nothing"
        )
    held: dict[str, set[str]] = {}
    for document, version in _holders(library):
        held.setdefault(document, set()).add(version)
    documents: set[str] = set()
    hashes: set[str] = set()
    for name in names:
        if HASH.fullmatch(name):
            hashes.add(name)
            continue
        found = {document for document in held if document == name or matches(name, document)}
        if not found:
            near = nearest(name, list(held)) if is_plain(name) else []
            hint = f"Did you mean '{near[0]}'?" if near else "Documents are named as in citations, e.g. docs/a.md."
            raise NotFoundError(f"there is no document '{name}'.", remedy=hint, code="corpus.unknown_document")
        documents |= found
    others: dict[str, list[str]] = {}
    for document, versions in held.items():
        if document not in documents:
            for version in versions:
                others.setdefault(version, []).append(document)
    own = {version for document in documents for version in held[document]}
    shared = {version: tuple(sorted(others[version])) for version in sorted(own - hashes) if version in others}
    return Targets(
        documents=tuple(sorted(documents)), versions=tuple(sorted((own | hashes) - set(shared))), shared=shared
    )


def texts_of(library: Library, targets: Targets) -> list[str]:
    """The texts that an erasure removes: those of its versions."""
    found: list[str] = []
    for version in targets.versions:
        rows = library.database.connection.execute("SELECT text FROM content WHERE version = ?", (version,))
        found.extend(row[0] for row in rows)
    return found


def close(control: Control, targets: Targets, *, by: str, why: str) -> None:
    """Put the erasure into the control plane: from now on nobody is answered from it, in any generation."""
    control.erase(documents=targets.documents, versions=targets.pairs[len(targets.documents) :], by=by, why=why)


def is_due(library: Library, control: Control) -> bool:
    """Whether files still hold something that was erased, or were left half-way by a crash."""
    return is_unfinished(library) or bool(_doomed(library, _erased(control)).members)


def remove(library: Library, index: Index, control: Control) -> int:
    """Take everything that the control plane lists as erased out of every file of the corpus; how many index rows went.

    Also finishes a removal that was cut off. Doing it again is harmless.

    Raises:
        UserError: an ingest is running.
        StoreError: a file is damaged or the disk is full; what was erased stays closed, and the next call goes on.
    """
    staging = Staging(library)
    with staging.lock():
        left_over = staging.pending()
        if left_over is not None:
            index.discard(left_over)
            staging.forget()
        erased = _erased(control)
        doomed = _doomed(library, erased)
        versions = {version for document, version in erased if not document}
        with library.database.transaction() as connection:
            rows = [(version,) for version in versions]
            connection.executemany("DELETE FROM failure WHERE version = ?", rows)
            connection.executemany("DELETE FROM failing WHERE document = ?", [(one,) for one, _ in erased if one])
        keep = [generation.number for generation in library.generations()]
        return carry_out(library, index, doomed, keep=keep, erased=erased)


def lift(control: Control, names: Sequence[str], root: Path, *, by: str, why: str) -> list[str]:
    """Let erased documents be taken in again by the next ingest; what was lifted. What was removed does not come back by this.

    A document is let in with the bytes that its file holds now.

    Raises:
        NotFoundError: nothing of such a name was erased.
    """
    pairs: set[tuple[str, str]] = set()
    known = {(one.document, one.version) for one in control.erasures()}
    for name in names:
        own = {(document, version) for document, version in known if _fits(name, document, version)}
        if not own:
            listed = sorted(document or version[:12] for document, version in known)
            hint = f"Erased are: {', '.join(listed[:10])}." if listed else "Nothing was erased here."
            raise NotFoundError(f"'{name}' was not erased.", remedy=hint, code="corpus.not_erased")
        pairs |= own
    for document in {document for document, _ in pairs if document}:
        path = root / document
        if path.is_file():
            pairs |= known & {("", _hash(path))}
    control.lift(sorted(pairs), by=by, why=why)
    return sorted(document or version for document, version in pairs)


def _fits(name: str, document: str, version: str) -> bool:
    return (document == "" and version == name) or (document != "" and matches(name, document))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holders(library: Library) -> list[tuple[str, str]]:
    query = f"SELECT DISTINCT m.document, c.version FROM {layout.VERSION_TABLES}"
    return [(document, version) for document, version in library.database.connection.execute(query)]


def _erased(control: Control) -> frozenset[tuple[str, str]]:
    return frozenset((one.document, one.version) for one in control.erasures())


def _doomed(library: Library, erased: Collection[tuple[str, str]]) -> Doomed:
    """The document states that are erased and still in the library."""
    if not erased:
        return Doomed(members=())
    query = f"SELECT m.id, m.document, c.version FROM {layout.VERSION_TABLES}"
    rows = library.database.connection.execute(query).fetchall()
    return Doomed(
        members=tuple(
            number
            for number, document, version in rows
            if (document, "") in erased or (document, version) in erased or ("", version) in erased
        )
    )
