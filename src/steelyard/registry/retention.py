"""Which fitted files nobody needs any more, and their removal. Records of versions stay for ever; only files go."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.registry.releases import Releases
from steelyard.registry.versions import Registry
from steelyard.schema.runs import VersionRecord


@dataclass(frozen=True, kw_only=True)
class Removable:
    """A folder of fitted files that can go: whose they are, and their size in bytes."""

    folder: str
    versions: tuple[str, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """The folder as JSON."""
        return {**self.__dict__, "versions": list(self.versions)}


def removable(registry: Registry, releases: Releases, root: Path, keep_releases: int) -> list[Removable]:
    """Folders below `root` that no kept version needs, oldest version first.

    Kept are the versions of the `keep_releases` newest releases, of the one in force and the one that a rollback leads to, those behind
    an alias, and the newest of each candidate (else the next `train` would fit it again).
    """
    versions = registry.versions()
    kept_folders = {one.folder for one in versions if one.name in _kept(registry, releases, versions, keep_releases)}
    by_folder: dict[str, list[str]] = {}
    for one in versions:
        if one.folder not in kept_folders and (root / one.folder).is_dir():
            by_folder.setdefault(one.folder, []).append(one.name)
    return [
        Removable(folder=folder, versions=tuple(names), size=_size(root / folder))
        for folder, names in by_folder.items()
    ]


def remove(registry: Registry, root: Path, found: Sequence[Removable]) -> None:
    """Delete these folders and write it into the history."""
    if not found:
        return
    with registry.database.connect() as connection:
        # Written first: a crash then leaves files that the next prune removes, never a removal that nobody wrote down.
        evidence: dict[str, object] = {"folders": [one.to_json() for one in found]}
        registry.note(connection, "artefacts.pruned", "no kept release or alias names them", evidence)
    for one in found:
        shutil.rmtree(root / one.folder)


def _kept(registry: Registry, releases: Releases, versions: Sequence[VersionRecord], keep_releases: int) -> set[str]:
    made = releases.all()
    now = releases.in_force()
    wanted = {one.number for one in made[len(made) - min(keep_releases, len(made)) :]}
    if now is not None:
        wanted |= {now.number, now.previous if now.previous is not None else now.number}
    kept = {
        f"{component}/{candidate}@{version}"
        for one in made
        if one.number in wanted
        for component, (candidate, version) in one.versions.items()
    }
    kept |= {
        f"{component}/{candidate}@{version}" for (component, _), (candidate, version) in registry.aliases().items()
    }
    newest = {(one.component, one.candidate): one.name for one in versions}
    return kept | set(newest.values())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
