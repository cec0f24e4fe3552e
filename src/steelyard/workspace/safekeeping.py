"""What keeps the registry trustworthy and small: verification, retention, copies elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steelyard.registry.artefacts import verify_artefact
from steelyard.registry.chain import Verified
from steelyard.registry.retention import Removable, removable, remove
from steelyard.schema.errors import ModelError
from steelyard.schema.progress import Report

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts


def verify_registry(parts: Parts, head: str | None) -> Verified:
    """The history, every table against it, and the files of every version whose folder is there, or that a release in force needs."""
    found = parts.registry.verify(head)
    now = parts.releases.in_force()
    needed = set() if now is None else {f"{name}/{one}@{number}" for name, (one, number) in now.versions.items()}
    broken = []
    records = parts.registry.versions()
    owner = {record.folder: record.name for record in records}
    for record in records:
        # Pruned files are gone on purpose, and written down; a folder that was fitted again belongs to the newest. Those that answer
        # must be there in any case.
        mine = owner[record.folder] == record.name and (parts.state.root / record.folder).is_dir()
        if record.name in needed or mine:
            try:
                verify_artefact(parts.state.root, record)
            except ModelError as error:
                broken.append(f"files of {record.name}: {error.message}")
    return Verified(entries=found.entries, head=found.head, broken=(*found.broken, *broken))


def prune(parts: Parts, *, delete: bool) -> list[Removable]:
    """What no kept release and no alias needs; deleted only when told."""
    root = parts.state.root
    found = removable(parts.registry, parts.releases, root, parts.settings.releases.keep_releases)
    if delete:
        remove(parts.registry, root, found)
    return found


def export_to_mlflow(parts: Parts, uri: str, report: Report) -> tuple[int, int]:
    """Copy every version with the releases that held it; returns how many were written and how many were there."""
    from steelyard.registry.mlflow_export import export_versions

    held: dict[str, list[int]] = {}
    for release in parts.releases.all():
        for name in release.to_json()["versions"]:
            held.setdefault(name, []).append(release.number)
    return export_versions(parts.registry.versions(), held, uri, parts.settings.workspace.name, report)
