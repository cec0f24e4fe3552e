"""Where documents come from: the records of sources, of their files, and of a look at them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from steelyard.corpus import history
from steelyard.corpus.history import Repository
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.seen_files import read_whole
from steelyard.schema.scope import Access

MAX_BYTES = Limits().file_bytes


@dataclass(frozen=True, kw_only=True)
class SourceRule:
    """A folder (or one file) with documents, and who may see them. `path` is relative to the workspace folder.

    No `allow` means nobody, never everyone. When folders nest, a file belongs to the innermost rule that holds it.
    """

    path: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @property
    def access(self) -> Access:
        """The rule as an access rule."""
        return Access(allow=tuple(self.allow or ()), deny=tuple(self.deny or ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file of a source. `version` is the SHA-256 of its bytes in hex; `access` is the rule of its source.

    `path` is where it lies in the working tree; files of a git commit have a `blob` (object id) instead. `changed_ns` is when the file
    system saw its last change (edit, rename, replacement), in nanoseconds since 1970.
    """

    document: str
    source: str
    format: str
    size: int
    version: str
    access: Access
    valid_from: datetime
    path: str | None = None
    blob: str | None = None
    changed_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All files of all sources, in document order, and what could not be read: (document, reason).

    A failed name that ends in `/` is a folder: what was known below it must not be taken for deleted. `as_of` is the moment shown.
    `looked` are the documents that were looked at, None for all there are. The bytes of `aliases` have another name as well (a link, or
    a file of two names), so they can change without a word of it under this one.
    """

    files: tuple[SourceFile, ...]
    failed: tuple[tuple[str, str], ...]
    as_of: datetime
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES
    looked: frozenset[str] | None = None
    aliases: frozenset[str] = frozenset()

    def contents(self, files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, bytes | OSError]]:
        """Each file with its bytes, or with the error that kept them away; in the order given.

        A file that changed since the listing comes with its new version and size.
        """
        for file in files:
            if file.path is None:
                continue
            try:
                content, _, _ = read_whole(file.path, self.max_bytes)
            except OSError as error:
                yield file, error
                continue
            version = hashlib.sha256(content).hexdigest()
            yield (file if version == file.version else replace(file, version=version, size=len(content))), content
        for source, repo in self.repositories.items():
            wanted = [file for file in files if file.source == source and file.blob is not None]
            yield from zip(wanted, history.contents(repo, [file.blob or "" for file in wanted]), strict=True)


Known = Mapping[str, tuple[str, datetime]]
"""Document to (version, valid_from): bytes that are known keep the date they have, and git is asked about the others only."""
