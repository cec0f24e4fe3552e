"""A guess at the languages of texts: by script, and for Latin script by frequent words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

UNKNOWN = "not told"
"""Latin script without frequent words of one language: names, codes, very short texts, other languages."""

_WORD = re.compile(r"[^\W\d_]+")
_FREQUENT = {
    "English": "the and you is to my i it not have what how this for can of a with your are do in on at please",
    "German": "der die das und ich nicht ist wie mein eine ein kann für mit sie es was auf haben bitte wir den zu",
    "French": "le la les et je ne pas est un une des vous mon ma pour dans que qui avec sur nous du au ce",
    "Spanish": "el la los las y no es un una que mi por para con cómo qué en de se lo su me está puedo",
    "Italian": "il lo la gli e non è un una che mi per con come di sono ho del della nel posso questo cosa",
    "Portuguese": "o os a as e não é um uma que meu minha por para com como de do da em eu posso está você",
    "Dutch": "de het een en ik niet is van mijn voor met hoe wat kan je u op dat heb zijn te aan mij",
    "Polish": "i nie jest się na to w z mam jak czy mój moja co dla po do jestem mogę proszę ale za od",
    "Swedish": "och jag inte är det en ett att på med min mitt hur vad kan för har till av som den ni",
}
_LISTS = {language: frozenset(words.split()) for language, words in _FREQUENT.items()}
_SCRIPTS = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CJK": "Chinese",
    "CYRILLIC": "Cyrillic script",
    "GREEK": "Greek",
    "ARABIC": "Arabic script",
    "HEBREW": "Hebrew",
    "THAI": "Thai",
    "DEVANAGARI": "Devanagari script",
}


def guess_language(text: str) -> str:
    """The language of a text by a simple rule, good for counting over many texts and wrong on single ones.

    Another script than Latin names it. Otherwise the language with most frequent words in the text, if one has more than the others.
    """
    words = _WORD.findall(text.casefold())
    letters = "".join(words)
    scripts = Counter(_SCRIPTS.get(unicodedata.name(letter, "").split(" ")[0].split("-")[0], "") for letter in letters)
    if scripts and (others := sum(scripts.values()) - scripts[""]) * 2 > len(letters):
        # Japanese is written with Chinese signs as well; kana tell the two apart.
        return (
            "Japanese"
            if scripts["Japanese"] * 10 > others
            else scripts.most_common(2)[not scripts.most_common(1)[0][0]][0]
        )
    hits = sorted(((sum(word in known for word in words), name) for name, known in _LISTS.items()), reverse=True)
    return hits[0][1] if hits[0][0] > hits[1][0] else UNKNOWN


def languages(texts: Iterable[str]) -> dict[str, int]:
    """How many texts are in which language, most first; ties by name."""
    counts = Counter(map(guess_language, texts))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
