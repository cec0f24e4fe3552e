"""The layout of the version store: numbered migrations, and how rows become records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from steelyard.corpus.parsing import MEDIA_TYPES
from steelyard.corpus.passages import Span
from steelyard.schema.corpus import Block, DocumentVersion, Generation, Heading
from steelyard.schema.scope import Access

MIGRATIONS = (
    # 1. `content` is what a file's bytes say, shared by all documents that carry them; `member` says which document held it, with
    # which access, in which generations: from `added` up to, not including, `retired`. What the splitter made of a content is in `cut`.
    """
    CREATE TABLE content (
        id INTEGER PRIMARY KEY,
        version TEXT NOT NULL,
        format TEXT NOT NULL,
        parser INTEGER NOT NULL,
        title TEXT NOT NULL,
        allow TEXT,
        deny TEXT,
        headings TEXT NOT NULL,
        blocks TEXT NOT NULL,
        pages TEXT NOT NULL,
        text TEXT NOT NULL
    );
    CREATE UNIQUE INDEX content_key ON content (version, format);
    CREATE TABLE cut (
        content INTEGER NOT NULL REFERENCES content (id) ON DELETE CASCADE,
        splitting TEXT NOT NULL,
        spans TEXT NOT NULL,
        PRIMARY KEY (content, splitting)
    );
    CREATE TABLE generation (
        number INTEGER PRIMARY KEY,
        created_at TEXT NOT NULL,
        as_of TEXT NOT NULL,
        encoder TEXT NOT NULL,
        splitting TEXT NOT NULL,
        documents INTEGER NOT NULL,
        passages INTEGER NOT NULL
    );
    CREATE TABLE member (
        id INTEGER PRIMARY KEY,
        document TEXT NOT NULL,
        content INTEGER NOT NULL REFERENCES content (id),
        source TEXT NOT NULL,
        allow TEXT NOT NULL,
        deny TEXT NOT NULL,
        valid_from TEXT NOT NULL,
        valid_to TEXT,
        added INTEGER NOT NULL,
        retired INTEGER
    );
    CREATE INDEX member_document ON member (document, id);
    CREATE INDEX member_content ON member (content);
    CREATE UNIQUE INDEX member_live ON member (document) WHERE retired IS NULL;
    CREATE TABLE switch (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        generation INTEGER NOT NULL REFERENCES generation (number)
    );
    CREATE TABLE pending (generation INTEGER PRIMARY KEY);
    CREATE TABLE failure (
        version TEXT NOT NULL,
        format TEXT NOT NULL,
        reader TEXT NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        transient INTEGER NOT NULL,
        PRIMARY KEY (version, format)
    );
    CREATE TABLE failing (document TEXT PRIMARY KEY, reason TEXT NOT NULL);
    """,
    # 2. `dropped` is when retention gave a generation up: its record stays, so that a date it answered for is not answered from
    # another one. `digest` seals a row against damage (NULL: written before). `unfinished` is work on the files that a crash cut off.
    """
    ALTER TABLE generation ADD COLUMN dropped TEXT;
    ALTER TABLE content ADD COLUMN digest TEXT;
    ALTER TABLE member ADD COLUMN digest TEXT;
    CREATE TABLE unfinished (task TEXT PRIMARY KEY);
    """,
)

CONTENT_SEALED = "version, format, parser, title, allow, deny, headings, blocks, pages, text"
MEMBER_SEALED = "document, content, source, allow, deny, valid_from, added"
"""The columns that a row's digest seals, in this order."""

VERSION_COLUMNS = (
    "m.document, c.version, m.source, c.format, c.title, c.text, m.allow, m.deny, m.valid_from, m.valid_to, "
    "c.headings, c.pages, c.blocks"
)
VERSION_TABLES = "member m JOIN content c ON c.id = m.content"
LIVE_TABLES = "(SELECT * FROM member WHERE retired IS NULL) m JOIN content c ON c.id = m.content"
"""The members of the newest generation with their contents."""
HELD = "m.added <= :number AND (m.retired IS NULL OR m.retired > :number)"
"""Whether generation `:number` holds a member."""
GENERATION_COLUMNS = "number, created_at, as_of, encoder, splitting, documents, passages"


def stamp(moment: datetime) -> str:
    """A moment as text that sorts by time: UTC to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def stamp_now() -> str:
    """The stamp of now."""
    return stamp(datetime.now(UTC))


@lru_cache(maxsize=1 << 17)
def moment(text: str) -> datetime:
    """The moment of a stamp, aware, in UTC."""
    return datetime.fromisoformat(text)


def listed(names: Sequence[str] | None) -> str | None:
    """Names as JSON; None stays None, for it says that a document states no rule."""
    return None if names is None else json.dumps(list(names), ensure_ascii=False)


def unlisted(text: str | None) -> tuple[str, ...] | None:
    """The names that `listed` wrote."""
    return None if text is None else tuple(json.loads(text))


@lru_cache(maxsize=4096)
def access(allow: str, deny: str) -> Access:
    """An access rule from its two columns."""
    return Access(allow=tuple(json.loads(allow)), deny=tuple(json.loads(deny)))


def sealed(*values: Any) -> str:
    """The SHA-256 that seals the values of a row, in hex."""
    whole = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(whole.encode("ascii")).hexdigest()


def packed_spans(spans: Sequence[Span]) -> str:
    """Spans as JSON."""
    return json.dumps(spans, separators=(",", ":"))


def unpacked_spans(text: str) -> list[Span]:
    """The spans that `packed_spans` wrote."""
    return [(start, end) for start, end in json.loads(text)]


def packed_structure(
    headings: Sequence[Heading], blocks: Sequence[Block], pages: Sequence[int]
) -> tuple[str, str, str]:
    """Headings, blocks and page starts as JSON."""
    return (
        json.dumps([[heading.level, heading.text, heading.start] for heading in headings], ensure_ascii=False),
        json.dumps([[block.kind, block.start, block.end] for block in blocks]),
        json.dumps(list(pages)),
    )


def document_version(row: Sequence[Any]) -> DocumentVersion:
    """The record of a row of VERSION_COLUMNS."""
    document, version, source, format_name, title, text, allow, deny, start, end, headings, pages, blocks = row[:13]
    return DocumentVersion(
        document=document,
        version=version,
        source=source,
        media_type=MEDIA_TYPES.get(format_name, "application/octet-stream"),
        title=title or file_title(document),
        text=text,
        access=access(allow, deny),
        valid_from=moment(start),
        valid_to=None if end is None else moment(end),
        headings=tuple(Heading(level=level, text=words, start=at) for level, words, at in json.loads(headings)),
        page_starts=tuple(json.loads(pages)),
        blocks=tuple(Block(kind=kind, start=first, end=last) for kind, first, last in json.loads(blocks)),
    )


def file_title(document: str) -> str:
    """A title for a document that states none, from its file name.

    >>> file_title("docs/opening_hours-2024.txt")
    'opening hours 2024'
    """
    stem = document.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return " ".join(stem.replace("_", " ").replace("-", " ").split())


def generation(row: Sequence[Any]) -> Generation:
    """The record of a row of GENERATION_COLUMNS."""
    number, created_at, as_of, encoder, splitting, documents, passages = row
    return Generation(
        number=number,
        created_at=moment(created_at),
        as_of=moment(as_of),
        encoder=encoder,
        splitting=splitting,
        documents=documents,
        passages=passages,
    )
