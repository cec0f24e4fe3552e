"""What one file may cost, and how a parser says no."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.schema.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on one file. What exceeds one fails whole, with the bound named: half a document would pass for all of it.

    A file above `file_bytes` is not even read. `unpacked_bytes` bounds what an archive (docx) unpacks to. `memory_bytes` bounds a
    worker's address space where the system can (0: no bound). `blocks` bounds the paragraphs, tables and other parts of one document.
    """

    file_bytes: int = 50 * 2**20
    pages: int = 3_000
    characters: int = 10_000_000
    seconds: float = 30.0
    memory_bytes: int = 3 * 2**29
    blocks: int = 200_000
    unpacked_bytes: int = 256 * 2**20

    def check_characters(self, count: int) -> None:
        """Say no to more text than `characters`.

        Raises:
            ParseError: `count` is above the bound.
        """
        if count > self.characters:
            raise ParseError(f"the text is too long ({count:,} characters; the limit is {self.characters:,})")


class ParseError(UserError):
    """A file could not be read; `message` is the reason as users see it in the ingest report.

    `transient`: trying again may help, for the machine may have been to blame.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        self.transient = transient
        super().__init__(message, remedy="Mend or remove the file.", code="corpus.parse")
