"""Versions of labelled data: commit, list, show, compare, describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.dataset.card import data_card
from steelyard.dataset.diff import diff_items
from steelyard.dataset.history import DatasetHistory
from steelyard.schema.datasets import DatasetDiff, DatasetVersion
from steelyard.schema.items import Item
from steelyard.schema.progress import Report, silent
from steelyard.workspace.keeping import keep
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts


class Datasets:
    """The labelled data of a workspace through time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._history = DatasetHistory(parts.state.datasets)

    def commit(
        self, component: str | None = None, *, note: str = "", report: Report = silent
    ) -> list[tuple[DatasetVersion, bool]]:
        """Keep the rows of one component, or of all, as they are now; a version, and whether it is a new one, for each.

        Raises:
            NotFoundError: no such component.
            DataError, UserError: a file has errors or is missing.
        """
        names = list(self._parts.settings.components) if component is None else [component]
        made = []
        for done, name in enumerate(names, start=1):
            made.append(keep(self._parts.examples, self._history, name, note=note))
            report("commit data", done, len(names))
        return made

    def versions(self, component: str | None = None) -> list[DatasetVersion]:
        """Every version (of one component), oldest first.

        Raises:
            NotFoundError: no such component.
        """
        if component is not None:
            self._parts.examples.component(component)
        return self._history.versions(component)

    def rows(self, name: str) -> tuple[Item, ...]:
        """The rows that `name` stands for: a version (`COMPONENT@NUMBER` or the beginning of a hash), or a component's file as it is now.

        Raises:
            NotFoundError: there is no such version or component.
            DataError, UserError: the component's file has errors or is missing.
        """
        if name in self._parts.settings.components:
            return self._parts.examples.dated(name)
        return self._history.rows(self._history.find(name))

    def diff(self, before: str, after: str) -> DatasetDiff:
        """What changed from one to the other; each is named as in `rows`.

        Raises:
            NotFoundError, DataError, UserError: as `rows`.
        """
        return diff_items(self.rows(before), self.rows(after), (before, after))

    def cards(self, component: str | None = None, *, report: Report = silent) -> list[Path]:
        """Write `data-card-COMPONENT.md` for one component, or for all, and return the files; the rows are committed first.

        Raises:
            NotFoundError: no such component.
            DataError, UserError: a file has errors or is missing.
        """
        from steelyard.workspace.auditing import Audit

        parts = self._parts
        audit = Audit(parts.examples, parts.toolbox, parts.settings, parts.state)
        written = []
        for version, _new in self.commit(component, report=report):
            settings = parts.examples.component(version.component)
            card = data_card(
                version,
                parts.examples.dated(version.component),
                parts.examples.split(version.component),
                audit.all_of(version.component, report),
                origin=settings.origin,
                licence=settings.licence,
            )
            path = parts.folder / f"data-card-{version.component}.md"
            write_whole(path, card)
            written.append(path)
        return written
