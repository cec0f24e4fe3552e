"""Where documents come from: a folder as it is now, or as git says it was at a date; both give the same records."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard.corpus import history
from steelyard.corpus.history import Repository
from steelyard.corpus.parsing import format_of
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.seen_files import SeenFiles, Sighting, read_whole
from steelyard.schema.errors import ConfigError, NotFoundError
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


@dataclass(frozen=True, kw_only=True)
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
    """

    files: tuple[SourceFile, ...]
    failed: tuple[tuple[str, str], ...]
    as_of: datetime
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES

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


@dataclass(frozen=True)
class _Root:
    """A source rule with its place on disk: `name` is the document prefix, `real` the folder with links resolved."""

    rule: SourceRule
    name: str
    path: Path
    real: str


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
    known = known or {}
    now = datetime.now(UTC)
    files: list[SourceFile] = []
    failed: list[tuple[str, str]] = []
    before = seen.load() if seen else {}
    sightings: dict[str, Sighting] = {}
    roots = _roots(rules, root)
    for own in roots:
        if not own.path.exists():
            raise ConfigError(
                f"the source '{own.rule.path}' does not exist.",
                where="[[sources]]",
                remedy="Correct its path in steelyard.toml, or remove it: then its documents are deleted from the corpus.",
                code="corpus.source_missing",
            )
        fresh: list[tuple[SourceFile, str]] = []
        for document, path in _walk(own, roots, failed):
            read = _fingerprint(own, document, path, max_bytes, failed, before.get(document))
            if read is None:
                continue
            file, blob, sighting = read
            if sighting is not None:
                sightings[document] = sighting
            dated = known.get(document)
            if dated is not None and dated[0] == file.version:
                files.append(file if dated[1] == file.valid_from else replace(file, valid_from=dated[1]))
            elif blob is None:
                files.append(file)  # dated when it was seen first
            else:
                fresh.append((file, blob))
        files.extend(_dated(own, fresh))
    if seen is not None:
        for file in files:
            one = sightings.get(file.document)
            if one is not None and one.valid_from != file.valid_from:
                sightings[file.document] = replace(one, valid_from=file.valid_from)
        seen.keep(sightings)
    return Listing(files=_ordered(files), failed=tuple(sorted(failed)), as_of=now, max_bytes=max_bytes)


def snapshot(
    rules: Sequence[SourceRule], root: Path, date: datetime, *, known: Known | None = None, max_bytes: int = MAX_BYTES
) -> Listing:
    """The documents of the sources as their git history held them at `date`: the same records as `scan` gives.

    `date` must be aware. A source whose history begins later has no documents.

    Raises:
        NotFoundError: a source is not in a git working tree.
    """
    known = known or {}
    files: list[SourceFile] = []
    failed: list[tuple[str, str]] = []
    repositories: dict[str, Repository] = {}
    roots = _roots(rules, root)
    for own in roots:
        repo = history.repository(own.path)
        if repo is None:
            raise NotFoundError(
                f"the source '{own.rule.path}' has no history: it is not in a git working tree.",
                remedy="Keep the documents in git to replay their past.",
                code="corpus.no_history",
            )
        repositories[own.rule.path] = repo
        commit = history.commit_at(repo, date)
        if commit is not None:
            files.extend(_committed(own, roots, repo, commit, date, known, max_bytes, failed))
    return Listing(files=_ordered(files), failed=tuple(sorted(failed)), as_of=date, repositories=repositories)


def _ordered(files: list[SourceFile]) -> tuple[SourceFile, ...]:
    return tuple(sorted(files, key=lambda file: file.document))


def _roots(rules: Sequence[SourceRule], root: Path) -> list[_Root]:
    roots: list[_Root] = []
    for rule in rules:
        path = root / rule.path
        name = rule.path if not os.path.isabs(rule.path) else os.path.relpath(rule.path, root)
        name = posixpath.normpath(Path(name).as_posix())
        roots.append(_Root(rule=rule, name="" if name == "." else name, path=path, real=os.path.realpath(path)))
    seen: dict[str, str] = {}
    for own in roots:
        if own.real in seen:
            raise ConfigError(
                f"the sources '{seen[own.real]}' and '{own.rule.path}' are the same folder.",
                where="[[sources]]",
                remedy="Keep one of them: two access rules for one folder cannot both hold.",
                code="corpus.source_twice",
            )
        seen[own.real] = own.rule.path
    return roots


def _owner(real: str, roots: Sequence[_Root]) -> _Root | None:
    """The innermost source that holds a path."""
    holding = [own for own in roots if real == own.real or real.startswith(own.real.rstrip(os.sep) + os.sep)]
    return max(holding, key=lambda own: len(own.real), default=None)


def _walk(own: _Root, roots: Sequence[_Root], failed: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Documents of one source with their paths; unreadable folders and undecodable names go to `failed`."""
    if own.path.is_file():
        if format_of(own.name) is not None:
            yield own.name, str(own.path)
        return
    others = {other.real for other in roots if other is not own}
    folders = [(own.name, str(own.path), own.real)]
    while folders:
        name, folder, real = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            failed.append((f"{name or '.'}/", f"the folder cannot be read ({error.strerror})"))
            continue
        for entry in entries:
            document = f"{name}/{entry.name}" if name else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                below = os.path.join(real, entry.name)
                if below in others:
                    continue
                folders.append((document, entry.path, below))
            elif format_of(entry.name) is not None and _is_document(entry, own, roots, real, others):
                if _is_utf8(document):
                    yield document, entry.path
                else:
                    failed.append((document.encode("utf-8", "replace").decode(), "the file name is not valid UTF-8"))


def _is_document(
    entry: os.DirEntry[str], own: _Root, roots: Sequence[_Root], folder: str, others: Collection[str]
) -> bool:
    """Whether an entry of `folder` is a plain file that is no source of its own, or a link to a plain, unhidden file of the same source."""
    if others and os.path.join(folder, entry.name) in others:
        return False
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    real = os.path.realpath(entry.path)
    if not os.path.isfile(real) or _owner(real, roots) is not own:
        return False
    below = os.path.relpath(real, own.real)
    return not any(part.startswith(".") for part in Path(below).parts)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _too_large(size: int, max_bytes: int) -> str:
    return f"the file is too large ({size / 2**20:.0f} MiB; the limit is {max_bytes / 2**20:.0f} MiB)"


def _fingerprint(
    own: _Root, document: str, path: str, max_bytes: int, failed: list[tuple[str, str]], before: Sighting | None
) -> tuple[SourceFile, str | None, Sighting | None] | None:
    """The file's record with its git object id and what to know it by again; None when it went to `failed`.

    The object id is None for a file that was seen before: then it was not read, and has the date it got then.
    """
    try:
        status = os.stat(path)
        if status.st_size > max_bytes or not stat.S_ISREG(status.st_mode):
            failed.append((document, _too_large(status.st_size, max_bytes)))
            return None
        if before is not None and before.holds(status):
            return _record(own, document, path, status, before.version, before.valid_from), None, before
        content, status, settled = read_whole(path, max_bytes)
    except OSError as error:
        failed.append((document, f"the file cannot be read ({error.strerror})"))
        return None
    version = hashlib.sha256(content).hexdigest()
    modified = _moment(status.st_mtime)
    sighting = Sighting(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, version, modified
    )
    file = _record(own, document, path, status, version, modified)
    return replace(file, size=len(content)), history.blob_id(content), sighting if settled else None


def _moment(seconds: float) -> datetime:
    """A modification time, UTC; one before 1970 or still to come (a wrong clock, a hostile archive) becomes the nearest possible."""
    return datetime.fromtimestamp(int(min(max(seconds, 0.0), datetime.now(UTC).timestamp())), UTC)


def _record(
    own: _Root, document: str, path: str, status: os.stat_result, version: str, valid_from: datetime
) -> SourceFile:
    return SourceFile(
        document=document,
        source=own.rule.path,
        format=format_of(document) or "",
        size=status.st_size,
        version=version,
        access=own.rule.access,
        valid_from=valid_from,
        path=path,
        changed_ns=max(status.st_mtime_ns, status.st_ctime_ns),
    )


def _dated(own: _Root, fresh: Sequence[tuple[SourceFile, str]]) -> list[SourceFile]:
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


def _committed(
    own: _Root,
    roots: Sequence[_Root],
    repo: Repository,
    commit: str,
    date: datetime,
    known: Known,
    max_bytes: int,
    failed: list[tuple[str, str]],
) -> list[SourceFile]:
    """The documents of one source in a commit, with the date each got its content."""
    blobs = []
    for blob in history.files_at(repo, commit):
        document = "/".join(part for part in (own.name, blob.path) if part)
        hidden = any(part.startswith(".") for part in blob.path.split("/"))
        if (
            hidden
            or format_of(document) is None
            or _owner(os.path.join(own.real, blob.path).rstrip(os.sep), roots) is not own
        ):
            continue
        if blob.size > max_bytes:
            failed.append((document, _too_large(blob.size, max_bytes)))
            continue
        blobs.append((document, blob))
    versions = [
        hashlib.sha256(content).hexdigest() for content in history.contents(repo, [blob.oid for _, blob in blobs])
    ]
    keep = {
        document: known[document][1]
        for (document, _), version in zip(blobs, versions, strict=True)
        if document in known and known[document][0] == version
    }
    dates = history.commit_dates(repo, commit, [blob.path for document, blob in blobs if document not in keep])
    return [
        SourceFile(
            document=document,
            source=own.rule.path,
            format=format_of(document) or "",
            size=blob.size,
            version=version,
            access=own.rule.access,
            valid_from=keep[document] if document in keep else dates.get(blob.path, date),
            blob=blob.oid,
        )
        for (document, blob), version in zip(blobs, versions, strict=True)
    ]
