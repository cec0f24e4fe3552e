"""Looks at the sources as they are now: at all of them, or at the documents that were heard of."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard.corpus import history
from steelyard.corpus.parsing import format_of
from steelyard.corpus.places import Found, Place, found, places, walk
from steelyard.corpus.seen_files import SeenFiles, Sighting, read_whole
from steelyard.corpus.sources import MAX_BYTES, Known, Listing, SourceFile, SourceRule


def scan(
    rules: Sequence[SourceRule],
    root: Path,
    *,
    known: Known | None = None,
    max_bytes: int = MAX_BYTES,
    seen: SeenFiles | None = None,
) -> Listing:
    """The documents of the sources as they are now.

    Hidden files and folders (`.git`, `.steelyard`), links that leave their source, links to folders, special files and formats that no
    parser reads are passed over. Files above `max_bytes` and unreadable ones are in `failed`. `valid_from` is the commit date where
    the bytes are those of the last commit, else the modification time. Files that `seen` knows unchanged are not read.

    Raises:
        ConfigError: a source does not exist, or two sources are the same folder.
    """
    looking = _Looking(known or {}, max_bytes, seen.load() if seen else {})
    among = places(rules, root)
    for own in among:
        own.require()
        looking.look(own, walk(own, among, looking.failed, looking.aliases))
    return looking.listing(seen)


def look_again(
    rules: Sequence[SourceRule],
    root: Path,
    documents: Collection[str],
    *,
    known: Known | None = None,
    max_bytes: int = MAX_BYTES,
    seen: SeenFiles | None = None,
) -> Listing:
    """What `scan` would say of these documents alone; `looked` are their names. One that is in neither `files` nor `failed` is gone.

    Raises:
        ConfigError: the source of one does not exist, or two sources are the same folder.
    """
    looking = _Looking(known or {}, max_bytes, seen.load(documents) if seen else {})
    among = places(rules, root)
    own_documents: dict[str, list[str]] = {}
    for document in sorted(documents):
        own = _holder(document, among)
        if own is not None:
            own_documents.setdefault(own.rule.path, []).append(document)
    for own in among:
        those = own_documents.get(own.rule.path, ())
        there = (found(own, document, among, looking.failed, looking.aliases) for document in those)
        looking.look(own, (one for one in there if one is not None))
    return replace(looking.listing(seen), looked=frozenset(documents))


def _holder(document: str, among: Sequence[Place]) -> Place | None:
    """The innermost source whose documents' names begin like this one."""
    holding = [own for own in among if not own.name or document == own.name or document.startswith(own.name + "/")]
    return max(holding, key=lambda own: len(own.name), default=None)


class _Looking:
    """One look: what was found so far, and what was seen before."""

    def __init__(self, known: Known, max_bytes: int, before: Mapping[str, Sighting]) -> None:
        self.failed: list[tuple[str, str]] = []
        self.aliases: set[str] = set()
        self._now = datetime.now(UTC)
        self._known = known
        self._max_bytes = max_bytes
        self._before = before
        self._files: list[SourceFile] = []
        self._sightings: dict[str, Sighting] = {}

    def look(self, own: Place, documents: Iterable[Found]) -> None:
        """Look at some documents of one source."""
        fresh: list[tuple[SourceFile, str]] = []
        for one in documents:
            read = self._fingerprint(own, one)
            if read is None:
                continue
            file, blob = read
            dated = self._known.get(file.document)
            if dated is not None and dated[0] == file.version:
                self._files.append(file if dated[1] == file.valid_from else replace(file, valid_from=dated[1]))
            elif blob is None:
                self._files.append(file)  # dated when it was seen first
            else:
                fresh.append((file, blob))
        self._files.extend(_dated(own, fresh))

    def listing(self, seen: SeenFiles | None) -> Listing:
        """Everything that was found; `seen` takes over what to know it by again."""
        if seen is not None:
            for file in self._files:
                one = self._sightings.get(file.document)
                if one is not None and one.valid_from != file.valid_from:
                    self._sightings[file.document] = replace(one, valid_from=file.valid_from)
            seen.keep(self._sightings)
        files = tuple(sorted(self._files, key=lambda file: file.document))
        return Listing(
            files=files,
            failed=tuple(sorted(self.failed)),
            as_of=self._now,
            max_bytes=self._max_bytes,
            aliases=frozenset(self.aliases),
        )

    def _fingerprint(self, own: Place, one: Found) -> tuple[SourceFile, str | None] | None:
        """The file's record with its git object id; None when it went to `failed`.

        The object id is None for a file that was seen before: then it was not read, and has the date it got then.
        """
        document, path, before = one.document, one.path, self._before.get(one.document)
        try:
            status = os.stat(path)
            if status.st_nlink > 1:
                self.aliases.add(document)
            if status.st_size > self._max_bytes or not stat.S_ISREG(status.st_mode):
                self.failed.append((document, too_large(status.st_size, self._max_bytes)))
                return None
            if before is not None and before.holds(status):
                self._sightings[document] = before
                return _record(own, document, path, status, before.version, before.valid_from), None
            content, status, settled = read_whole(path, self._max_bytes)
        except OSError as error:
            self.failed.append((document, f"the file cannot be read ({error.strerror})"))
            return None
        version = hashlib.sha256(content).hexdigest()
        modified = _moment(status.st_mtime)
        if settled:
            self._sightings[document] = Sighting(
                status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, version, modified
            )
        file = _record(own, document, path, status, version, modified)
        return replace(file, size=len(content)), history.blob_id(content)


def too_large(size: int, max_bytes: int) -> str:
    """Why a file of this size is not read."""
    return f"the file is too large ({size / 2**20:.0f} MiB; the limit is {max_bytes / 2**20:.0f} MiB)"


def _moment(seconds: float) -> datetime:
    """A modification time, UTC; one before 1970 or still to come (a wrong clock, a hostile archive) becomes the nearest possible."""
    return datetime.fromtimestamp(int(min(max(seconds, 0.0), datetime.now(UTC).timestamp())), UTC)


def _record(
    own: Place, document: str, path: str, status: os.stat_result, version: str, valid_from: datetime
) -> SourceFile:
    return SourceFile(
        document=document,
        source=own.rule.path,
        format=format_of(document) or "",
        size=status.st_size,
        version=version,
        access=own.access,
        valid_from=valid_from,
        path=path,
        changed_ns=max(status.st_mtime_ns, status.st_ctime_ns),
    )


def _dated(own: Place, fresh: Sequence[tuple[SourceFile, str]]) -> list[SourceFile]:
    """The files with their commit dates, where the bytes on disk are the committed ones."""
    repo = history.repository(own.path) if fresh else None
    commit = history.commit_at(repo, None) if repo else None
    if repo is None or commit is None:
        return [file for file, _ in fresh]
    below = {file.document: file.document[len(own.name) :].lstrip("/") for file, _ in fresh}
    committed = history.object_ids(repo, commit, list(below.values()))
    unchanged = [below[file.document] for file, blob in fresh if committed.get(below[file.document]) == blob]
    dates = history.commit_dates(repo, commit, unchanged)
    return [replace(file, valid_from=dates.get(below[file.document], file.valid_from)) for file, _ in fresh]
