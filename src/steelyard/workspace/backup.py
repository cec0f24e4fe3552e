"""`backup`: everything of a workspace that cannot be made again, as of one moment, in one file, while it goes on serving."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any

from steelyard.config import FILE_NAME
from steelyard.corpus.sidecar import GROUPS_FILE, RULES_FILE
from steelyard.registry.releases import Releases
from steelyard.registry.versions import Registry
from steelyard.schema.backups import Backup
from steelyard.schema.errors import StoreError, UserError
from steelyard.schema.progress import Report
from steelyard.version import __version__
from steelyard.workspace.evidence import verify_all
from steelyard.workspace.examples import files_beside
from steelyard.workspace.parts import Parts
from steelyard.workspace.paths import State, known_backups, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

MANIFEST = "manifest.json"

FORMAT = 1

FIRST = ("audit", "requests", "keys", "registry", "datasets")
LAST = ("corpus", "vectors", "control")
"""The order in which databases are copied: a record is copied before what it names, so that what it names is there; access last of all,
so that what was closed meanwhile is closed in the copy."""

DERIVED = ("index", "limits")
"""Below the state folder and left out: the index is made again from the library, counters are worth nothing tomorrow."""

SKIPPED = (".lock", "-wal", "-shm", "-journal", ".new")

REPORTS = ("decision.md", "decision.json", "report.html")


def make_backup(parts: Parts, file: Path, report: Report, *, documents: bool = False) -> Backup:
    """Write a backup to the new `file`; `documents` takes the sources inside the workspace along.

    Each database is copied by SQLite's own backup at one moment, in an order in which nothing refers to what comes later; all other files
    are never changed once they are written. Nobody has to wait: serving and ingesting go on.

    Raises:
        UserError: the file exists, or its folder does not.
        StoreError: a database is damaged, or a fitted file that answers is not there.
    """
    begin = perf_counter()
    if file.exists() or not file.absolute().parent.is_dir():
        what = "the file exists" if file.exists() else "there is no such folder"
        raise UserError(f"{what}.", where=str(file), remedy="Name a new file.", code="backup.file")
    state = parts.state
    beside = file.with_name(file.name + ".part")
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as scratch:
            held = _gathered(parts, Path(scratch), report, documents=documents)
            copy = State(Path(scratch) / state.root.name)
            release = _released(copy)
            manifest: dict[str, Any] = {
                "format": FORMAT,
                "steelyard": __version__,
                "workspace": parts.settings.workspace.name,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                **_standing(parts, copy, release),
                "sources": [source.path for source in parts.settings.sources],
                "left_out": sorted(_left_out(parts, documents=documents)),
            }
            descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as raw:
                head = _pack(raw, held, manifest, report)
                raw.flush()
                os.fsync(raw.fileno())
            _require_models(copy, release, manifest["files"])
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)
    _remember(state, file, manifest["created"], head)
    return Backup(
        file=str(file),
        created=manifest["created"],
        workspace=manifest["workspace"],
        files=len(held),
        size=file.stat().st_size,
        head=head,
        generation=manifest["generation"],
        release=release,
        heads=manifest["heads"],
        left_out=tuple(manifest["left_out"]),
        seconds=perf_counter() - begin,
    )


def copy_database(source: Path, target: Path) -> None:
    """A whole copy of an SQLite file as it is at one moment, whoever writes to it.

    Raises:
        StoreError: it is damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(source, timeout=30.0)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
            other.execute("PRAGMA journal_mode = DELETE")
            (found,) = other.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise StoreError(
            f"it is damaged: {found}.",
            where=source.name,
            remedy="Run `steelyard doctor`; a backup of damage would be worth nothing.",
            code="backup.damaged_source",
        )


def _gathered(parts: Parts, scratch: Path, report: Report, *, documents: bool) -> dict[str, Path]:
    """Path in the backup to the file that holds it: databases copied into `scratch`, the others where they are."""
    state = parts.state
    held: dict[str, Path] = {}
    databases = {path.stem: path for path in state.root.glob("*.sqlite")}
    if state.keys.is_file():
        databases["keys"] = state.keys
    middle = sorted(databases.keys() - {*FIRST, *LAST})
    names = [name for name in (*FIRST, *middle, *LAST) if name in databases]
    for done, name in enumerate(names):
        report("copy databases", done, len(names))
        relative = databases[name].relative_to(parts.folder).as_posix()
        copy_database(databases[name], scratch / relative)
        held[relative] = scratch / relative
    report("copy databases", len(names), len(names))
    for path in _plain(state.root):
        held.setdefault(path.relative_to(parts.folder).as_posix(), path)
    for name in _own(parts):
        path = parts.folder / name
        if path.is_file() and path.resolve().is_relative_to(parts.folder.resolve()):
            held[Path(name).as_posix()] = path
    if documents:
        for source in parts.settings.sources:
            for path in sorted((parts.folder / source.path).rglob("*")):
                inside = path.is_file() and path.resolve().is_relative_to(parts.folder.resolve())
                if inside and ".git" not in path.parts and state.root not in path.parents:
                    held.setdefault(path.relative_to(parts.folder).as_posix(), path)
    return held


def _plain(root: Path) -> Iterator[Path]:
    """Files of the state folder that are no database and no cache; each is written once and replaced whole."""
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        derived = (
            below.parts[0] in DERIVED
            or path.name.endswith(SKIPPED)
            or (len(below.parts) == 1 and path.suffix == ".sqlite")
        )
        if path.is_file() and not derived and below.as_posix() != "backups.json":
            yield path


def _own(parts: Parts) -> Iterator[str]:
    """The user's own files that the settings name, and what `weigh` wrote."""
    yield from (FILE_NAME, RULES_FILE, GROUPS_FILE, *REPORTS)
    for component in parts.settings.components.values():
        yield from filter(None, (component.examples, component.questions, *files_beside(component)))
    if parts.settings.system.cases is not None:
        yield parts.settings.system.cases
    jwt = parts.settings.serve.jwt
    if jwt is not None and "://" not in jwt.jwks:
        yield jwt.jwks


def _left_out(parts: Parts, *, documents: bool) -> Iterator[str]:
    for source in parts.settings.sources:
        inside = (parts.folder / source.path).resolve().is_relative_to(parts.folder.resolve())
        if not (documents and inside):
            yield source.path


def _released(copy: State) -> int | None:
    if not copy.registry.is_file():
        return None
    now = Releases(Registry(copy.registry)).in_force()
    return None if now is None else now.number


def _standing(parts: Parts, copy: State, release: int | None) -> dict[str, Any]:
    """Where the copied histories and the corpus stand; read from the copies, so it is what a restore must come to."""
    copied = Parts(copy.root.parent, parts.settings, copy)
    # Files of models are not beside the copies: the registry's own history is asked, not `verify_registry`.
    found = verify_all(copied, {}, files=False)
    for name, one in found.items():
        if not one.whole:
            raise StoreError(
                f"the history '{name}' is not whole: {one.broken[0]}.",
                remedy="Run `steelyard audit verify` and find out what happened first.",
                code="backup.broken_history",
            )
    generation = copied.toolbox.generation
    copied.toolbox.close()
    return {"heads": {name: one.head for name, one in found.items()}, "generation": generation, "release": release}


def _pack(raw: IO[bytes], held: Mapping[str, Path], manifest: dict[str, Any], report: Report) -> str:
    """Write the archive; the manifest, which is hashed on the way, comes last."""
    sizes = {name: path.stat().st_size for name, path in held.items() if path.is_file()}
    whole, done, files = max(1, sum(sizes.values())), 0, []
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1, allowZip64=True) as archive:
        for name, path in sorted(held.items()):
            try:
                data = path.open("rb")
            except FileNotFoundError:
                continue  # replaced or pruned meanwhile; what is needed of it is checked afterwards
            hashed = hashlib.sha256()
            with data, archive.open(name, "w", force_zip64=True) as out:
                while block := data.read(1 << 20):
                    hashed.update(block)
                    out.write(block)
                    done += len(block)
                    report("write the backup", min(done, whole), whole)
            files.append({"path": name, "sha256": hashed.hexdigest()})
        manifest["files"] = files
        text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True)
        archive.writestr(MANIFEST, text)
    report("write the backup", whole, whole)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_models(copy: State, release: int | None, files: Sequence[Mapping[str, str]]) -> None:
    """Nothing, when every fitted file that answers is in the backup as it was registered."""
    if release is None:
        return
    registry = Registry(copy.registry)
    packed = {one["path"]: one["sha256"] for one in files}
    for component, (candidate, version) in Releases(registry).get(release).versions.items():
        record = registry.get(component, candidate, version)
        for name, expected in record.files.items():
            path = f"{copy.root.name}/{record.folder}/{name}"
            if packed.get(path) != expected:
                raise StoreError(
                    f"{record.name} answers, and its file {name} is missing or not what was registered.",
                    where=path,
                    remedy="Run `steelyard audit verify`; then back up again.",
                    code="backup.model",
                )


def _remember(state: State, file: Path, created: str, head: str) -> None:
    """Write down that there is a backup, so that an erasure can say where the text still is."""
    known = [*known_backups(state), {"file": str(file.absolute()), "created": created, "head": head}]
    write_whole(state.backups, json.dumps(known, ensure_ascii=False, indent=1))
