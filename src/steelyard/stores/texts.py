"""The passages of a segment as packed records: decoded when a hit is returned, not before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Heading, Passage
from steelyard.schema.scope import Access
from steelyard.stores.rows import Mask

KEPT_PASSAGES = 4096  # decoded passages remembered for each segment: small corpora are decoded once

Bytes = NDArray[np.uint8]
Record = tuple[int, int, str]


@dataclass(frozen=True, eq=False)
class Texts:
    """Row i's record is `blob[offsets[i]:offsets[i + 1]]`: JSON without what the rows know themselves (id, access).

    The arrays may be mapped from a file.
    """

    offsets: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    blob: Bytes = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    _known: dict[int, Passage] = field(default_factory=dict)

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Texts:
        """The records of `passages`."""
        records = [_packed(entry) for entry in passages]
        offsets = np.zeros(len(records) + 1, dtype=np.int64)
        np.cumsum([len(record) for record in records], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(records), dtype=np.uint8))

    def passage(self, row: int, name: str, access: Access) -> Passage:
        """The passage of a row, with its id and the access that holds now."""
        known = self._known.get(row)
        if known is not None and known.access == access:
            return known
        record = self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes()
        # Records written before passages had a lead end with the text, those from before they had headings with the lead.
        document, version, title, start, end, heading, page, valid_from, text, *later = json.loads(
            record.decode("utf-8", "surrogatepass")
        )
        lead, headings = (*later, "", ())[:2] if later else ("", ())
        made = Passage(
            id=name,
            document=document,
            version=version,
            title=title,
            start=start,
            end=end,
            text=text,
            heading=tuple(heading),
            page=page,
            access=access,
            valid_from=datetime.fromisoformat(valid_from),
            lead=lead,
            headings=unpacked_headings(headings),
        )
        if len(self._known) >= KEPT_PASSAGES:
            self._known.clear()
        self._known[row] = made
        return made

    def only(self, kept: Mask) -> Texts:
        """The records of the rows where `kept` is true, numbered anew."""
        rows = np.flatnonzero(kept).tolist()
        pieces = [self.blob[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        return Texts(offsets, np.concatenate(pieces) if pieces else self.blob[:0])


def joined(parts: Sequence[Texts]) -> NDArray[np.int64]:
    """The offsets of all parts' records in one blob, in their order."""
    sizes = [np.diff(part.offsets) for part in parts]
    offsets = np.zeros(sum(map(len, sizes)) + 1, dtype=np.int64)
    if sizes:
        np.cumsum(np.concatenate(sizes), out=offsets[1:])
    return offsets


def packed_headings(headings: Sequence[Heading]) -> list[Record]:
    """Headings as they are stored: level, start and words of each."""
    return [(heading.level, heading.start, heading.text) for heading in headings]


def unpacked_headings(records: Sequence[Record]) -> tuple[Heading, ...]:
    """What `packed_headings` stored."""
    return tuple(Heading(level=level, start=start, text=text) for level, start, text in records)


def _packed(entry: Passage) -> bytes:
    fields = (
        entry.document,
        entry.version,
        entry.title,
        entry.start,
        entry.end,
        entry.heading,
        entry.page,
        entry.valid_from.isoformat(),
        entry.text,
        entry.lead,
        packed_headings(entry.headings),
    )
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
