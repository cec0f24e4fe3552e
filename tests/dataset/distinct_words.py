"""Texts that are no near-duplicates of each other."""

import random

_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "en", "ol")]


def distinct_texts(count: int) -> list[str]:
    rng = random.Random(42)
    return [" ".join("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(6)) for _ in range(count)]
