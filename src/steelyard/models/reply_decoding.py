"""Writes word by word under constraints: every slot exactly once, no end before that, no repeats, a bounded length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.models.reply_words import BEGIN, END, Wording

BEAMS = 4
LENGTH_POWER = 0.7  # scores are divided by length to this power: Wu et al., Google's NMT system, 2016
REPEATED = 4
"""Words that may not come twice in the same order: an approved voice has no loops."""

LENGTHENED = 1.2
"""How much longer than the longest approved reply a reply may become."""

Logits = NDArray[np.float32]


class Stepper(Protocol):
    """The weights: what may come next, for several beginnings at once."""

    def step(self, last: Sequence[int], parents: Sequence[int]) -> Logits:
        """Logits, (beginnings, ids), after each beginning took on its id of `last`.

        `parents` says which beginning of the call before each of these continues; in the first call all are 0.
        """


@dataclass(frozen=True, kw_only=True)
class Written:
    """A reply as ids, its mean log probability a word, and whether it had to be brought to its end: it read badly there."""

    ids: tuple[int, ...]
    score: float
    forced: bool


@dataclass(frozen=True)
class _Open:
    """A beginning: its ids, the slots still to be placed, and its log probability."""

    ids: tuple[int, ...] = ()
    missing: Counter[int] = field(default_factory=Counter)
    total: float = 0.0
    forced: bool = False


def write_reply(
    weights: Stepper, wording: Wording, slots: Sequence[str], writable: NDArray[np.bool_], beams: int = BEAMS
) -> Written:
    """The likeliest reply that a search with `beams` beginnings finds. Every slot of `slots` stands in it exactly once, no other does.

    `writable` are the words it may use, (ids,). It ends only when all slots are placed and after a word that an approved reply ended
    with; when the length runs out the slots left are placed at once and the reply is `forced`. Ties fall to the lower id, so the same
    weights write the same reply.
    """
    wanted = Counter(wording.slot_id(name) for name in dict.fromkeys(slots))
    most = max(8, round(LENGTHENED * wording.longest) + 2 * wanted.total())
    closing = np.zeros(len(wording), dtype=np.bool_)
    closing[list(wording.closing)] = True
    open_ = [_Open(missing=wanted)]
    last, parents = [BEGIN], [0]
    best: _Open | None = None
    for length in range(most + 1):
        logits = weights.step(last, parents)
        chances = _log_softmax(logits.astype(np.float64))
        found: list[tuple[float, int, int, bool]] = []
        for place, beam in enumerate(open_):
            allowed, forced = _allowed(beam, wording, writable, closing, most - length)
            row = np.where(allowed, chances[place], -np.inf)
            likeliest = np.argsort(-row, kind="stable")[: beams + 1].tolist()
            found += [(beam.total + float(row[one]), place, one, forced) for one in likeliest if allowed[one]]
        found.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
        ended = [entry for entry in found[: beams + 1] if entry[2] == END]
        for total, place, _, forced in ended:
            closed = _Open(open_[place].ids, open_[place].missing, total, open_[place].forced or forced)
            if best is None or _rank(closed) > _rank(best):
                best = closed
        kept = [entry for entry in found if entry[2] != END][:beams]
        # Longer beginnings only lose probability; when even a bonus for the whole length would not lift one above, it is done.
        if best is not None and not best.forced:
            kept = [entry for entry in kept if entry[0] / most**LENGTH_POWER > _rank(best)[1]]
        if not kept:
            break
        open_, last, parents = _taken_on(open_, kept)
    assert best is not None
    return Written(ids=best.ids, score=best.total / (len(best.ids) + 1), forced=best.forced)


def _taken_on(open_: list[_Open], kept: list[tuple[float, int, int, bool]]) -> tuple[list[_Open], list[int], list[int]]:
    grown = []
    for total, place, one, forced in kept:
        beam = open_[place]
        missing = beam.missing
        if missing[one]:
            missing = missing - Counter({one: 1})
        grown.append(_Open((*beam.ids, one), missing, total, beam.forced or forced))
    return grown, [one for _, _, one, _ in kept], [place for _, place, _, _ in kept]


def _rank(beam: _Open) -> tuple[bool, float]:
    return not beam.forced, beam.total / float((len(beam.ids) + 1) ** LENGTH_POWER)


def _allowed(
    beam: _Open, wording: Wording, writable: NDArray[np.bool_], closing: NDArray[np.bool_], left: int
) -> tuple[NDArray[np.bool_], bool]:
    """The ids that may come next, and whether the length forces them."""
    missing = [one for one, count in beam.missing.items() if count]
    if left <= sum(beam.missing.values()):
        allowed = np.zeros(len(wording), dtype=np.bool_)
        allowed[missing or [END]] = True
        return allowed, True
    allowed = writable.copy()
    allowed[missing] = True
    if beam.ids:
        allowed[_repeating(beam.ids, wording)] = False
    if not missing and beam.ids and closing[beam.ids[-1]]:
        allowed[END] = True
    if not allowed.any():
        allowed[missing or [END]] = True
        return allowed, True
    return allowed, False


def _repeating(ids: tuple[int, ...], wording: Wording) -> list[int]:
    """The words that would repeat the last one, or REPEATED words in a row that stand already."""
    found = [] if wording.is_slot(ids[-1]) else [ids[-1]]
    tail = ids[len(ids) - REPEATED + 1 :]
    if len(tail) == REPEATED - 1:
        found += [
            ids[at + REPEATED - 1]
            for at in range(len(ids) - REPEATED + 1)
            if ids[at : at + REPEATED - 1] == tail and not wording.is_slot(ids[at + REPEATED - 1])
        ]
    return found


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
