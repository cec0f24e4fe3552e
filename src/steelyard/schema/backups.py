"""What a backup holds, and what a restore brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup file. `head` is the SHA-256 of its manifest, which names every file with its hash: kept elsewhere, it proves the whole.

    `heads` are the last hashes of the sealed histories by name; `left_out` are sources whose documents are not in it.
    """

    file: str
    created: str
    workspace: str
    files: int
    size: int
    head: str
    generation: int
    release: int | None
    heads: Mapping[str, str]
    left_out: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The backup with the keys of `steelyard backup --json`."""
        return {**self.__dict__, "bytes": self.size, "heads": dict(self.heads), "left_out": list(self.left_out)}


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore made. `erased_again` are documents and hashes that were erased after the backup and are gone here too.

    `warning` says what the reader must know: above all, that what was erased later is in it again where nobody said what that is.
    """

    folder: str
    created: str
    workspace: str
    files: int
    head: str
    generation: int
    release: int | None
    passages: int
    erased_again: tuple[str, ...]
    missing_sources: tuple[str, ...]
    warning: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The restore with the keys of `steelyard restore --json`."""
        lists = ("erased_again", "missing_sources")
        return {**self.__dict__, **{name: list(self.__dict__[name]) for name in lists}}
