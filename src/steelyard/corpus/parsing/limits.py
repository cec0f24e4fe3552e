"""What one file may cost, and how a parser says no."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.schema.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on one file. What exceeds one fails whole, with the bound named: half a document would pass for all of it.

    `memory_bytes` bounds a worker's address space where the system can (0: no bound).
    """

    pages: int = 3_000
    characters: int = 10_000_000
    seconds: float = 30.0
    memory_bytes: int = 3 * 2**30
    unpacked_bytes: int = 256 * 2**20

    def check_characters(self, count: int) -> None:
        """Say no to more text than `characters`.

        Raises:
            ParseError: `count` is above the bound.
        """
        if count > self.characters:
            raise ParseError(f"the text is too long ({count:,} characters; the limit is {self.characters:,})")


class ParseError(UserError):
    """A file could not be read; `message` is the reason as users see it in the ingest report."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="Mend or remove the file.", code="corpus.parse")
