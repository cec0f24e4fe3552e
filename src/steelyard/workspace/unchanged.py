"""Which fits need nothing: inputs told apart by the hashes of files and settings, without reading a row."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from steelyard.candidates import CANDIDATES
from steelyard.workspace.examples import Examples
from steelyard.workspace.fingerprint import code_fingerprint, fingerprint
from steelyard.workspace.paths import write_whole
from steelyard.workspace.toolbox import Toolbox


class Stamps:
    """Remembers which version came from which files, so that `train` on unchanged inputs does nothing at once.

    A stamp that is wrong costs a look at the rows, never a wrong version: it names a registered one, and the inputs are the same.
    """

    def __init__(self, examples: Examples, toolbox: Toolbox) -> None:
        self._examples = examples
        self._toolbox = toolbox
        self._path = toolbox.state.checks / "trained.json"
        self._stamps: dict[tuple[str, bool, bool], str] = {}

    def version(self, component: str, candidate: str) -> int | None:
        """The version that was fitted from what is there now, None when that is not known."""
        found = self._read().get(f"{component}/{candidate}")
        if found is None or found["stamp"] != self._stamp(component, candidate):
            return None
        return int(found["version"])

    def remember(self, component: str, candidate: str, version: int) -> None:
        """What is there now gave this version."""
        known = self._read()
        known[f"{component}/{candidate}"] = {"stamp": self._stamp(component, candidate), "version": version}
        write_whole(self._path, json.dumps(known, indent=1))

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _stamp(self, component: str, candidate: str) -> str:
        documents = CANDIDATES.part(candidate).needs_documents
        generator = self._toolbox.settings.models.generator if CANDIDATES.part(candidate).needs == "generator" else None
        key = (component, documents, generator is not None)
        if key not in self._stamps:
            settings = self._examples.component(component)
            path = self._examples.folder / self._examples.file_of(component)
            self._stamps[key] = fingerprint(
                settings=settings.__dict__,
                measure=self._examples.measure.__dict__,
                encoder=self._toolbox.encoder_settings,
                rows=hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
                corpus=self._toolbox.corpus_fingerprint if documents else None,
                code=code_fingerprint(),
                generator=None if generator is None else generator.__dict__,
                guide=self._examples.style_guide(component) if generator is not None else None,
                # Questions with dates come into force and end.
                day=datetime.now(UTC).date().isoformat() if settings.task == "answer" else None,
            )
        return self._stamps[key]
