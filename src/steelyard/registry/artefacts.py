"""Files of a fitted candidate: hashed when registered, checked when loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from steelyard.schema.errors import ModelError
from steelyard.schema.runs import VersionRecord


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by its path in there with `/`, sorted."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def artefact_hash(files: Mapping[str, str]) -> str:
    """One hash over names and hashes of all files: a changed, added, missing or renamed file gives another."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{files[name]}  {name}\n".encode())
    return whole.hexdigest()


def verify_artefact(root: Path, record: VersionRecord) -> None:
    """Nothing, when the files of a version are exactly those that were registered.

    `root` is the folder that `record.folder` is in. A version of before the hashes were kept is checked when it is loaded, by its own
    manifest.

    Raises:
        ModelError: a file is missing, changed or was added; it is named.
    """
    if not record.files:
        return
    folder = root / record.folder
    if not folder.is_dir():
        raise ModelError(
            f"the files of {record.name} are gone.",
            where=str(folder),
            remedy=f"Restore them from a backup, or run `steelyard train {record.component}/{record.candidate}`.",
            code="registry.artefact_missing",
        )
    now = file_hashes(folder)
    changed = sorted(name for name in {*now, *record.files} if now.get(name) != record.files.get(name))
    if changed or artefact_hash(now) != record.artefact:
        what = {True: "was added", False: "is missing"}
        first = changed[0] if changed else "manifest.json"
        state = "was changed" if first in now and first in record.files else what[first in now]
        raise ModelError(
            f"the files of {record.name} are not what was registered: {first} {state}.",
            where=str(folder / first),
            remedy=f"Restore it from a backup, roll back, or run `steelyard train {record.component}/{record.candidate}`.",
            code="registry.artefact_changed",
        )
