"""`restore`: a workspace from a backup, checked against its manifest, and cleaned of what was erased since."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import Any

from steelyard.config import load_settings
from steelyard.corpus.control import Control
from steelyard.registry.keys import private_folder
from steelyard.registry.versions import whoami
from steelyard.schema.backups import Restored
from steelyard.schema.errors import StoreError, UserError
from steelyard.schema.progress import Report
from steelyard.workspace.backup import FORMAT, MANIFEST
from steelyard.workspace.erasing import erase
from steelyard.workspace.evidence import verify_all
from steelyard.workspace.parts import Parts
from steelyard.workspace.paths import State

Pair = tuple[str, str]
"""(document, version) of an erasure; "" stands for any."""


def restore_backup(
    file: Path, folder: Path, report: Report, *, erasures: Path | None = None, expect: str | None = None
) -> Restored:
    """Make the workspace of a backup in the new or empty `folder`.

    Every file is held against its hash before anything answers, every history against the manifest. `erasures` names a workspace, its
    `control.sqlite` or an export of the audit that is younger: what was erased there is erased here too. `expect` is the
    head that `backup` printed: with it, a backup that somebody made to look right is found as well.

    Raises:
        UserError: the folder is not empty, there is no such file, or it is no backup.
        StoreError: the backup is damaged, or is not what was expected.
    """
    begin = perf_counter()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "there is something already.",
            where=str(folder),
            remedy="Name a new or empty folder: a restore never writes over anything.",
            code="restore.not_empty",
        )
    gone = _erasures_of(erasures) if erasures is not None else None
    beside = folder.absolute().with_name(folder.absolute().name + ".restoring")
    if beside.exists():
        raise UserError(
            "an earlier restore was cut off.", where=str(beside), remedy="Delete that folder.", code="restore.left_over"
        )
    try:
        opened = _unpack(file, beside, report, expect)
        parts = _parts(beside)
        again = _erase_again(parts, gone or set(), report)
        if gone is None or not again:
            _require_heads(parts, opened.manifest["heads"])
        passages = _indexed(parts, report)
        parts.toolbox.close()
        if folder.exists():
            folder.rmdir()
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    manifest = opened.manifest
    missing = tuple(name for name in manifest["sources"] if not (folder / name).is_dir())
    return Restored(
        folder=str(folder),
        created=manifest["created"],
        workspace=manifest["workspace"],
        files=len(manifest["files"]),
        head=opened.head,
        generation=manifest["generation"],
        release=manifest["release"],
        passages=passages,
        erased_again=again,
        missing_sources=missing,
        warning=_warning(manifest["created"], erasures, missing),
        seconds=perf_counter() - begin,
    )


@dataclass(frozen=True)
class _Opened:
    manifest: Mapping[str, Any]
    head: str


def _unpack(file: Path, folder: Path, report: Report, expect: str | None) -> _Opened:
    """Write every file of the backup below `folder`, each held against the manifest."""
    try:
        with zipfile.ZipFile(file) as archive:
            text = archive.read(MANIFEST)
            head = hashlib.sha256(text).hexdigest()
            manifest = json.loads(text)
            if expect is not None and head != expect:
                raise _damaged(file, f"its head is {head[:16]}, not the expected {expect[:16]}")
            if manifest["format"] != FORMAT:
                raise UserError(
                    f"it was made by steelyard {manifest['steelyard']} in a form that this version does not know.",
                    where=str(file),
                    remedy=f"Restore it with steelyard {manifest['steelyard']}.",
                    code="restore.format",
                )
            listed = {one["path"]: one["sha256"] for one in manifest["files"]}
            if {*archive.namelist()} != {*listed, MANIFEST} or len(archive.namelist()) != len(listed) + 1:
                raise _damaged(file, "it does not hold the files that its manifest names")
            for done, (name, expected) in enumerate(sorted(listed.items())):
                report("restore files", done, len(listed))
                target = folder / _safe(file, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as data, target.open("wb") as out:
                    hashed = hashlib.sha256()
                    while block := data.read(1 << 20):
                        hashed.update(block)
                        out.write(block)
                if hashed.hexdigest() != expected:
                    raise _damaged(file, f"{name} is not what its manifest says")
            report("restore files", len(listed), len(listed))
    except FileNotFoundError:
        raise UserError("there is no such file.", where=str(file), code="restore.no_file") from None
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, EOFError, NotImplementedError) as error:
        raise _damaged(file, str(error) or type(error).__name__) from error
    private = State(folder / ".steelyard").private
    if private.is_dir():
        private.chmod(0o700)
        private_folder(private)
        for path in private.iterdir():
            path.chmod(0o600)
    return _Opened(manifest, head)


def _safe(file: Path, name: str) -> Path:
    """A path of the archive as one below the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in path.parts[0]:
        raise _damaged(file, f"the path {name!r} leads outside")
    return Path(*path.parts)


def _damaged(file: Path, why: str) -> StoreError:
    return StoreError(
        f"the backup is damaged: {why}.",
        where=str(file),
        remedy="Take another one; nothing was restored.",
        code="restore.damaged",
    )


def _parts(folder: Path) -> Parts:
    return Parts(folder, load_settings(folder), State(folder / ".steelyard"))


def _require_heads(parts: Parts, heads: Mapping[str, str]) -> None:
    """Nothing, when every history is whole and ends where it ended when the backup was made."""
    for name, found in verify_all(parts, {}).items():
        if not found.whole or found.head != heads[name]:
            why = found.broken[0] if found.broken else "it ends elsewhere than in the backup"
            raise StoreError(
                f"the restored history '{name}' is not what was backed up: {why}.",
                remedy="Take another backup; nothing was restored.",
                code="restore.history",
            )


def _indexed(parts: Parts, report: Report) -> int:
    """Make the index from the library; how many passages answer."""
    if not parts.toolbox.generation:
        return 0
    report("make the index", 0, 1)
    count = parts.toolbox.store.count(parts.toolbox.generation)
    report("make the index", 1, 1)
    return count


def _erasures_of(source: Path) -> set[Pair]:
    """What is erased in a workspace, a control file, or by an export of the audit.

    Raises:
        UserError: it is none of them.
    """
    path = State(source / ".steelyard").control if source.is_dir() else source
    try:
        if path.suffix == ".jsonl":
            return set(_exported(path))
        if path.is_file():
            control = Control(path)
            found = {(one.document, one.version) for one in control.erasures()}
            control.close()
            return found
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise UserError(
            f"it is no export of the audit: {error}.", where=str(path), code="restore.no_erasures"
        ) from error
    raise UserError(
        "nothing there says what was erased.",
        where=str(source),
        remedy="Name a workspace, its control.sqlite, or a file that `steelyard audit export` wrote.",
        code="restore.no_erasures",
    )


def _exported(path: Path) -> Iterator[Pair]:
    held: dict[Pair, None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told.get("chain") != "access":
            continue
        if told["kind"] == "erase":
            pairs = [(name, "") for name in told["detail"]["documents"]] + [
                tuple(one) for one in told["detail"]["versions"]
            ]
            held |= dict.fromkeys(pairs)
        elif told["kind"] == "lift":
            for one in told["detail"]["versions"]:
                held.pop(tuple(one), None)
    yield from held


def _erase_again(parts: Parts, gone: set[Pair], report: Report) -> tuple[str, ...]:
    """Erase here what was erased there and is not erased yet; what that was."""
    if not parts.state.control.is_file() and not gone:
        return ()
    control = parts.toolbox.library.control
    known = {(one.document, one.version) for one in control.erasures()}
    fresh = sorted(gone - known)
    if not fresh:
        return ()
    # Closed first, as they were closed there, the names that this copy never knew too: they must not be taken in by an ingest.
    why = "erased after this backup was made"
    control.erase(
        documents=[document for document, version in fresh if not version],
        versions=[(document, version) for document, version in fresh if version],
        by=whoami(),
        why=why,
    )
    held = set(control.documents()) if parts.toolbox.generation else set()
    names = [document for document, version in fresh if not version and document in held]
    names += [version for document, version in fresh if not document]
    if names and parts.toolbox.generation:
        erase(parts, names, why, report)
    return tuple(document or version for document, version in fresh)


def _warning(created: str, erasures: Path | None, missing: tuple[str, ...]) -> str:
    told = []
    if erasures is None:
        told.append(
            f"This is the workspace of {created[:16].replace('T', ' ')} UTC. What was erased after that is in it again: name what knows "
            "of it with --erasures, or run `steelyard erase` for each before anything is served."
        )
    if missing:
        told.append(
            f"The documents of {', '.join(missing)} are not in the backup: put them back before the next ingest, which would take their "
            "absence for deletion. Until then everything answers from what was ingested."
        )
    return " ".join(told)
