"""The labelled data of a workspace: files to datasets, splits and findings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from steelyard.config import ComponentSettings, Settings
from steelyard.dataset.checks import check_items, check_split
from steelyard.dataset.rows import read_items, scan_items
from steelyard.dataset.split import split_items, valid_at
from steelyard.schema.errors import NotFoundError, UserError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item, Split


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
            UserError: the file is missing, or no row is left.
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
            self._splits[component] = split_items(
                items, fractions=(shares.train, shares.validation, shares.holdout), seed=shares.seed
            )
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

    def cases(self) -> tuple[Item, ...]:
        """The end-to-end cases that hold today; empty when none are configured."""
        name = self._settings.system.cases
        if name is None:
            return ()
        path = self._path(name, "[system] cases")
        return self._current(read_items(path, "system", name).items)

    def neutral(self, component: str) -> tuple[tuple[str, str], ...]:
        """Neutral rewrites of approved replies as (reply id, template with slots); empty when none are configured."""
        name = self.component(component).neutral
        if name is None:
            return ()
        path = self._path(name, f"[components.{component}] neutral")
        rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        return tuple((str(row["id"]), str(row["output"])) for row in rows)

    def findings(self) -> list[Finding]:
        """Everything wrong or worth knowing about the labelled data, file by file."""
        found: list[Finding] = []
        for name, settings in self._settings.components.items():
            found += self._findings_of(name, settings)
        if self._settings.system.cases is not None:
            found += self._scan(self._settings.system.cases, "system")[1]
        return found

    def _findings_of(self, name: str, settings: ComponentSettings) -> list[Finding]:
        file = self._file(settings)
        items, found = self._scan(file, settings.task)
        if not items:
            return found
        found += check_items(items, file)
        if not any(finding.severity == "error" for finding in found):
            found += check_split(self.split(name), file=file)
        return found

    def _scan(self, file: str, kind: str) -> tuple[Sequence[Item], list[Finding]]:
        path = self.folder / file
        if not path.is_file():
            message, remedy = "the file does not exist.", "Correct its name in steelyard.toml, or put the file there."
            return (), [Finding(code="dataset.no_file", severity="error", message=message, remedy=remedy, file=file)]
        rows = scan_items(path, kind, file)  # type: ignore[arg-type]
        return rows.items, list(rows.findings)

    def _read(self, settings: ComponentSettings, component: str) -> tuple[Item, ...]:
        name = self._file(settings)
        return read_items(self._path(name, f"[components.{component}]"), settings.task, name).items

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
