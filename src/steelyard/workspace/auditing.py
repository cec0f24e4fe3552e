"""The audit of labelled data: everything `check` says about it, kept until something that it depends on changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steelyard.config import ComponentSettings, Settings
from steelyard.dataset.checks import capped, check_items, check_split
from steelyard.dataset.label_errors import SUSPECT, suspect_findings
from steelyard.dataset.rows import Kind, scan_items
from steelyard.metrics.writing import ReplyFormat, filled
from steelyard.schema.errors import ConfigError, MissingExtraError, SteelyardError, UserError
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item
from steelyard.schema.progress import Report
from steelyard.workspace.examples import Examples, files_beside, read_rewrites
from steelyard.workspace.fingerprint import code_fingerprint, fingerprint
from steelyard.workspace.label_review import LabelReview, likely_errors
from steelyard.workspace.paths import State, write_whole
from steelyard.workspace.toolbox import Toolbox


class Audit:
    """Findings about the labelled data of a workspace."""

    def __init__(self, examples: Examples, toolbox: Toolbox, settings: Settings, state: State) -> None:
        self._examples = examples
        self._toolbox = toolbox
        self._settings = settings
        self._state = state
        self._folder = examples.folder

    def findings(self, report: Report) -> list[Finding]:
        """Everything wrong or worth knowing, file by file; what was found on the same data before is not looked for again.

        Of what concerns single rows at most 20 findings of a code are told for each component, and the rest counted.
        """
        found: list[Finding] = []
        for name in self._settings.components:
            plain, many = self._of_component(name, report)
            found += [*plain, *capped(many)]
        if self._settings.system.cases is not None:
            found += self._of_cases(self._settings.system.cases)
        return found

    def all_of(self, component: str, report: Report) -> list[Finding]:
        """Every finding about a component's rows, however many."""
        plain, many = self._of_component(component, report)
        return [*plain, *many]

    def _of_component(self, name: str, report: Report) -> tuple[list[Finding], list[Finding]]:
        """Problems of the files, and what the audit of the rows found."""
        settings = self._examples.component(name)
        review = LabelReview(self._folder, name)
        path = self._state.checks / "components" / f"{name}.json"
        key = self._key([name], sorted(review.kept()))
        known = self._remembered(path, key)
        if known is not None:
            return known
        stage = f"check rows of {name}"
        report(stage, 0, 3)
        items, plain = self._scan(self._examples.file_of(name), settings.task)
        plain += self._findings_beside(settings)
        report(stage, 1, 3)
        many = self._audited(name, items, plain, lambda done: report(stage, done, 3))
        many += self._of_format(name, settings, items)
        complete = True
        if settings.task == "classify" and items:
            labels, complete = self._label_errors(name, items, review, report)
            many += labels
        if complete:
            self._remember(path, key, items, plain, many)
        return plain, many

    def _of_cases(self, file: str) -> list[Finding]:
        key = self._key(list(self._settings.components), [file, _digest(self._folder / file)])
        path = self._state.checks / "cases.json"
        known = self._remembered(path, key)
        if known is not None:
            return known[0]
        items, found = self._findings_of_cases(file)
        self._remember(path, key, items, found, [])
        return found

    def _key(self, names: Sequence[str], more: Any) -> str:
        """Names what the findings about some components follow from, but for the documents that rows name."""
        components = {name: self._examples.component(name) for name in names}
        files = {
            file: _digest(self._folder / file)
            for name, settings in components.items()
            for file in [self._examples.file_of(name), *files_beside(settings)]
        }
        return fingerprint(
            components={name: settings.__dict__ for name, settings in components.items()},
            measure=self._settings.measure.__dict__,
            encoder=self._toolbox.encoder_settings,
            files=files,
            code=code_fingerprint(),
            # Rows with dates come into force and end.
            day=datetime.now(UTC).date().isoformat(),
            more=more,
        )

    def _remembered(self, path: Path, key: str) -> tuple[list[Finding], list[Finding]] | None:
        """The findings of the last time, None when anything changed since; a review file that was taken away is made again."""
        try:
            last = json.loads(path.read_text(encoding="utf-8"))
            files = {**last["documents"], **last["review"]}
            if last["key"] != key or any((self._folder / file).is_file() != there for file, there in files.items()):
                return None
            return [Finding(**one) for one in last["plain"]], [Finding(**one) for one in last["many"]]
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None  # never made, or made by another version

    def _remember(
        self, path: Path, key: str, items: Sequence[Item], plain: Sequence[Finding], many: Sequence[Finding]
    ) -> None:
        documents = {item.source: (self._folder / item.source).is_file() for item in items if item.source}
        review = LabelReview(self._folder, path.stem)
        record = {
            "key": key,
            "documents": documents,
            "review": {review.shown: True} if any(finding.code == SUSPECT for finding in many) else {},
            "plain": [finding.to_json() for finding in plain],
            "many": [finding.to_json() for finding in many],
        }
        write_whole(path, json.dumps(record, ensure_ascii=False))

    def _audited(
        self, name: str, items: Sequence[Item], plain: Sequence[Finding], done: Callable[[int], None]
    ) -> list[Finding]:
        """What the rows say about each other, and the parts of the split where the files are sound."""
        if not items:
            done(3)
            return []
        file = self._examples.file_of(name)
        found = check_items(items, file, cut=False)
        done(2)
        found += self._unknown_sources(items, file)
        if not any(finding.severity == "error" and finding.file == file for finding in (*plain, *found)):
            try:
                found += check_split(self._examples.split(name), file=file, cut=False)
            except UserError as error:
                found.append(_of_error(error, file))
        done(3)
        return found

    def _label_errors(
        self, name: str, items: Sequence[Item], review: LabelReview, report: Report
    ) -> tuple[list[Finding], bool]:
        """Likely label errors, and whether they could be looked for."""
        file = self._examples.file_of(name)
        try:
            found = likely_errors(items, self._toolbox.cached_encoder, review.kept(), name, report)
        except (MissingExtraError, ModuleNotFoundError) as error:
            remedy = error.remedy if isinstance(error, MissingExtraError) else "pip install 'steelyard[train]'."
            message = "label errors were not looked for: the libraries that fit are not installed."
            note = Finding(
                code="dataset.labels_not_audited", severity="note", message=message, remedy=remedy, file=file
            )
            return [note], False
        review.write(file, items, found)
        return suspect_findings(found, items, file, review.shown), True

    def _findings_beside(self, settings: ComponentSettings) -> list[Finding]:
        """What is wrong with the files that a component names beside its rows."""
        found = [_no_file(file) for file in self._absent(settings)]
        if settings.neutral is not None and not found:
            found += read_rewrites(self._folder / settings.neutral, settings.neutral)[1]
        return found

    def _of_format(self, name: str, settings: ComponentSettings, items: Sequence[Item]) -> list[Finding]:
        """Approved replies that are not of the format that every reply must have, or what is wrong with the format itself."""
        file = self._examples.file_of(name)
        if settings.task != "write" or not settings.format or self._absent(settings):
            return []
        try:
            wanted = ReplyFormat(settings.format, self._folder)
        except ConfigError as error:
            return [_of_error(error, error.where or "steelyard.toml")]
        return [
            Finding(
                code="dataset.reply_format",
                severity="warning",
                message="the approved reply, its places filled, is not of the component's `format`.",
                remedy=f"Correct the reply, or `format` under [components.{name}]: writers that repeat it score as invalid.",
                file=file,
                row=item.row,
                field="output",
            )
            for item in items
            if not wanted.allows(filled(item.output or "", item.slots))
        ]

    def _absent(self, settings: ComponentSettings) -> list[str]:
        """Files that a component names beside its rows and that are not there."""
        return [file for file in files_beside(settings) if not (self._folder / file).is_file()]

    def _findings_of_cases(self, file: str) -> tuple[Sequence[Item], list[Finding]]:
        """Problems of the end-to-end cases; a case that a component learns from is a leak like any other."""
        cases, found = self._scan(file, "system")
        found += self._unknown_sources(cases, file)
        for name in self._settings.components:
            try:
                split = self._examples.split(name)
            except SteelyardError:
                continue  # told already, with the component's own file
            scored = tuple(case for case in cases if case.split in (None, "holdout"))
            for leak in check_split(replace(split, holdout=scored), file=file):
                if leak.code == "dataset.leak":
                    message = leak.message.replace("the holdout row", "the case").replace(
                        ", which is", f" of {self._examples.file_of(name)}, which is"
                    )
                    remedy = "Take one of them out: a case must be new to every component."
                    found.append(replace(leak, message=message, remedy=remedy))
        return cases, found

    def _unknown_sources(self, items: Sequence[Item], file: str) -> list[Finding]:
        """Sources of rows in force that are no file of the workspace, each once: their evidence can never be found."""
        first: dict[str, int] = {}
        for item in self._examples.current(items):
            if item.source is not None and not (self._folder / item.source).is_file():
                first.setdefault(item.source, item.row)
        return [
            Finding(
                code="dataset.unknown_source",
                severity="warning",
                message=f"there is no document '{source}'.",
                remedy="Write its path as seen from the workspace folder, such as docs/prices.md.",
                file=file,
                row=row,
                field="source",
            )
            for source, row in first.items()
        ]

    def _scan(self, file: str, kind: Kind) -> tuple[Sequence[Item], list[Finding]]:
        path = self._folder / file
        if not path.is_file():
            return (), [_no_file(file)]
        rows = scan_items(path, kind, file)
        return self._examples.located(rows.items, file), list(rows.findings)


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _no_file(file: str) -> Finding:
    remedy = "Correct its name in steelyard.toml, or put the file there."
    message = "the file does not exist."
    return Finding(code="dataset.no_file", severity="error", message=message, remedy=remedy, file=file)


def _of_error(error: UserError, file: str) -> Finding:
    return Finding(code=error.code, severity="error", message=error.message, remedy=error.remedy, file=file)
