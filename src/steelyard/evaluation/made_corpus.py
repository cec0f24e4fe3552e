"""A made corpus of any size for the store benchmark: texts with the word frequencies of English prose, clustered vectors, access rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.corpus import Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.analysis import STOP_WORDS
from steelyard.stores.interface import Staged, Vectors

DIM = 384
BLOCK = 10_000
"""Passages made from one seed: a corpus of any size begins with the same passages."""

VOCABULARY = 60_000
ZIPF = 1.0  # exponent of word frequency over rank; English prose lies near 1
CHARS = (800, 1000)
TOPICS = 2_000
NOISE = (0.5, 1.5)
"""Length of a passage's own part beside its topic's: neighbours in a topic have a cosine from 0.3 to 0.8, and topics overlap."""

WORDS_ASKED = 5  # content words of a passage in a question about it
ASKED_NOISE = 0.6  # a question lies near its passage: cosine about 0.85

SCOPES: dict[str, tuple[float, Scope]] = {
    "0.1 %": (0.001, Scope(user="ada", groups=frozenset({"board"}))),
    "8 %": (0.08, Scope(user="ada", groups=frozenset({"team"}))),
    "100 %": (1.0, Scope(user="ada", groups=frozenset({"auditors"}))),
}
"""Askers by the share of the corpus that they see."""

_ONSETS = (
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io", "ou")
_CODAS = ("", "l", "m", "n", "nd", "r", "rk", "s", "t", "x")


@dataclass(frozen=True, eq=False)
class Question:
    """A question with its vector: words of one passage among function words, and a vector near that passage's."""

    text: str
    vector: Vectors


class MadeCorpus:
    """`size` passages, drawn from `seed`; the same arguments give the same corpus on every machine."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self._seed = seed
        generator = np.random.default_rng([seed, 1])
        self._words = _words(generator)
        shares = 1.0 / np.arange(1, VOCABULARY + 1) ** ZIPF
        self._cumulative = np.cumsum(shares / shares.sum())
        topics = generator.standard_normal((TOPICS, DIM)).astype(np.float32)
        self._topics = topics / np.linalg.norm(topics, axis=1, keepdims=True)

    def blocks(self) -> Iterator[Staged]:
        """The corpus in order, at most BLOCK passages at a time."""
        for first in range(0, self.size, BLOCK):
            yield self.block(first // BLOCK)

    def block(self, number: int) -> Staged:
        """Passages `number` * BLOCK and the following, with their vectors."""
        count = min(BLOCK, self.size - number * BLOCK)
        generator = np.random.default_rng([self._seed, 2, number])
        # Always drawn for a whole block, so that a smaller corpus begins like a larger one.
        texts = self._texts(generator)[:count]
        vectors = self._vectors(generator)[:count]
        draws = generator.random(BLOCK)[:count]
        passages = [
            _passage(number * BLOCK + place, text, _access(float(draw)))
            for place, (text, draw) in enumerate(zip(texts, draws, strict=True))
        ]
        return Staged(passages, vectors)

    def questions(self, count: int) -> dict[str, list[Question]]:
        """`count` questions for each of SCOPES that a passage visible to the asker answers."""
        generator = np.random.default_rng([self._seed, 3])
        blocks = [self.block(int(number)) for number in _spread(self.size)]
        return {
            name: [_question(generator, blocks, scope) for _ in range(count)] for name, (_, scope) in SCOPES.items()
        }

    def _texts(self, generator: np.random.Generator) -> list[str]:
        texts = []
        drawn = np.searchsorted(self._cumulative, generator.random(BLOCK * 200)).tolist()
        sizes = generator.integers(*CHARS, size=BLOCK).tolist()
        at = 0
        for size in sizes:
            words: list[str] = []
            length = 0
            while length < size - 8:
                word = self._words[drawn[at % len(drawn)]]
                at += 1
                words.append(word if len(words) % 16 != 15 else f"{word}.")
                length += len(words[-1]) + 1
            texts.append(" ".join(words))
        return texts

    def _vectors(self, generator: np.random.Generator) -> Vectors:
        topics = self._topics[generator.integers(TOPICS, size=BLOCK)]
        noise = generator.standard_normal((BLOCK, DIM)).astype(np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = topics + generator.uniform(*NOISE, size=(BLOCK, 1)).astype(np.float32) * noise
        made: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return made


def _question(generator: np.random.Generator, blocks: Sequence[Staged], scope: Scope) -> Question:
    visible: list[int] = []
    while not visible:
        block = blocks[int(generator.integers(len(blocks)))]
        visible = [place for place, entry in enumerate(block.passages) if entry.access.permits(scope)]
    place = visible[int(generator.integers(len(visible)))]
    content = [word for word in block.passages[place].text.replace(".", "").split() if word not in STOP_WORDS]
    chosen = generator.choice(content, size=min(WORDS_ASKED, len(content)), replace=False)
    noise = generator.standard_normal(DIM).astype(np.float32)
    vector = block.vectors[place] + ASKED_NOISE * noise / np.linalg.norm(noise)
    return Question(f"how does the {' '.join(map(str, chosen))}?", (vector / np.linalg.norm(vector)).astype(np.float32))


def _spread(size: int) -> NDArray[Any]:
    """Some block numbers from all over the corpus: making every block again would take as long as staging."""
    blocks = -(-size // BLOCK)
    return np.unique(np.linspace(0, blocks - 1, min(blocks, 5)).astype(np.int64))


def _access(draw: float) -> Access:
    """Nested shares: who sees 0.1 % sees part of what the 8 % asker sees; auditors see everything."""
    groups = ["auditors"]
    if draw < SCOPES["8 %"][0]:
        groups.append("team")
    if draw < SCOPES["0.1 %"][0]:
        groups.append("board")
    return Access(allow=tuple(groups))


def _passage(number: int, text: str, access: Access) -> Passage:
    document = f"docs/area-{number // 10 % 97:02d}/page-{number // 10:06d}.md"
    start = number % 10 * 1000
    return Passage(
        id=f"{document}@{number // 10:012x}:{start}-{start + len(text)}",
        document=document,
        version=f"{number // 10:012x}" + "0" * 52,
        title=f"Page {number // 10}",
        start=start,
        end=start + len(text),
        text=text,
        heading=(f"Page {number // 10}", f"Part {number % 10}"),
        page=None,
        access=access,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


def _words(generator: np.random.Generator) -> list[str]:
    """VOCABULARY words by rank: the function words of English first, then made ones, shorter ones first."""
    words = dict.fromkeys(sorted((word for word in STOP_WORDS if len(word) > 1), key=lambda word: (len(word), word)))
    while len(words) < VOCABULARY:
        syllables = 1 + int(len(words) > 1000) + int(len(words) > 30_000)
        drawn = generator.random((1000, syllables, 3)).tolist()
        made = ("".join(_syllable(*part) for part in parts) for parts in drawn)
        words |= dict.fromkeys(list(made)[: VOCABULARY - len(words)])
    return list(words)


def _syllable(onset: float, vowel: float, coda: float) -> str:
    return _ONSETS[int(onset * len(_ONSETS))] + _VOWELS[int(vowel * len(_VOWELS))] + _CODAS[int(coda * len(_CODAS))]
