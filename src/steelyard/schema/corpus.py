"""Documents, their versions, passages and generations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from steelyard.schema.scope import Access


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading of a document: its level (1 is the title) and where its text starts in the version's text."""

    level: int
    text: str
    start: int


BlockKind = Literal["heading", "front_matter", "paragraph", "list", "table", "code"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """What the characters [start:end) of a version's text are; a splitter keeps tables, lists and code whole where they fit.

    Blocks of a version stand in order and do not overlap; between them is only whitespace. Items of a list, rows of a table and
    lines of code are lines of the text.
    """

    kind: BlockKind
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class DocumentVersion:
    """One document's content at a time.

    `document` is the stable name, the path inside the workspace with forward slashes (`docs/payouts.md`). `version` is the
    SHA-256 of the source bytes, in hex. `text` is the plain text all offsets refer to; `page_starts[i]` is the offset where
    page i + 1 starts (empty where the format has no pages). `valid_from` is UTC: the commit date in a git working
    tree, else the file's modification time. `valid_to` is None while the version is in force.
    """

    document: str
    version: str
    source: str
    media_type: str
    title: str
    text: str
    access: Access
    valid_from: datetime
    valid_to: datetime | None = None
    headings: tuple[Heading, ...] = ()
    page_starts: tuple[int, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A span of one document version; `text` is exactly `version.text[start:end]`.

    `id` is `{document}@{version[:12]}:{start}-{end}`. `heading` is the path of headings above the span, outermost first.
    `page` counts from 1, None where the format has no pages. `lead` is what the passage goes on from when it begins inside a table or
    list too long for one passage: the table's header row, or the line that introduces the list; else "".
    `headings` are those above its first character, outermost first, then those inside it, each at its exact place in the version's text;
    empty in an index from before they were kept.
    """

    id: str
    document: str
    version: str
    title: str
    start: int
    end: int
    text: str
    heading: tuple[str, ...]
    page: int | None
    access: Access
    valid_from: datetime
    lead: str = ""
    headings: tuple[Heading, ...] = ()

    @property
    def search_text(self) -> str:
        """What is embedded and indexed: title and heading path, lead, then the passage; the offsets never refer to it."""
        path = " > ".join(part for part in (self.title, *self.heading) if part)
        # The title is usually the first heading too; saying it twice would weigh it twice.
        if self.heading and self.heading[0] == self.title:
            path = " > ".join(self.heading)
        return "\n".join(part for part in (path, self.lead, self.text) if part)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A passage found for a query, with its score and the parts of that score by name (`bm25`, `dense`, ...).

    `copies` are passages that say the same and are not shown themselves, best first; all visible to the asker.
    """

    passage: Passage
    score: float
    parts: tuple[tuple[str, float], ...] = ()
    copies: tuple[Passage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a quoted answer stands: `quote` is exactly the characters [start:end) of the stored version's text.

    `supports` is the part [start, end) of the answer's text that the quote supports; None where no answer was given. `copies` cite
    the same words in other places that the asker may see.
    """

    document: str
    version: str
    start: int
    end: int
    quote: str
    heading: tuple[str, ...]
    page: int | None
    supports: tuple[int, int] | None = None
    copies: tuple[Citation, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The citation as JSON: document, version, start, end, quote, heading, page, supports, copies."""
        return {
            "document": self.document,
            "version": self.version,
            "start": self.start,
            "end": self.end,
            "quote": self.quote,
            "heading": list(self.heading),
            "page": self.page,
            "supports": list(self.supports) if self.supports else None,
            "copies": [copy.to_json() for copy in self.copies],
        }


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One immutable, numbered state of the corpus and its index.

    `created_at` is when it was made; `as_of` is the date of the sources it shows: the same, or the replayed date when it was
    made from a git history. `encoder` and `splitting` name what its passages and vectors were made with.
    """

    number: int
    created_at: datetime
    as_of: datetime
    encoder: str
    splitting: str
    documents: int
    passages: int


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What one ingest did. `failed` holds (path, reason); those documents keep their last good version.

    A document is known by its path: a renamed one counts once in `added` and once in `deleted`, and `renamed` says how many
    are such. `remade` says that every passage was cut and indexed anew, because the encoder or the way of cutting is another one.
    A document whose access changed counts in `updated`; `access_changed` says how many changed in that alone.
    `parsed` and `embedded` count the files parsed and the passages embedded, so "nothing to do" can be checked.
    """

    generation: int
    added: int
    updated: int
    deleted: int
    unchanged: int
    passages: int
    failed: tuple[tuple[str, str], ...]
    seconds: float
    renamed: int = 0
    access_changed: int = 0
    parsed: int = 0
    embedded: int = 0
    remade: bool = False

    def to_json(self) -> dict[str, Any]:
        """The report with the keys of `steelyard ingest --json`."""
        return {
            "generation": self.generation,
            "added": self.added,
            "updated": self.updated,
            "deleted": self.deleted,
            "unchanged": self.unchanged,
            "passages": self.passages,
            "failed": [{"path": path, "reason": reason} for path, reason in self.failed],
            "seconds": self.seconds,
            "renamed": self.renamed,
            "access_changed": self.access_changed,
            "parsed": self.parsed,
            "embedded": self.embedded,
            "remade": self.remade,
        }
