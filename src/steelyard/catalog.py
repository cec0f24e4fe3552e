"""Names to parts: one readable table per room, loaded only when a part is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from steelyard.schema.errors import MissingExtraError, NotFoundError, nearest


@dataclass(frozen=True)
class Part:
    """One part: where its class is (`module:Name`), what it is for, and the extra that brings its libraries.

    Candidates also carry `approach`, `task`, what they need (`documents`, or `generator`: then `reads_documents` says whether they need
    those too), whether they are tuned at a provider (`hosted`: a fit costs money and sends rows out) or the plain baseline of their task,
    whether their fit changes the encoder's own weights, and whether what comes out depends on how long they may train
    (`trains`). One that is built `on_request` takes minutes: it joins where the settings' `candidates` or a command name it.
    """

    target: str
    role: str
    extra: str | None = None
    approach: str | None = None
    task: str | None = None
    needs: str | None = None
    baseline: bool = False
    tunes_encoder: bool = False
    trains: bool = False
    on_request: bool = False
    reads_documents: bool = False
    hosted: bool = False

    @property
    def needs_documents(self) -> bool:
        """Whether it works on passages."""
        return self.needs == "documents" or self.reads_documents


class Catalog:
    """A table of parts. Plug-ins join through the entry-point group `steelyard.<kind>`."""

    def __init__(self, kind: str, parts: Mapping[str, Part]) -> None:
        self.kind = kind
        self._parts = dict(parts)
        self._whole: dict[str, Part] | None = None

    def names(self) -> list[str]:
        """All names, the package's own first, then plug-ins, each in table order."""
        return list(self._table())

    def __iter__(self) -> Iterator[tuple[str, Part]]:
        """Pairs of name and part, in table order."""
        return iter(self._table().items())

    def part(self, name: str) -> Part:
        """The table's line for `name`.

        Raises:
            NotFoundError: no such part; the message names the nearest.
        """
        table = self._table()
        if name not in table:
            near = nearest(name, list(table))
            hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(table)}."
            raise NotFoundError(
                f"there is no {self.kind} named '{name}'.", remedy=hint, code=f"catalog.unknown_{self.kind}"
            )
        return table[name]

    def load(self, name: str) -> Any:
        """The class or function behind `name`, imported now.

        Raises:
            NotFoundError: no such part.
            MissingExtraError: the part's library is not installed; the message names the extra.
        """
        part = self.part(name)
        module, _, attribute = part.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if part.extra is None or (error.name or "").startswith("steelyard"):
                raise
            raise MissingExtraError(
                f"{self.kind} '{name}' needs the library '{error.name}', which is not installed.",
                remedy=f"Install it with: pip install 'steelyard[{part.extra}]'.",
                code="catalog.missing_extra",
            ) from error

    def _table(self) -> dict[str, Part]:
        # Read once: looking through every installed package takes some 20 ms, and the tables are asked often.
        if self._whole is None:
            table = dict(self._parts)
            for point in entry_points(group=f"steelyard.{self.kind}"):
                table.setdefault(point.name, Part(point.value, "plug-in"))
            self._whole = table
        return self._whole
