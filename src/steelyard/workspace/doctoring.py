"""`doctor`: proves that what is derived is what its sources say, and makes again what is not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from steelyard.corpus import erasing
from steelyard.corpus.doctor import LibraryHealth, check_library, damaged_file
from steelyard.corpus.doctor_index import UNIT_TOLERANCE, IndexHealth, check_index
from steelyard.corpus.enforcing import catch_up
from steelyard.corpus.library import Library
from steelyard.corpus.mending import cut_again, read_again, set_aside
from steelyard.corpus.passages import SplitSettings
from steelyard.corpus.rebuild import rebuild
from steelyard.corpus.scanning import scan
from steelyard.corpus.sources import SourceRule
from steelyard.corpus.staging import Staging
from steelyard.corpus.vectors import VectorCache
from steelyard.models.interface import Encoder
from steelyard.schema.errors import ConfigError, MissingExtraError, ModelError, SteelyardError, StoreError
from steelyard.schema.findings import Finding
from steelyard.schema.progress import Report
from steelyard.schema.upkeep import DoctorReport
from steelyard.workspace.safekeeping import verify_registry
from steelyard.workspace.upkeep import bare_index, run_files

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

CACHES = ("vectors.sqlite", "row-vectors.sqlite", "sources.sqlite")
"""Databases that can be deleted at any time."""

STEPS = 5


def examine(parts: Parts, report: Report, *, repair: bool = False) -> DoctorReport:
    """Check everything below the state folder; with `repair` make again what can be made, then check again.

    Raises:
        UserError: `repair` while an ingest is running.
    """
    begin = perf_counter()
    doctor = _Doctor(parts, report)
    findings = doctor.findings()
    done: list[str] = []
    if repair and any(one.severity != "note" for one in findings):
        done = doctor.repair()
        doctor = _Doctor(parts, report)
        findings = doctor.findings()
    return DoctorReport(
        findings=tuple(findings),
        repaired=tuple(done),
        passages=doctor.index.passages,
        seconds=perf_counter() - begin,
    )


class _Doctor:
    """One examination: what each part was found to be, so that a repair need not look again."""

    def __init__(self, parts: Parts, report: Report) -> None:
        self._parts = parts
        self._root = parts.state.root
        self._report = report
        self.databases: list[Finding] = []
        self.library = LibraryHealth(findings=())
        self.index = IndexHealth(findings=())
        self.faults: list[str] = []
        self.records: list[Path] = []
        self.unfinished = False
        self.begun = False  # whether a repair has begun the library again

    def findings(self) -> list[Finding]:
        """Every check, errors first."""
        self._report("check", 0, STEPS)
        self.databases = list(self._databases())
        found = list(self.databases)
        self._report("check", 1, STEPS)
        damaged = {one.file for one in self.databases}
        kept = self._parts.state.corpus.is_file() or self._parts.state.index.is_dir()
        if kept and not damaged & {"corpus.sqlite", "control.sqlite"}:
            found += self._corpus()
        self._report("check", 4, STEPS)
        found += [*self._records(), *([] if "registry.sqlite" in damaged else self._registry())]
        self._report("check", STEPS, STEPS)
        order = ("error", "warning", "note")
        return sorted(found, key=lambda one: order.index(one.severity))

    def repair(self) -> list[str]:
        """Make again what was found damaged and can be made; what was done, in words."""
        done = [*self._mend_databases(), *self._mend_library(), *self._mend_index()]
        for path in self.records:
            path.unlink(missing_ok=True)
            done.append(f"removed {path.relative_to(self._root).as_posix()}: `steelyard weigh` measures it again")
        return done

    # Checks

    def _databases(self) -> Iterator[Finding]:
        for path in sorted(self._root.glob("*.sqlite")):
            broken = _damage(path)
            if broken:
                remedy = "`steelyard doctor --repair` removes it: it is filled again when needed."
                if path.name not in CACHES:
                    remedy = "Put it back from a backup: it is not derived from anything."
                if path.name == "corpus.sqlite":
                    remedy = "`steelyard doctor --repair` sets it aside and ingests again; earlier generations need a backup."
                yield damaged_file(path.name, broken, remedy)

    def _corpus(self) -> Iterator[Finding]:
        library = self._parts.toolbox.library
        self.library = check_library(library)
        yield from self.library.findings
        self._report("check", 2, STEPS)
        if self.library.readable and not library.in_force() and self._parts.state.index.is_dir():
            self.library = LibraryHealth(findings=(_LOST,), readable=False)
            yield _LOST
        if self.library.findings or not library.in_force():
            return  # what is compared with a damaged library says nothing; a repair looks again afterwards
        left_over = Staging(library).pending()
        self.unfinished = erasing.is_due(library, library.control)
        if left_over is not None:
            yield _note(
                "doctor.interrupted", f"an ingest of generation {left_over} was interrupted.", "steelyard ingest"
            )
        if self.unfinished:
            yield Finding(
                code="doctor.removal",
                severity="error",
                message="a removal was interrupted: files still hold what was erased or given up. It is answered to nobody.",
                remedy="`steelyard doctor --repair` finishes it, and so do `erase`, `compact` and `ingest`.",
            )
        if self._parts.settings.corpus.store != "memory":
            yield from self._index(library)
        yield from self._sources(library)

    def _index(self, library: Library) -> Iterator[Finding]:
        index = bare_index(self._parts.toolbox)
        try:
            self.faults = index.faults()
            for name in self.faults:
                remedy = "`steelyard doctor --repair` has it made again from the index."
                yield damaged_file(f"index/{name}", "its bytes are not those that were written", remedy)
            self.index = check_index(library, index, self._encoder())
        except StoreError as error:
            finding = damaged_file(
                "index", error.message, "`steelyard doctor --repair` makes it again from the library."
            )
            self.index = IndexHealth(findings=(finding,))
        yield from self.index.findings

    def _encoder(self) -> Encoder | None:
        try:
            return self._parts.toolbox.encoder
        except (MissingExtraError, ModelError):
            return None

    def _sources(self, library: Library) -> Iterator[Finding]:
        """Whether the newest generation is what the sources hold."""
        corpus = self._parts.settings.corpus
        rules = [SourceRule(path=one.path, allow=one.allow, deny=one.deny) for one in self._parts.settings.sources]
        members = Staging(library).members()
        known = {name: (member.content.version, member.valid_from) for name, member in members.items()}
        try:
            listing = scan(rules, self._parts.folder, known=known, max_bytes=int(corpus.max_file_mb * 2**20))
        except ConfigError as error:
            yield Finding(
                code=error.code, severity="warning", message=error.message, remedy=error.remedy, file=error.where
            )
            return
        now = {file.document: file.version for file in listing.files}
        failing = {document for document, _ in library.failing()}
        changed = [name for name in sorted({*now, *members} - failing) if now.get(name) != known.get(name, (None,))[0]]
        if changed:
            some = ", ".join(changed[:3]) + (" ..." if len(changed) > 3 else "")
            yield _note(
                "doctor.source_changed",
                f"{len(changed)} documents changed since the last ingest: {some}.",
                "steelyard ingest",
            )

    def _records(self) -> Iterator[Finding]:
        for path in [*run_files(self._parts.state), *sorted((self._root / "checks").rglob("*.json"))]:
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                self.records.append(path)
                remedy = "`steelyard doctor --repair` removes it; it is measured again when needed."
                yield damaged_file(path.relative_to(self._root).as_posix(), str(error), remedy)

    def _registry(self) -> Iterator[Finding]:
        if not self._parts.state.registry.is_file():
            return
        try:
            verified = verify_registry(self._parts, None)
        except SteelyardError as error:
            yield damaged_file(
                "registry.sqlite", error.message, "Put it back from a backup: it is not derived from anything."
            )
            return
        for broken in verified.broken:
            remedy = (
                "Train that version again, or put its files back from a backup; `steelyard audit verify` says more."
            )
            yield damaged_file("registry.sqlite", broken.rstrip("."), remedy, code="doctor.registry")

    # Repairs

    def _mend_databases(self) -> Iterator[str]:
        for finding in self.databases:
            name = finding.file or ""
            path = self._root / name
            if name in CACHES:
                for ending in ("", "-wal", "-shm"):
                    path.with_name(name + ending).unlink(missing_ok=True)
                yield f"removed {name}: it is filled again when needed"
            elif name == "corpus.sqlite":
                yield from self._begin_again(path)

    def _begin_again(self, path: Path) -> Iterator[str]:
        """A library that cannot be read: what the sources hold becomes its first generation."""
        self._parts.toolbox.close()
        moved = set_aside(path)
        shutil.rmtree(self._parts.state.index, ignore_errors=True)
        self.begun = True
        yield f"set the damaged library aside as {moved.name}; its earlier generations are lost"
        fresh = type(self._parts.toolbox)(self._parts.folder, self._parts.settings, self._parts.state)
        done = fresh.ingest(self._report)
        fresh.close()
        yield f"ingested the sources again: {done.added} documents, {done.passages} passages"

    def _mend_library(self) -> Iterator[str]:
        health = self.library
        if self.begun:
            return
        if not health.readable or health.records:
            yield from self._begin_again(self._parts.state.corpus)
            return
        library = self._parts.toolbox.library
        corpus = self._parts.settings.corpus
        with Staging(library).lock():
            made, lost = read_again(library, health.contents, self._parts.folder)
            cut_again(
                library,
                [*health.contents, *health.cuts],
                SplitSettings(size=corpus.passage_chars, overlap=corpus.overlap_chars),
            )
        if made:
            yield f"read again from the sources: {', '.join(made)}"
        if lost:
            yield f"could not be made again, for no source has the same bytes: {', '.join(lost)}"
        if health.cuts:
            yield f"cut {len(health.cuts)} documents again"

    def _mend_index(self) -> Iterator[str]:
        if self.begun:
            return
        library = self._parts.toolbox.library
        if not library.in_force():
            return
        index = bare_index(self._parts.toolbox)
        if self.faults:
            index.faults(mend=True)
            yield f"removed {len(self.faults)} damaged files of the index: they are made again from its rows"
        if self.unfinished:
            erasing.remove(library, index, library.control)
            yield "finished the interrupted removal"
        if self.index.broken or self.library.contents or self.library.cuts:
            with Staging(library).lock(), closing(VectorCache(library.path.with_name("vectors.sqlite"))) as vectors:
                vectors.forget(self.index.stale)
                shutil.rmtree(self._parts.state.index, ignore_errors=True)
                index = bare_index(self._parts.toolbox)
                made = rebuild(library, index, self._parts.toolbox.encoder)
                catch_up(index, library.control)
                index.optimize()
            yield f"made the index again from the library: generations {', '.join(map(str, made))}"


_LOST = Finding(
    code="doctor.library_lost",
    severity="error",
    message="the library is empty or gone, and there is an index of what it held.",
    remedy="`steelyard doctor --repair` ingests the sources again; earlier generations need a backup.",
    file="corpus.sqlite",
)


def _bad_vectors(path: Path) -> int:
    """How many vectors of a cache are not of length 1."""
    table = {"vectors.sqlite": "vector", "row-vectors.sqlite": "vectors"}.get(path.name)
    if table is None:
        return 0
    bad = 0
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            for (blob,) in connection.execute(f"SELECT vector FROM {table}"):
                whole = isinstance(blob, bytes) and len(blob) % 4 == 0
                length = float(np.linalg.norm(np.frombuffer(blob, dtype="<f4"))) if whole else 0.0
                bad += not abs(length - 1) < UNIT_TOLERANCE
    return bad


def _damage(path: Path) -> str:
    """What SQLite finds wrong with a database; "" for nothing."""
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        if found == ["ok"] and (bad := _bad_vectors(path)):
            return f"{bad} vectors are not of length 1"
    except sqlite3.DatabaseError as error:
        return str(error)
    return "; ".join(text for text in found if text != "ok")


def _note(code: str, message: str, command: str) -> Finding:
    return Finding(code=code, severity="note", message=message, remedy=f"Run `{command}`.")
