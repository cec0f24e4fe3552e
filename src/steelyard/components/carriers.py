"""Sentences of approved replies that carry one value each: with them a reply that left values out is completed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from steelyard.components.slots import ANSWER_SLOT
from steelyard.dataset.places import PLACE, places_of
from steelyard.models.reply_words import states_number

MOST_WORDS = 25
"""Words of a carrier at most: longer sentences say more than the value."""

_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def carriers_of(templates: Sequence[str]) -> dict[str, str]:
    """For each slot the sentence of approved replies that carries it alone: the most used one, of those the shortest.

    Sentences that state a number, have braces of their own or more than `MOST_WORDS` words are left out: what they say besides may be
    wrong elsewhere. A slot that never stands alone in a sentence is missing.

    >>> carriers_of(["Hi {name}! It costs {price}.", "It costs {price}. We close at {hour}, {name}."])
    {'name': 'Hi {name}!', 'price': 'It costs {price}.'}
    """
    uses: dict[str, Counter[str]] = {}
    for template in templates:
        for sentence in _END.split(template.strip()):
            places = places_of(sentence)
            if len(places) == 1 and _plain(sentence):
                uses.setdefault(places[0], Counter())[sentence.strip()] += 1
    return {
        name: min(found, key=lambda sentence: (-found[sentence], len(sentence), sentence))
        for name, found in sorted(uses.items())
    }


def complete(template: str, missing: Sequence[str], carriers: Mapping[str, str]) -> str:
    """`template` with a sentence more for each slot of `missing`, which has no place in it: its carrier, else its name and the value.

    The sentences follow as a paragraph of their own where the reply has paragraphs. An answer is a sentence itself.

    >>> complete("Sure.", ["price", "pick_up"], {"price": "It costs {price}."})
    'Sure. It costs {price}. Pick up: {pick_up}.'
    """
    added = " ".join(carriers.get(name) or _plainly(name) for name in missing)
    between = "\n\n" if "\n" in template.strip() else " "
    return between.join(part for part in (template.strip(), added) if part)


def _plainly(name: str) -> str:
    if name == ANSWER_SLOT:
        return f"{{{name}}}"
    said = name.replace("_", " ").strip()
    return f"{said[:1].upper()}{said[1:]}: {{{name}}}."


def _plain(sentence: str) -> bool:
    words = PLACE.sub("", sentence)
    return (
        "{" not in words
        and "}" not in words
        and len(words.split()) <= MOST_WORDS
        and not any(states_number(word.strip(".,;:!?()")) for word in words.split())
    )
