"""What a follower keeps between one look at the sources and the next, so that a look at one file costs what one file costs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from steelyard.corpus.database import Database
from steelyard.corpus.file_rules import FileRules
from steelyard.corpus.places import named, places
from steelyard.corpus.seen_files import open_sources
from steelyard.corpus.sources import SourceRule
from steelyard.corpus.vectors import VectorCache

MOST_ALONE = 500
"""Documents up to which they are looked at alone; more are found with all others as quickly."""


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What was heard of: the paths that changed, None for anything. All that happened before `until` is in this burst or an earlier one."""

    paths: frozenset[str] | None
    until: datetime


class Kept:
    """The open caches beside a library, and what the last look at all sources found."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._sources: Database | None = None
        self._vectors: VectorCache | None = None
        self._aliases: frozenset[str] = frozenset()
        self._files: FileRules | None = None

    @property
    def sources(self) -> Database:
        """`sources.sqlite`, open; anew when somebody removed the file."""
        if self._sources is not None and not self._sources.is_there():
            self._sources.close()
            self._sources = None
        if self._sources is None:
            self._sources = open_sources(self._library)
        return self._sources

    @property
    def vectors(self) -> VectorCache:
        """The cache of vectors, open; anew when somebody removed the file."""
        if self._vectors is not None and not self._vectors.is_there():
            self._vectors.close()
            self._vectors = None
        if self._vectors is None:
            self._vectors = VectorCache(self._library.with_name("vectors.sqlite"))
        return self._vectors

    def note(self, files: FileRules, aliases: Collection[str], *, everything: bool) -> None:
        """Remember what a look found that ended well: the access rules in files, and the documents whose bytes have other names too."""
        self._files = files
        self._aliases = frozenset(aliases) if everything else self._aliases | frozenset(aliases)

    def forget(self) -> None:
        """Look at everything next time."""
        self._files = None

    def holds(self, files: FileRules) -> bool:
        """Whether these are the access rules that the last look found."""
        return self._files == files

    def documents(self, burst: Burst | None, rules: Sequence[SourceRule], root: Path) -> frozenset[str] | None:
        """The documents to look at after a burst; None for all.

        Those with another name are among them: what changed under that one was not heard of under theirs.
        """
        if burst is None or burst.paths is None or self._files is None:
            return None
        if len(burst.paths) + len(self._aliases) > MOST_ALONE:
            return None
        among = places(rules, root)
        found = [named(path, among) for path in burst.paths]
        if None in found:
            return None
        return self._aliases | {one[1] for one in found if one is not None}

    def close(self) -> None:
        """Close the files."""
        for one in (self._sources, self._vectors):
            if one is not None:
                one.close()
        self._sources = self._vectors = None
