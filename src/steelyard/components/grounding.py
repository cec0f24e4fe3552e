"""Grounding is checked, not trusted: which sentences of a generated answer the passages say, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from steelyard.components.declining import best_threshold
from steelyard.components.quotes import LONGEST_QUOTE, Quote, Span, in_words, spans_of
from steelyard.models.interface import Encoder
from steelyard.schema.corpus import Citation, Hit
from steelyard.schema.outputs import Grounding
from steelyard.stores.analysis import terms

USUAL_THRESHOLD = 0.55
"""Support from which on a sentence counts as said, where too few rows calibrate it: see docs/explanation/generators.md."""

FEWEST_ROWS = 20
MOST_LOST = 0.1
"""Share of the sentences that are right which the threshold may cost at most."""

WIDEST = 3
"""Neighbouring spans that one sentence may sum up."""

ENCODED_WINDOWS = 4
"""Windows of a passage, best by their words, whose meaning is compared; the others share fewer words and rarely win."""

UNSUPPORTED_MARK = " [not supported by the passages]"

Unsupported = Literal["drop", "mark"]

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NUMBER_WORDS = {
    word: str(at)
    for at, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - reads as it counts
    )
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One sentence of a generated answer with the numbers of the passages it names, counted from 1."""

    text: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Support:
    """How far a passage says a sentence, 0 to 1, and the quote that says it best."""

    score: float
    quote: Quote


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A generated answer after the check: what may be said, its citations, and what was wrong with the rest.

    `supports` has the score of every sentence in order; `text` is "" when none was supported.
    """

    text: str
    citations: tuple[Citation, ...]
    supports: tuple[float, ...]
    unsupported: tuple[str, ...]
    foreign: tuple[int, ...]
    attributed: int

    @property
    def figures(self) -> Grounding:
        """The counts for the record."""
        return Grounding(
            sentences=len(self.supports), unsupported=len(self.unsupported), foreign_citations=len(self.foreign)
        )


class GroundingCheck:
    """Ties each sentence to the passages it names, by words and by meaning, and lets through what they say.

    The score of a sentence is the mean of the share of its terms in a stretch of the passage (with its title and headings) and the cosine
    of both, times the share of its numbers that stand there: a figure that no passage has makes a sentence unsupported, however near it
    reads. A sentence that names no passage is held against all that were given and cited where one says it.
    """

    def __init__(self, encoder: Encoder, threshold: float = USUAL_THRESHOLD, unsupported: Unsupported = "drop") -> None:
        self._encoder = encoder
        self.threshold = threshold
        self.unsupported = unsupported

    def calibrated(self, said: Sequence[tuple[str, Hit]], not_said: Sequence[tuple[str, Hit]]) -> Self:
        """A check whose threshold tells sentences a passage says from sentences it does not; see `best_threshold`.

        With fewer than FEWEST_ROWS of either the threshold stays.
        """
        if min(len(said), len(not_said)) < FEWEST_ROWS:
            return self
        scores = np.array([self.support(text, [hit])[0].score for text, hit in (*said, *not_said)])
        right = np.array([True] * len(said) + [False] * len(not_said))
        threshold = best_threshold(scores, right, MOST_LOST)
        return type(self)(self._encoder, threshold, self.unsupported)

    def support(self, sentence: str, hits: Sequence[Hit]) -> list[Support]:
        """The support of a sentence in each passage, in the order given; a passage that holds nothing to quote supports nothing."""
        wanted, numbers = frozenset(terms(sentence)), _numbers(sentence)
        found: list[tuple[int, Quote, float]] = []
        for at, hit in enumerate(hits):
            found += ((at, quote, score) for quote, score in _by_words(wanted, numbers, hit))
        texts = [in_words(quote.hit.passage.text, quote.span) for _, quote, _ in found]
        vectors = self._encoder.encode([sentence, *texts])
        best = [Support(score=0.0, quote=_opening(hit, rank)) for rank, hit in enumerate(hits)]
        for (at, quote, by_words), cosine in zip(found, (vectors[1:] @ vectors[0]).tolist(), strict=True):
            score = (by_words + max(0.0, cosine)) / 2 * _share(numbers, quote)
            if score > best[at].score:
                best[at] = Support(score=score, quote=replace(quote, hit_rank=at))
        return best

    def check(self, claims: Sequence[Claim], hits: Sequence[Hit]) -> Checked:
        """What may be said of `claims`, which were made from `hits`, passage 1 first."""
        kept: list[tuple[str, list[Quote]]] = []
        supports: list[float] = []
        unsupported: list[str] = []
        foreign: list[int] = []
        attributed = 0
        for claim in claims:
            given = [number for number in dict.fromkeys(claim.cited) if 1 <= number <= len(hits)]
            foreign += [number for number in dict.fromkeys(claim.cited) if number not in given]
            # A sentence that names no passage may still be said by one; one that names a wrong passage only is not rescued.
            ranks = [number - 1 for number in given] if claim.cited else list(range(len(hits)))
            held = self.support(claim.text, [hits[rank] for rank in ranks])
            best = max((one.score for one in held), default=0.0)
            supports.append(best)
            quotes = [
                replace(one.quote, hit_rank=rank)
                for one, rank in zip(held, ranks, strict=True)
                if one.score >= (self.threshold if claim.cited else max(best, self.threshold))
            ]
            if not quotes:
                unsupported.append(claim.text)
            attributed += bool(quotes) and not claim.cited
            if quotes or self.unsupported == "mark":
                kept.append((claim.text if quotes else claim.text + UNSUPPORTED_MARK, quotes))
        if not any(quotes for _, quotes in kept):
            kept = []
        text, citations = _composed(kept)
        return Checked(
            text=text,
            citations=citations,
            supports=tuple(supports),
            unsupported=tuple(unsupported),
            foreign=tuple(foreign),
            attributed=attributed,
        )


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of an answer, white space around them removed.

    >>> sentences_of("It takes five days. Then it is shipped.")
    ('It takes five days.', 'Then it is shipped.')
    """
    return tuple(text[span.start : span.end] for span in spans_of(text))


def _composed(kept: Sequence[tuple[str, list[Quote]]]) -> tuple[str, tuple[Citation, ...]]:
    """The sentences as one text, and a citation for each quote that says what part of it."""
    text = ""
    citations: list[Citation] = []
    for sentence, quotes in kept:
        text += " " if text else ""
        supports = (len(text), len(text) + len(sentence))
        text += sentence
        citations += (replace(quote.citation(), supports=supports, copies=_copies(quote, supports)) for quote in quotes)
    return text, tuple(citations)


def _copies(quote: Quote, supports: tuple[int, int]) -> tuple[Citation, ...]:
    return tuple(replace(copy, supports=supports) for copy in quote.citation().copies)


def _by_words(wanted: frozenset[str], numbers: frozenset[str], hit: Hit) -> list[tuple[Quote, float]]:
    """The windows of a passage that share most terms with a sentence, narrower ones first among equals."""
    headed = frozenset(terms(" ".join((hit.passage.title, *hit.passage.heading, hit.passage.lead))))
    scored = []
    for span in _windows(hit.passage.text):
        quote = Quote(hit=hit, hit_rank=0, span=span)
        there = headed | frozenset(terms(in_words(hit.passage.text, span)))
        share = len(wanted & there) / len(wanted) if wanted else 0.0
        scored.append((share * _share(numbers, quote), quote, share))
    scored.sort(key=lambda one: (-one[0], one[1].span.end - one[1].span.start))
    return [(quote, share) for _, quote, share in scored[:ENCODED_WINDOWS]]


def _windows(text: str) -> Iterator[Span]:
    """The spans of a text and runs of neighbouring ones, none longer than a quote may be."""
    spans = spans_of(text)
    for first in range(len(spans)):
        for last in range(first, min(first + WIDEST, len(spans))):
            start, end = spans[first].start, spans[last].end
            if last > first and end - start > LONGEST_QUOTE:
                break
            yield spans[first] if last == first else replace(spans[first], start=start, end=end, kind="sentence")


def _share(numbers: frozenset[str], quote: Quote) -> float:
    """The share of a sentence's numbers that stand in a quote, what introduces it, or the headings above; 1.0 where it has none."""
    if not numbers:
        return 1.0
    passage = quote.hit.passage
    there = _numbers(" ".join((passage.title, *passage.heading, passage.lead, in_words(passage.text, quote.span))))
    return len(numbers & there) / len(numbers)


def _numbers(text: str) -> frozenset[str]:
    """The numbers of a text as digits: thousands separators removed, small number words counted too.

    >>> sorted(_numbers("Two of 1,200 cost 3.50 each."))
    ['1200', '2', '3.50']
    """
    found = {re.sub(r",(?=\d{3}(?!\d))", "", number) for number in _NUMBER.findall(text)}
    # "One" is mostly an article or a pronoun.
    words = {_NUMBER_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _NUMBER_WORDS} - {"1"}
    return frozenset(found | words)


def _opening(hit: Hit, rank: int) -> Quote:
    end = min(len(hit.passage.text), LONGEST_QUOTE)
    return Quote(hit=hit, hit_rank=rank, span=Span(start=0, end=end, kind="sentence"))
