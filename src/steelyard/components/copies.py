"""Passages that say the same: copies are shown once, and on request the newer of two pages comes first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from steelyard.schema.corpus import Hit, Passage

OWN_WORDS = 200
"""Characters of text from which a passage speaks for itself. A shorter one means what its title makes of it: "The limit is 40." under
two plans is two facts."""

ALIKE = 0.6
"""Share of three-word runs, of all that either has, in which two passages say the same but for what was edited."""

RUN_WORDS = 3

KEPT_TEXTS = (
    1_000  # texts remembered with what is compared of them, 2 kB each: the same few passages are found again and again
)

_MARKS = dict.fromkeys(map(ord, "*`_|•·\"'“”‘’«»\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}"))
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—"), "-")
_ITEM = re.compile(r"^\s*[-+#]+\s+", re.MULTILINE)
_WORD = re.compile(r"\w+")


def distinct(hits: Sequence[Hit]) -> list[Hit]:
    """The hits without copies; each that stays names in `copies` those that followed it.

    A copy has the same text but for case, white space, list and table marks, quotation marks and kinds of dashes; below OWN_WORDS
    characters also the same title and heading path. Nothing looser counts: two pages that differ in one number, sign or
    word differ in the fact somebody asks for.
    """
    place: dict[tuple[str, str], int] = {}
    kept: list[Hit] = []
    copies: list[list[Passage]] = []
    for hit in hits:
        key = content(hit.passage)
        if key in place:
            copies[place[key]].append(hit.passage)
        else:
            place[key] = len(kept)
            kept.append(hit)
            copies.append([])
    return [replace(hit, copies=tuple(more)) if more else hit for hit, more in zip(kept, copies, strict=True)]


def content(passage: Passage) -> tuple[str, str]:
    """What a passage says, as a key: equal for copies, see `distinct`. The first part is "" for a text that speaks for itself."""
    text = _plain(passage.text)
    about = "" if len(text) >= OWN_WORDS else _plain("\n".join((passage.title, *passage.heading)))
    return about, text


def newer_first(hits: Sequence[Hit]) -> list[Hit]:
    """The hits with the newer before the older wherever two are alike: the newest of a group takes its best place.

    Two hits are alike when they share ALIKE of their three-word runs; `valid_from` says which is newer. Hits that are alike to none
    keep their place, and nothing is left out. Scores stay with their places, so they still fall down the list. A hit that
    collapsed copies answers with the newest of them.
    """
    current = [_newest_copy(hit) for hit in hits]
    runs = [_runs(hit.passage) for hit in current]
    group = list(range(len(current)))
    for later in range(len(current)):
        for earlier in range(later):
            if group[earlier] == earlier and _alike(runs[earlier], runs[later]):
                group[later] = earlier
                break
    ordered = list(current)
    for first in sorted(set(group)):
        places = [place for place, owner in enumerate(group) if owner == first]
        by_age = sorted(places, key=lambda place: current[place].passage.valid_from, reverse=True)
        for place, chosen in zip(places, by_age, strict=True):
            ordered[place] = replace(current[chosen], score=hits[place].score, parts=hits[chosen].parts)
    return ordered


def _newest_copy(hit: Hit) -> Hit:
    """The hit with the newest of its copies in front; the best-ranked one among equally new."""
    every = (hit.passage, *hit.copies)
    newest = max(every, key=lambda passage: passage.valid_from)
    if newest is hit.passage:
        return hit
    return replace(hit, passage=newest, copies=tuple(passage for passage in every if passage is not newest))


@lru_cache(maxsize=KEPT_TEXTS)
def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", _ITEM.sub("", text)).casefold().translate(_MARKS | _DASHES)
    return " ".join(folded.split())


def _runs(passage: Passage) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(passage.text.casefold())
    return frozenset(tuple(words[at : at + RUN_WORDS]) for at in range(max(1, len(words) - RUN_WORDS + 1)))


def _alike(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    return len(one & other) >= ALIKE * len(one | other)
