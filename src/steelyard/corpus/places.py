"""Where sources lie on disk, and which of the files there are documents."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.corpus.parsing import format_of
from steelyard.corpus.sources import SourceRule
from steelyard.schema.errors import ConfigError
from steelyard.schema.scope import Access


@dataclass(frozen=True)
class Place:
    """A source rule with its place on disk: `name` is the document prefix, `real` the folder with links resolved."""

    rule: SourceRule
    name: str
    path: Path
    real: str
    access: Access

    def require(self) -> None:
        """Nothing, where the source is there.

        Raises:
            ConfigError: it does not exist.
        """
        if not self.path.exists():
            raise ConfigError(
                f"the source '{self.rule.path}' does not exist.",
                where="[[sources]]",
                remedy="Correct its path in steelyard.toml, or remove it: then its documents are deleted from the corpus.",
                code="corpus.source_missing",
            )


@dataclass(frozen=True)
class Found:
    """A document of a source: its name and where it lies."""

    document: str
    path: str


def places(rules: Sequence[SourceRule], root: Path) -> list[Place]:
    """The sources' places, in the order of the rules.

    Raises:
        ConfigError: two sources are the same folder.
    """
    made: list[Place] = []
    for rule in rules:
        path = root / rule.path
        name = rule.path if not os.path.isabs(rule.path) else os.path.relpath(rule.path, root)
        name = posixpath.normpath(Path(name).as_posix())
        made.append(Place(rule, "" if name == "." else name, path, os.path.realpath(path), rule.access))
    seen: dict[str, str] = {}
    for own in made:
        if own.real in seen:
            raise ConfigError(
                f"the sources '{seen[own.real]}' and '{own.rule.path}' are the same folder.",
                where="[[sources]]",
                remedy="Keep one of them: two access rules for one folder cannot both hold.",
                code="corpus.source_twice",
            )
        seen[own.real] = own.rule.path
    return made


def owner(real: str, among: Sequence[Place]) -> Place | None:
    """The innermost source that holds a path, whose links are resolved."""
    holding = [own for own in among if real == own.real or real.startswith(own.real.rstrip(os.sep) + os.sep)]
    return max(holding, key=lambda own: len(own.real), default=None)


def walk(own: Place, among: Sequence[Place], failed: list[tuple[str, str]], links: set[str]) -> Iterator[Found]:
    """The documents of one source; unreadable folders and undecodable names go to `failed`.

    The names of links go to `links`, also of those that lead to no document now.
    """
    if own.path.is_file():
        if own.path.is_symlink():
            links.add(own.name)
        if format_of(own.name) is not None:
            yield Found(own.name, str(own.path))
        return
    others = {other.real for other in among if other is not own}
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
            elif format_of(entry.name) is not None:
                if entry.is_symlink():
                    links.add(document)
                if not _is_document(entry, own, among, real, others):
                    continue
                if _is_utf8(document):
                    yield Found(document, entry.path)
                else:
                    failed.append((document.encode("utf-8", "replace").decode(), "the file name is not valid UTF-8"))


def named(path: str, among: Sequence[Place]) -> tuple[Place, str] | None:
    """The source of a path that was heard of, and the name of the document there, if there is one; None when no source holds it.

    The folders on the way are taken to be no links, as those that `walk` enters are none.
    """
    whole = os.path.abspath(path)
    for own in among:
        for top in (os.path.abspath(own.path), own.real):
            if whole != top and not whole.startswith(top.rstrip(os.sep) + os.sep):
                continue
            real = own.real if whole == top else os.path.join(own.real, os.path.relpath(whole, top))
            inner = owner(real, among) or own
            below = "" if real == inner.real else Path(os.path.relpath(real, inner.real)).as_posix()
            return inner, "/".join(part for part in (inner.name, below) if part)
    return None


def found(
    own: Place, document: str, among: Sequence[Place], failed: list[tuple[str, str]], links: set[str]
) -> Found | None:
    """The document of this name as `walk` would give it; None when it is not there or in `failed`.

    Raises:
        ConfigError: the source itself is not there.
    """
    own.require()
    below = document[len(own.name) :].lstrip("/")
    path = os.path.join(own.path, below) if below else str(own.path)
    hidden = any(part.startswith(".") for part in below.split("/"))
    if hidden or format_of(document) is None or owner(os.path.join(own.real, below).rstrip(os.sep), among) is not own:
        return None
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        failed.append((document, f"the file cannot be read ({error.strerror})"))
        return None
    linked = stat.S_ISLNK(mode)
    if linked:
        links.add(document)
    if not (_is_own_link(path, own, among) if linked and below else linked or stat.S_ISREG(mode)):
        return None
    if not _is_utf8(document):
        failed.append((document.encode("utf-8", "replace").decode(), "the file name is not valid UTF-8"))
        return None
    return Found(document, path)


def _is_document(
    entry: os.DirEntry[str], own: Place, among: Sequence[Place], folder: str, others: Collection[str]
) -> bool:
    """Whether an entry of `folder` is a plain file that is no source of its own, or a link to a plain, unhidden file of the same source."""
    if others and os.path.join(folder, entry.name) in others:
        return False
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    return _is_own_link(entry.path, own, among)


def _is_own_link(path: str, own: Place, among: Sequence[Place]) -> bool:
    real = os.path.realpath(path)
    if not os.path.isfile(real) or owner(real, among) is not own:
        return False
    below = os.path.relpath(real, own.real)
    return not any(part.startswith(".") for part in Path(below).parts)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
