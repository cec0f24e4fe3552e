"""The words a tuned writer may use: those of the approved replies, each as it was written, and one sign for every slot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEGIN, END, UNKNOWN, OTHER_SLOT = range(4)
"""The first four ids: where a reply begins and ends, a word outside the vocabulary (read, never written), and a slot whose name no
approved reply has."""

SPECIAL = 4
MOST_WORDS = 6_000
FEWEST_REPLIES = 2  # a word of one reply alone is a name or a slip more often than a part of the voice
COUNTED = frozenset(
    {
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "fifteen",
        "twenty",
        "thirty",
        "sixty",
    }
    | {"hundred", "thousand", "million"}
)
"""English numbers in letters; they state facts as digits do."""

_PLACE = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_PIECE = re.compile(r"\s+(?=\{)|\s*\w+(?:['’]\w+)*|\s*[^\w\s]|\s+")


def pieces_of(template: str) -> list[tuple[str, bool]]:
    """A reply cut into slots (name, True) and words with the white space before them (text, False); joined they are the reply.

    >>> pieces_of("Hi {name}, it's late.")
    [('Hi', False), (' ', False), ('name', True), (',', False), (" it's", False), (' late', False), ('.', False)]
    """
    found: list[tuple[str, bool]] = []
    at = 0
    for place in _PLACE.finditer(template):
        found += [(piece[0], False) for piece in _PIECE.finditer(template[at : place.end() - len(place[0]) + 1])]
        # The text was read up to the brace, so that white space before it is a piece of its own; the brace goes again.
        found.pop()
        found.append((place[1], True))
        at = place.end()
    found += [(piece[0], False) for piece in _PIECE.finditer(template[at:])]
    return found


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A vocabulary: the special ids, then `slots`, then `words`.

    `closing` are the ids that an approved reply ended with, after which a reply may end. `longest` is the length of the longest
    approved reply, in pieces.
    """

    slots: tuple[str, ...]
    words: tuple[str, ...]
    closing: tuple[int, ...]
    longest: int

    @classmethod
    def of(cls, templates: Sequence[str]) -> Wording:
        """The wording of approved replies: words that at least two of them use, the most used first."""
        cut = [pieces_of(template.strip()) for template in templates]
        uses = Counter(word for pieces in cut for word in {text for text, slot in pieces if not slot})
        fewest = FEWEST_REPLIES if len(templates) >= FEWEST_REPLIES else 1
        # A brace of its own could make a place that nobody asked for.
        words = [word for word, count in uses.items() if count >= fewest and "{" not in word and "}" not in word]
        kept = sorted(words, key=lambda word: (-uses[word], word))[:MOST_WORDS]
        slots = sorted({text for pieces in cut for text, slot in pieces if slot})
        wording = cls(slots=tuple(slots), words=tuple(kept), closing=(), longest=max(map(len, cut), default=1))
        last = {wording.ids(template)[-1] for template in templates if template.strip()}
        return cls(
            slots=wording.slots,
            words=wording.words,
            closing=tuple(sorted(last - {UNKNOWN})),
            longest=wording.longest,
        )

    def __len__(self) -> int:
        """How many ids there are."""
        return SPECIAL + len(self.slots) + len(self.words)

    def ids(self, template: str) -> list[int]:
        """A reply as ids, without the marks of its begin and end."""
        return [
            self.slot_id(text) if slot else self._word_ids.get(text, UNKNOWN)
            for text, slot in pieces_of(template.strip())
        ]

    def text(self, ids: Iterable[int], others: Sequence[str] = ()) -> str:
        """The reply with its places `{name}`; the slots of unknown name are those of `others`, in order."""
        names = iter(others)
        parts = []
        for one in ids:
            if one == OTHER_SLOT or SPECIAL <= one < SPECIAL + len(self.slots):
                parts.append(f"{{{next(names) if one == OTHER_SLOT else self.slots[one - SPECIAL]}}}")
            elif one >= SPECIAL:
                parts.append(self.words[one - SPECIAL - len(self.slots)])
        return "".join(parts).strip()

    def slot_id(self, name: str) -> int:
        """The id of a slot; OTHER_SLOT for a name that no approved reply has."""
        return self._slot_ids.get(name, OTHER_SLOT)

    def is_slot(self, one: int) -> bool:
        """Whether an id stands for a slot."""
        return one == OTHER_SLOT or SPECIAL <= one < SPECIAL + len(self.slots)

    def writable(self, source: str) -> NDArray[np.bool_]:
        """Which words may be written, (ids,): no special ones, no slots, and of the numbers those alone that `source` has.

        A number is a fact, and facts do not come from weights: it must stand in `source`, an approved reply. Numbers at the
        beginning of a line count lines and are free.
        """
        said = {text.strip() for text, slot in pieces_of(source) if not slot}
        free = [not states_number(word) or word.strip() in said for word in self.words]
        return np.array([False] * (SPECIAL + len(self.slots)) + free, dtype=np.bool_)

    def to_json(self) -> dict[str, Any]:
        """As JSON; see `from_json`."""
        return {
            "slots": list(self.slots),
            "words": list(self.words),
            "closing": list(self.closing),
            "longest": self.longest,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Wording:
        """What `to_json` gave."""
        return cls(
            slots=tuple(tree["slots"]),
            words=tuple(tree["words"]),
            closing=tuple(tree["closing"]),
            longest=int(tree["longest"]),
        )

    @cached_property
    def _slot_ids(self) -> dict[str, int]:
        return {name: SPECIAL + at for at, name in enumerate(self.slots)}

    @cached_property
    def _word_ids(self) -> dict[str, int]:
        return {word: SPECIAL + len(self.slots) + at for at, word in enumerate(self.words)}


def states_number(word: str) -> bool:
    """Whether a word states a number, in digits or in English letters; one that begins a line only counts it."""
    if word.startswith("\n"):
        return False
    return any(char.isdigit() for char in word) or word.strip().lower() in COUNTED
