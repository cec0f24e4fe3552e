"""Fills the index with the next generation, part by part."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from steelyard.corpus.interface import Encoder, Index, Progress, ProgressCallback, Staged
from steelyard.corpus.passages import SplitSettings, passage
from steelyard.corpus.staging import Member, Staging
from steelyard.corpus.vectors import VectorCache
from steelyard.schema.corpus import Passage

STAGE_PASSAGES = 2048
"""Passages embedded and staged at a time: about 10 MB with their vectors, and four times that on their way."""

CUT_BATCH = 256
"""Documents cut in one transaction."""


class Counted:
    """Progress over all parts: how many passages are embedded or were known, of how many."""

    def __init__(self, progress: ProgressCallback, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0
        self._told = 0
        self._begin = time.perf_counter()

    def within(self, part: Progress) -> None:
        """What embedding one part says, as a share of all."""
        self._tell(self._before + part.done)

    def done(self, passages: int) -> None:
        """Count a part as done."""
        self._before += passages
        if self._told < self._before:
            self._tell(self._before)

    def _tell(self, done: int) -> None:
        self._told = done
        rate = done / max(time.perf_counter() - self._begin, 1e-9)
        self._progress(Progress(stage="embed", done=done, total=self._total, rate=rate))


def fill(
    index: Index,
    number: int,
    parts: Iterable[list[Passage]],
    retire: list[str],
    encoder: Encoder,
    vectors: VectorCache,
    progress: Counted,
) -> int:
    """Embed and stage the passages part by part, so that memory does not grow with them; how many had to be embedded."""
    embedded = 0
    begun = False
    for part in parts:
        found, new = vectors.embed(encoder, [own.search_text for own in part], progress.within)
        if begun:
            index.extend(number, Staged(part, found))
        else:
            index.stage(number, Staged(part, found), retire)
        begun = True
        embedded += new
        progress.done(len(part))
    if retire and not begun:
        index.stage(number, Staged([], np.zeros((0, encoder.dim), dtype=np.float32)), retire)
    return embedded


def cut_all(members: Sequence[Member], staging: Staging, splitting: SplitSettings) -> int:
    """Cut what was never cut so; how many passages the members have."""
    count = 0
    for start in range(0, len(members), CUT_BATCH):
        some = members[start : start + CUT_BATCH]
        staging.keep_cuts(some, splitting)
        count += sum(len(staging.cut(member, splitting.name) or ()) for member in some)
    return count


def passages_of(members: Sequence[Member], staging: Staging, splitting: SplitSettings) -> Iterator[list[Passage]]:
    """The passages of the members, which are cut, some thousand at a time."""
    part: list[Passage] = []
    for member in members:
        version = staging.document_version(member)
        for span in staging.cut(member, splitting.name) or []:
            part.append(passage(version, span))
            if len(part) == STAGE_PASSAGES:
                yield part
                part = []
    if part:
        yield part
