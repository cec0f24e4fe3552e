"""The labelled data of a workspace: files to datasets, splits and findings."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard.config import ComponentSettings, Settings
from steelyard.dataset.checks import check_items, check_split
from steelyard.dataset.rows import content_key, read_items, scan_items
from steelyard.dataset.split import split_items, valid_at
from steelyard.schema.errors import DataError, NotFoundError, SteelyardError, UserError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item, Split, SplitName
from steelyard.workspace.fingerprint import fingerprint


class Examples:
    """Reads each component's file once, and cuts it the same way every time."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._settings = settings
        self._splits: dict[str, Split] = {}

    def split(self, component: str) -> Split:
        """Train, validation and holdout of a component; questions that do not hold today are left out.

        Raises:
            DataError: the file has errors; all are listed.
            UserError: the file is missing, no row is left, or too few to hold any out.
        """
        if component not in self._splits:
            settings = self.component(component)
            items = self._current(self._read(settings, component))
            if not items:
                raise UserError(
                    "no row is left to learn from.",
                    where=self._file(settings),
                    remedy="Add rows that hold today.",
                    code="dataset.empty",
                )
            shares = self._settings.measure
            split = split_items(items, fractions=(shares.train, shares.validation, shares.holdout), seed=shares.seed)
            _check_parts(split, items, self._file(settings))
            self._splits[component] = split
        return self._splits[component]

    def component(self, name: str) -> ComponentSettings:
        """The settings of a component.

        Raises:
            NotFoundError: no such component; the nearest is named.
        """
        components = self._settings.components
        if name not in components:
            near = nearest(name, list(components))
            known = ", ".join(components) or "none"
            hint = f"Did you mean '{near[0]}'?" if near else f"Components: {known}."
            raise NotFoundError(f"there is no component '{name}'.", remedy=hint, code="workspace.unknown_component")
        return components[name]

    def dated(self, component: str) -> tuple[Item, ...]:
        """Every row of a component, whatever its dates."""
        return self._read(self.component(component), component)

    def cases(self, part: SplitName = "holdout") -> tuple[Item, ...]:
        """The end-to-end cases of a part that hold today; a case without a `split` is a holdout case. Empty when none are configured."""
        name = self._settings.system.cases
        if name is None:
            return ()
        path = self._path(name, "[system] cases")
        items = self._located(read_items(path, "system", name).items, name)
        return self._current([item for item in items if (item.split or "holdout") == part])

    def neutral(self, component: str) -> tuple[tuple[str, str], ...]:
        """Neutral rewrites of approved replies as (reply id, template with slots); empty when none are configured.

        Raises:
            DataError: a line is not an object with `id` and `output`; all such lines are listed.
            UserError: the file is missing.
        """
        name = self.component(component).neutral
        if name is None:
            return ()
        rows, found = _rewrites(self._path(name, f"[components.{component}] neutral"), name)
        if found:
            raise DataError(
                f"{len(found)} problem{'s' if len(found) > 1 else ''} found; the first: {found[0].line()}",
                findings=found,
                where=name,
                remedy="Correct them, or run `steelyard check` to see all.",
            )
        return rows

    def truth_fingerprint(self, component: str) -> str:
        """Names what a component's outputs are scored against, beside its rows: dated rows, neutral rewrites, the format."""
        settings = self.component(component)
        paths = [self.folder / file for file in _beside(settings)]
        return fingerprint(
            format=settings.format,
            files=[hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()],
            # A question that no longer holds decides what counts as a stale answer.
            dated=sorted(content_key(item) for item in self.dated(component)) if settings.task == "answer" else [],
        )

    def findings(self) -> list[Finding]:
        """Everything wrong or worth knowing about the labelled data, file by file."""
        found: list[Finding] = []
        for name, settings in self._settings.components.items():
            found += self._findings_of(name, settings)
        if self._settings.system.cases is not None:
            found += self._findings_of_cases(self._settings.system.cases)
        return found

    def _findings_of(self, name: str, settings: ComponentSettings) -> list[Finding]:
        file = self._file(settings)
        items, found = self._scan(file, settings.task)
        found += self._findings_beside(settings)
        if not items:
            return found
        found += check_items(items, file)
        found += self._unknown_sources(items, file)
        if not any(finding.severity == "error" and finding.file == file for finding in found):
            try:
                found += check_split(self.split(name), file=file)
            except UserError as error:
                found.append(_of_error(error, file))
        return found

    def _findings_beside(self, settings: ComponentSettings) -> list[Finding]:
        """What is wrong with the files that a component names beside its rows."""
        found = [_no_file(file) for file in _beside(settings) if not (self.folder / file).is_file()]
        if settings.neutral is not None and not found:
            found += _rewrites(self.folder / settings.neutral, settings.neutral)[1]
        return found

    def _findings_of_cases(self, file: str) -> list[Finding]:
        """Problems of the end-to-end cases; a case that a component learns from is a leak like any other."""
        cases, found = self._scan(file, "system")
        found += self._unknown_sources(cases, file)
        for name, settings in self._settings.components.items():
            try:
                split = self.split(name)
            except SteelyardError:
                continue  # told already, with the component's own file
            scored = tuple(case for case in cases if case.split in (None, "holdout"))
            for leak in check_split(replace(split, holdout=scored), file=file):
                if leak.code == "dataset.leak":
                    message = leak.message.replace("the holdout row", "the case").replace(
                        ", which is", f" of {self._file(settings)}, which is"
                    )
                    remedy = "Take one of them out: a case must be new to every component."
                    found.append(replace(leak, message=message, remedy=remedy))
        return found

    def _unknown_sources(self, items: Sequence[Item], file: str) -> list[Finding]:
        """Sources of rows in force that are no file of the workspace, each once: their evidence can never be found."""
        first: dict[str, int] = {}
        for item in self._current(items):
            if item.source is not None and not (self.folder / item.source).is_file():
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

    def _scan(self, file: str, kind: str) -> tuple[Sequence[Item], list[Finding]]:
        path = self.folder / file
        if not path.is_file():
            return (), [_no_file(file)]
        rows = scan_items(path, kind, file)  # type: ignore[arg-type]
        return rows.items, list(rows.findings)

    def _read(self, settings: ComponentSettings, component: str) -> tuple[Item, ...]:
        name = self._file(settings)
        return self._located(read_items(self._path(name, f"[components.{component}]"), settings.task, name).items, name)

    def _located(self, items: Sequence[Item], file: str) -> tuple[Item, ...]:
        """The items with `source` as the workspace names that document: a path is also taken relative to the file it stands in."""
        beside = Path(file).parent

        def located(source: str) -> str:
            near = posixpath.normpath((beside / source).as_posix())
            is_only_there = not (self.folder / source).is_file() and (self.folder / near).is_file()
            return near if is_only_there else source

        return tuple(replace(item, source=located(item.source)) if item.source else item for item in items)

    def _path(self, name: str, where: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UserError(
                f"there is no file '{name}'.",
                where=f"steelyard.toml {where}",
                remedy="Correct the name, or put the file there.",
                code="dataset.no_file",
            )
        return path

    @staticmethod
    def _file(settings: ComponentSettings) -> str:
        return (settings.questions if settings.task == "answer" else settings.examples) or ""

    @staticmethod
    def _current(items: Sequence[Item]) -> tuple[Item, ...]:
        return valid_at(items, datetime.now(UTC))


def _check_parts(split: Split, items: Sequence[Item], file: str) -> None:
    """Nothing, when there are rows to learn from and rows to measure on."""
    for part, code in (("train", "dataset.no_train"), ("holdout", "dataset.no_holdout")):
        if not getattr(split, part) and all(item.split for item in items):
            raise UserError(
                f"every row names its split, and none names {part}.",
                where=file,
                remedy=f"Write {part} in some rows, or leave the split of some empty: they are drawn.",
                code=code,
            )
    if not split.holdout:
        raise UserError(
            f"{len(items)} row{'s are' if len(items) > 1 else ' is'} too few to hold any out.",
            where=file,
            remedy="Add rows: some hundred make a difference of a few points visible.",
            code="dataset.too_few",
        )


def _beside(settings: ComponentSettings) -> list[str]:
    """The files that a component names beside its rows."""
    schema = settings.format if settings.format is not None and settings.format.endswith(".json") else None
    return [file for file in (settings.neutral, schema) if file is not None]


def _rewrites(path: Path, name: str) -> tuple[tuple[tuple[str, str], ...], list[Finding]]:
    """Pairs of id and output, and a finding for every line that has none."""
    rows: list[tuple[str, str]] = []
    found: list[Finding] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            rows.append((str(row["id"]), str(row["output"])))
        except (ValueError, KeyError, TypeError):
            found.append(
                Finding(
                    code="dataset.bad_rewrite",
                    severity="error",
                    message="the line is not a JSON object with 'id' and 'output'.",
                    remedy='Write {"id": "the reply\'s id", "output": "the same reply in plain words"}.',
                    file=name,
                    row=number,
                )
            )
    return tuple(rows), found


def _no_file(file: str) -> Finding:
    remedy = "Correct its name in steelyard.toml, or put the file there."
    message = "the file does not exist."
    return Finding(code="dataset.no_file", severity="error", message=message, remedy=remedy, file=file)


def _of_error(error: UserError, file: str) -> Finding:
    return Finding(code=error.code, severity="error", message=error.message, remedy=error.remedy, file=file)
