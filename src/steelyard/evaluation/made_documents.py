"""Made documents for measuring a corpus of any size: random words with the frequencies of a language, the same for the same seed."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import accumulate

VOCABULARY = 60_000
SECTION_WORDS = 110
"""Words of a section: it is one passage."""
SEED = 11


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[list[str], list[float]]:
    """Words with cumulative weights by Zipf's law: a corpus repeats its words, and an index's lists grow with the distinct ones."""
    draw = random.Random(SEED)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 9))) for _ in range(VOCABULARY)]
    return words, list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))


def made_words(draw: random.Random, count: int) -> str:
    """Some words of the vocabulary, with blanks between them."""
    words, weights = _vocabulary()
    return " ".join(draw.choices(words, cum_weights=weights, k=count))


def made_sections(draw: random.Random, count: int) -> list[str]:
    """Sections with a heading, each of the length of one passage."""
    return [f"## Section {place}\n\n{made_words(draw, SECTION_WORDS).capitalize()}." for place in range(count)]
