"""Git as the memory of a source: which commit brought each file, and what the folder held at a date.

Only object reading commands are run (`rev-parse`, `rev-list`, `ls-tree`, `log --name-status`, `cat-file`): none of them touches the
working tree or runs a filter, hook or external diff that a repository's own settings could name.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steelyard.schema.errors import BrokenError
from steelyard.schema.history import Change

REGULAR_MODES = ("100644", "100755")
"""Tree entries that are plain files; links (120000) and submodules (160000) are not documents."""

FEW_PATHS = 100
"""Up to this many files are looked up by name; more by listing the folder."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A git working tree and the folder of a source inside it (`prefix`, with forward slashes, "" for the top)."""

    top: Path
    prefix: str


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A file in a commit: its path below the source folder, its object id and its size in bytes."""

    path: str
    oid: str
    size: int


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", "-C", str(folder), *arguments]


def _environment() -> dict[str, str]:
    # Inside a git hook GIT_DIR and its like point at another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _run(folder: Path, *arguments: str) -> bytes | None:
    """The output of one git command; None when git is absent or refuses."""
    try:
        done = subprocess.run(_command(folder, *arguments), capture_output=True, env=_environment(), check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def repository(folder: Path) -> Repository | None:
    """The git working tree that holds `folder`, or None. The folder itself may be gone from the working tree."""
    real = Path(os.path.realpath(folder))
    present = real
    while not present.is_dir() and present != present.parent:
        present = present.parent
    out = _run(present, "rev-parse", "--show-toplevel")
    if not out:
        return None
    top = Path(os.path.realpath(os.fsdecode(out).rstrip("\n")))
    prefix = Path(os.path.relpath(real, top)).as_posix()
    return None if prefix.startswith("..") else Repository(top=top, prefix="" if prefix == "." else prefix)


def bare_repository(folder: Path, prefix: str = "") -> Repository | None:
    """The bare repository at `folder`, seen from the folder `prefix` inside it; None when it is none."""
    out = _run(folder, "rev-parse", "--is-bare-repository") if folder.is_dir() else None
    return Repository(top=folder, prefix=prefix.strip("/")) if out and out.strip() == b"true" else None


def blob_id(content: bytes) -> str:
    """The id git gives these bytes (SHA-1 repositories)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def commit_at(repo: Repository, date: datetime | None) -> str | None:
    """The commit that was the tip of the current branch at `date` (None: now); None before the first one.

    Merged work counts from its merge: only first parents are followed.
    """
    limit = [] if date is None else [f"--before={int(date.timestamp())}"]
    out = _run(repo.top, "rev-list", "-1", "--first-parent", *limit, "HEAD")
    return out.decode("ascii").strip() or None if out else None


def files_at(repo: Repository, commit: str) -> list[Blob]:
    """The plain files below the source folder in `commit`, in path order. Names that are not UTF-8 are left out."""
    scope = ["--", repo.prefix] if repo.prefix else []
    out = _run(repo.top, "ls-tree", "-r", "-l", "-z", "--full-tree", commit, *scope)
    blobs = []
    for entry in (out or b"").split(b"\0"):
        head, _, name = entry.partition(b"\t")
        if not name:
            continue
        mode, _, oid, size = head.decode("ascii").split()
        with suppress(UnicodeDecodeError):
            path = name.decode("utf-8")
            if mode in REGULAR_MODES:
                blobs.append(Blob(path=path[len(repo.prefix) :].lstrip("/"), oid=oid, size=int(size)))
    return sorted(blobs, key=lambda blob: blob.path)


def object_ids(repo: Repository, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """The object id of each of `paths` (below the source folder) that is a plain file in `commit`.

    A few are asked for by name: listing a folder of thousands for one edited file takes longer than all else.
    """
    if len(paths) > FEW_PATHS:
        return {blob.path: blob.oid for blob in files_at(repo, commit)}
    full = {"/".join(part for part in (repo.prefix, path) if part): path for path in paths}
    out = _run(repo.top, "ls-tree", "-z", "--full-tree", commit, "--", *full)
    found = {}
    for entry in (out or b"").split(b"\0"):
        head, _, name = entry.partition(b"\t")
        path = full.get(os.fsdecode(name))
        if path is not None and name:
            mode, _, oid = head.decode("ascii").split()
            if mode in REGULAR_MODES:
                found[path] = oid
    return found


def commit_dates(repo: Repository, commit: str, wanted: Sequence[str]) -> dict[str, datetime]:
    """When each of the `wanted` paths got the content it has in `commit`, in UTC, from one walk of the log.

    The walk ends as soon as all are found. A path that the log does not know is left out.
    """
    open_paths = set(wanted)
    found: dict[str, datetime] = {}
    if not open_paths:
        return found
    strip = len(repo.prefix) + 1 if repo.prefix else 0
    arguments = [
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--no-renames",
        "--no-ext-diff",
        "--name-status",
        "-z",
    ]
    scope = [f":(literal){repo.prefix}"] if repo.prefix else []
    command = _command(repo.top, *arguments, "--format=%x01%ct", commit, "--", *scope)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()) as process:
        date = datetime.fromtimestamp(0, UTC)
        status = b""
        for field in _fields(process):
            token = field.lstrip(b"\n")
            if token.startswith(b"\x01"):
                date = datetime.fromtimestamp(int(token[1:]), UTC)
            elif not status and len(token) == 1 and token.isalpha():
                status = token
            elif status:
                path = os.fsdecode(field)[strip:]
                status = b""
                if path in open_paths:
                    open_paths.discard(path)
                    found[path] = date
            if not open_paths:
                process.kill()
                break
    return found


def _fields(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The NUL-separated fields of a process's output, as they come."""
    assert process.stdout is not None
    rest = b""
    while block := os.read(process.stdout.fileno(), 1 << 16):
        *fields, rest = (rest + block).split(b"\0")
        yield from fields
    if rest:
        yield rest


def change_times(repo: Repository) -> list[datetime]:
    """When the folder's files changed, one moment in UTC per commit that touched them, oldest first; empty without commits."""
    scope = [f":(literal){repo.prefix}"] if repo.prefix else []
    out = _run(repo.top, "rev-list", "--first-parent", "--timestamp", "HEAD", "--", *scope)
    stamps = sorted(int(line.split()[0]) for line in (out or b"").splitlines())
    return [datetime.fromtimestamp(stamp, UTC) for stamp in stamps]


def changes(repo: Repository) -> list[Change]:
    """Every change of plain files below the folder along the first parents of HEAD, oldest first; renames are followed.

    A moment is the commit's date, never earlier than its parent's, so that order and dates agree. Links and submodules count as
    deleted. Empty without commits.
    """
    scope = [f":(literal){repo.prefix}"] if repo.prefix else []
    arguments = [
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--reverse",
        "--raw",
        "--no-abbrev",
        "--root",
        "-M",
        "-z",
    ]
    command = _command(repo.top, *arguments, "--no-ext-diff", "--format=%x01%ct", "HEAD", "--", *scope)
    strip = len(repo.prefix) + 1 if repo.prefix else 0
    found: list[Change] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()) as process:
        at = datetime.fromtimestamp(0, UTC)
        fields = _fields(process)
        for field in fields:
            token = field.lstrip(b"\n")
            if token.startswith(b"\x01"):
                at = max(at, datetime.fromtimestamp(int(token[1:].split()[0]), UTC))
            elif token.startswith(b":"):
                _, mode, _, oid, status = token.decode("ascii").split()
                paths = [next(fields)] + ([next(fields)] if status[0] in "RC" else [])
                change = _change(at, mode, oid, status, paths, strip)
                found += [change] if change is not None else []
    return found


def _change(at: datetime, mode: str, oid: str, status: str, paths: Sequence[bytes], strip: int) -> Change | None:
    """One line of `git log --raw`; None for names that are not UTF-8."""
    try:
        names = [path.decode("utf-8")[strip:] for path in paths]
    except UnicodeDecodeError:
        return None
    gone = status == "D" or mode not in REGULAR_MODES
    return Change(
        at=at, path=names[-1], key=None if gone else oid, before=names[0] if status[0] == "R" and not gone else None
    )


def contents(repo: Repository, oids: Sequence[str]) -> Iterator[bytes]:
    """The bytes of each object, in order, from one `git cat-file --batch`.

    Raises:
        BrokenError: the repository does not hold an object.
    """
    with subprocess.Popen(
        _command(repo.top, "cat-file", "--batch"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for oid in oids:
            process.stdin.write(oid.encode("ascii") + b"\n")
            process.stdin.flush()
            head = process.stdout.readline().split()
            if len(head) != 3:
                raise BrokenError(
                    f"git object {oid} cannot be read.",
                    where=repo.prefix or ".",
                    remedy="Check the repository with: git fsck.",
                    code="corpus.git_object",
                )
            content = process.stdout.read(int(head[2]))
            process.stdout.read(1)
            yield content
        process.stdin.close()
