"""The labelled data of a workspace: files to datasets, splits and findings."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard.config import ComponentSettings, MeasureSettings, Settings
from steelyard.dataset.content import content_key
from steelyard.dataset.rows import read_items
from steelyard.dataset.split import split_items, valid_at
from steelyard.schema.errors import DataError, NotFoundError, UserError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item, Split, SplitName
from steelyard.workspace.fingerprint import fingerprint


class Examples:
    """Reads each component's file once, and cuts it the same way every time."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._settings = settings
        self._splits: dict[str, Split] = {}
        self._rows: dict[str, tuple[Item, ...]] = {}

    @property
    def measure(self) -> MeasureSettings:
        """What splits are drawn by."""
        return self._settings.measure

    def split(self, component: str) -> Split:
        """Train, validation and holdout of a component; questions that do not hold today are left out.

        Raises:
            DataError: the file has errors; all are listed.
            UserError: the file is missing, no row is left, or too few to hold any out.
        """
        if component not in self._splits:
            settings = self.component(component)
            items = self.current(self._read(settings, component))
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
        path = self.path_of(name, "[system] cases")
        items = self.located(read_items(path, "system", name).items, name)
        return self.current([item for item in items if (item.split or "holdout") == part])

    def neutral(self, component: str) -> tuple[tuple[str, str], ...]:
        """Neutral rewrites of approved replies as (reply id, template with slots); empty when none are configured.

        Raises:
            DataError: a line is not an object with `id` and `output`; all such lines are listed.
            UserError: the file is missing.
        """
        name = self.component(component).neutral
        if name is None:
            return ()
        rows, found = read_rewrites(self.path_of(name, f"[components.{component}] neutral"), name)
        if found:
            raise DataError(
                f"{len(found)} problem{'s' if len(found) > 1 else ''} found; the first: {found[0].line()}",
                findings=found,
                where=name,
                remedy="Correct them, or run `steelyard check` to see all.",
            )
        return rows

    def style_guide(self, component: str) -> str:
        """The component's style guide as it stands in its file; "" where none is named.

        Raises:
            UserError: the file is missing.
        """
        name = self.component(component).style_guide
        return "" if name is None else self.path_of(name, f"[components.{component}] style_guide").read_text("utf-8")

    def truth_fingerprint(self, component: str) -> str:
        """Names what a component's outputs are scored against, beside its rows: dated rows, neutral rewrites, the format."""
        settings = self.component(component)
        paths = [self.folder / file for file in files_beside(settings)]
        return fingerprint(
            format=settings.format,
            files=[hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()],
            # A question that no longer holds decides what counts as a stale answer.
            dated=sorted(content_key(item) for item in self.dated(component)) if settings.task == "answer" else [],
        )

    def file_of(self, component: str) -> str:
        """The file of a component's rows, as the settings name it."""
        return self._file(self.component(component))

    def current(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """The rows that hold today."""
        return valid_at(items, datetime.now(UTC))

    def located(self, items: Sequence[Item], file: str) -> tuple[Item, ...]:
        """The items with `source` as the workspace names that document: a path is also taken relative to the file it stands in."""
        beside = Path(file).parent

        def located(source: str) -> str:
            near = posixpath.normpath((beside / source).as_posix())
            is_only_there = not (self.folder / source).is_file() and (self.folder / near).is_file()
            return near if is_only_there else source

        return tuple(replace(item, source=located(item.source)) if item.source else item for item in items)

    def _read(self, settings: ComponentSettings, component: str) -> tuple[Item, ...]:
        if component not in self._rows:
            name = self._file(settings)
            path = self.path_of(name, f"[components.{component}]")
            self._rows[component] = self.located(read_items(path, settings.task, name).items, name)
        return self._rows[component]

    def path_of(self, name: str, where: str) -> Path:
        """The file that a setting at `where` names.

        Raises:
            UserError: it is not there.
        """
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


def files_beside(settings: ComponentSettings) -> list[str]:
    """The files that a component names beside its rows."""
    schema = settings.format if settings.format is not None and settings.format.endswith(".json") else None
    return [file for file in (settings.neutral, schema) if file is not None]


def read_rewrites(path: Path, name: str) -> tuple[tuple[tuple[str, str], ...], list[Finding]]:
    """Neutral rewrites as pairs of id and output, and a finding for every line that has none."""
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
