"""The extractive reader: chooses the span that answers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from steelyard.components.answer_types import asked_types, holding
from steelyard.components.headed import AskedAbove
from steelyard.components.naming import Asking, Named, naming, newest_of
from steelyard.components.nearness import ByTokens, ByVectors, Latest, Nearness
from steelyard.components.quotes import Quote, Span, completed, in_words, spans_of
from steelyard.models.interface import Encoder
from steelyard.models.pair_scorer import PairScorer
from steelyard.schema.corpus import Hit, Passage
from steelyard.stores.analysis import terms

Matrix = NDArray[np.float64]

FEATURES = (
    "similarity",  # cosine of the question and the quote with what introduces it
    "coverage",  # idf-weighted share of the question's terms in the quote
    "introduced",  # the same in the quote or what introduces it: its term, table header, headings, title
    "above",  # the same with the text between its introduction and it: what "it" and "the default" refer to
    "near",  # the same in the quote with its introduction and its neighbours
    "pairs",  # share of the question's neighbouring terms that are neighbours in the quote as well
    "passage",  # the passage's retrieval score, relative to the best hit
    "rank",  # 1 / (1 + rank of the hit)
    "asked_type",  # the quote holds the kind of value that is asked for
    "states",  # a term of the question with "is", "are", a colon after it: "The limit is 5"
    "new_terms",  # log of terms that are not the question's: an echo of the question answers nothing
    "length",  # log characters
    "label",  # headings, questions, lead-ins, and lines that only repeat the title
    "piece",  # rows, items and lines, against sentences
    "named",  # share of the name of its row or list entry that the question says
    "unnamed",  # the rest of it, for a row or entry that the question does not name
    "key",  # share of the words of its key that the question says: a column, a setting, a key of front matter
    "unkeyed",  # the rest of it, for a quote whose key the question does not say
    "focus",  # share of the words of its key that the question asks for by name, as in "Which plan is the cheapest?"
    "echo",  # every word of the value is in the question already
    "newest",  # of the newest entry, where the question asks for the newest and names none
    "tokens",  # how near each word of the question finds a word of the quote; 0 for a reader that does not look so closely
)

UNTUNED = np.array(
    [
        *(7.7, 1.0, 1.2, 1.4, 1.3, 0.9, 1.1, 1.2, 1.5, 0.6, -0.1, -0.2, -1.0, -0.1),
        *(3.0, -2.5, 2.0, -1.0, 1.0, -3.0, 4.0, 0.0),
    ]
)
"""Weights of FEATURES before any tuning. Up to `piece`: `evaluation.bench_answer.derive_untuned` on the development halves of
postgresql15_docs and xquad_en, rounded. From `named` on by hand: on the third of the questions to docs_endoflife and docs_prometheus
that calibrates a backtest they raised the share of right quotes from .40 to .91 and from .68 to .90, and the other development sets
hardly saw them; a fit to those thirds answered no more of them, and fewer elsewhere."""

ENCODED_QUOTES = 8
"""Quotes that reach the encoder, best by their words first: an encoder call is the cost of reading. On the example's train and
validation questions 6 answered .486, 8 .494 and 12 .506; on four other development sets 24 answered no more than 6. Titles and headings
in the encoded text did no good beside `introduced`, nor did features of how much of them a question says."""

CLOSE_QUOTES = 12
"""The same for a reader that looks closely: of the example's train and validation questions, twelve held the answer of .74, six
of .63 and twenty-four of .80, at twice the work of twelve."""

KEPT_PASSAGES = 4_000

RESCORED_QUOTES = 8
"""Quotes that a cross-encoder reads together with the question, best by their features first: its work is not kept for the next
question."""

LONGEST_WINDOW = 300
"""Characters up to which a quote takes in the quotes beside it: about two sentences of prose."""

NEARLY_AS_LIKELY = 0.08
"""Share of the best quote's probability that a quote beside it needs to be taken in. Against a share of .3 and 200 characters, the quotes
of five development sets held two to five points more of the answers, for 17 to 31 characters more."""

LONE_MARGIN = 1.0
"""The margin of a quote without a runner-up."""

_MOST_NEW_TERMS = 20
_TYPICAL_LOG_LENGTH = 4.5  # 90 characters
_STATED = re.compile(
    r"([^\W_][\w.\-]*)\s*(?:\([^()]{1,40}\)\s*)?(?:\b(?:is|are|was|were|means|equals)\b|[:=])", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The chosen quote with its score, how far the runner-up is behind, and the FEATURES of the choice.

    `order` ranks the hits by their best quote, best first, by `hit_rank`; those without a quote follow as they were.
    """

    best: Quote
    score: float
    margin: float
    features: Matrix
    order: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Laid:
    """A passage laid out for reading; one entry for each span. `introduced` and `above` hold the terms of the quote as well.

    `headed` holds the terms of the title and the headings, and those that name them in front matter. `values` are the texts in which a
    value that was asked for is looked for.
    """

    headed: frozenset[str]
    spans: tuple[Span, ...]
    words: tuple[str, ...]
    terms: tuple[frozenset[str], ...]
    pairs: tuple[frozenset[tuple[str, str]], ...]
    stated: tuple[frozenset[str], ...]
    introduced: tuple[frozenset[str], ...]
    above: tuple[frozenset[str], ...]
    near: tuple[frozenset[str], ...]
    named: tuple[Named, ...]
    values: tuple[str, ...]
    held: dict[str, tuple[bool, ...]] = field(default_factory=dict)

    def holds(self, kinds: Sequence[str]) -> list[float]:
        """`answer_types.holds` of every span; what a span holds is looked for once, by whichever question asks for its kind first."""
        found = [0.0] * len(self.values)
        for place, kind in reversed(list(enumerate(kinds))):
            held = self.held.get(kind)
            if held is None:
                held = self.held[kind] = tuple(holding(kind, value) for value in self.values)
            found = [(1.0 if place == 0 else 0.5) if has else before for has, before in zip(held, found, strict=True)]
        return found


class Reader:
    """Scores the quotable spans of the hits by a weighted sum of FEATURES, and by a cross-encoder where there is one.

    `weights` is float64, (features,). With `tokens` it looks closely: twice the quotes, each compared with the question token by
    token, under its title and headings. `scorer` adds its score to the best few. Layouts and vectors of the passages read last
    are kept in memory, so that a passage is encoded once; what is kept never decides who sees a passage, for only hits are read.
    Safe for several threads.
    """

    def __init__(
        self,
        encoder: Encoder,
        weights: Matrix = UNTUNED,
        *,
        tokens: ByTokens | None = None,
        scorer: PairScorer | None = None,
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        self.scorer = scorer
        self.closely = tokens is not None
        self._encoder = encoder
        self._tokens = tokens
        self._nearness: Nearness = ByVectors(encoder) if tokens is None else tokens

    def reweighted(self, weights: Matrix, scorer: PairScorer | None = None) -> Reader:
        """A reader with other weights, maybe a cross-encoder, that shares what this one keeps."""
        other = Reader(self._encoder, weights, tokens=self._tokens, scorer=scorer)
        other._nearness = self._nearness
        return other

    def read(self, question: str, hits: Sequence[Hit]) -> Reading | None:
        """The best quote among the hits, the first of equals; None when the hits hold nothing quotable."""
        return self.choose(question, *self.describe(question, hits), hits=len(hits))

    def choose(self, question: str, quotes: Sequence[Quote], features: Matrix, hits: int = 0) -> Reading | None:
        """The best of quotes that `describe` gave, of this reader or one that shares with it; see `read`. `hits` is their number."""
        if not quotes:
            return None
        scores = self.scores(question, quotes, features)
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        margin = float(scores[best] - scores[order[1]]) if len(order) > 1 else LONE_MARGIN
        spans = self._layout(quotes[best].hit.passage).spans
        whole = completed(_widened(quotes, np.exp(scores - scores[best]), best), spans)
        return Reading(
            best=AskedAbove.of(question).answered(whole),
            score=float(scores[best]),
            margin=margin,
            features=features[best],
            order=tuple(dict.fromkeys([*(quotes[place].hit_rank for place in order), *range(hits)])),
        )

    def scores(self, question: str, quotes: Sequence[Quote], features: Matrix) -> Matrix:
        """The score of each quote, float64, (quotes,); those the cross-encoder did not read stay below those it did."""
        scores: Matrix = features @ self.weights
        if self.scorer is None or not quotes:
            return scores
        first = np.argsort(-scores, kind="stable")[:RESCORED_QUOTES]
        added = self.scorer.score(question, [self.in_context(quotes[place]) for place in first])
        # What is below all others and gets the least of what they get stays below.
        scores += added.min()
        scores[first] += added - added.min()
        return scores

    def in_context(self, quote: Quote) -> str:
        """The quote as it is read closely: the title and headings, then the words of the quote with what introduces them."""
        passage = quote.hit.passage
        path = " > ".join(dict.fromkeys(part for part in (passage.title, *passage.heading) if part))
        words = in_words(passage.text, quote.span)
        return f"{path}\n{words}" if path else words

    def describe(self, question: str, hits: Sequence[Hit]) -> tuple[list[Quote], Matrix]:
        """The quotes worth encoding, in text order hit by hit, and their features, float64, (quotes, features)."""
        quotes, features, texts = self._worth_encoding(question, hits)
        if quotes:
            features[:, 0], features[:, -1] = self._nearness.compare(question, texts)
        return quotes, features

    def prepare(self, asked: Sequence[tuple[str, Sequence[Hit]]]) -> None:
        """Encode what `describe` will compare for these questions in one go: sooner than question by question."""
        self._nearness.keep([text for question, hits in asked for text in self._worth_encoding(question, hits)[2]])

    def _worth_encoding(self, question: str, hits: Sequence[Hit]) -> tuple[list[Quote], Matrix, list[str]]:
        """See `describe`; with the text of each quote that is compared, and without the comparison."""
        laid = [self._layout(hit.passage) for hit in hits]
        lexical = _lexical(question, hits, laid)
        if not len(lexical):
            return [], lexical, []
        most = CLOSE_QUOTES if self.closely else ENCODED_QUOTES
        # By the untuned weights, tuned or not: what is read then is what was tuned on.
        keep = np.sort(np.argsort(-(lexical @ UNTUNED), kind="stable")[:most])
        places = [(rank, at) for rank, one in enumerate(laid) for at in range(len(one.spans))]
        chosen = [places[row] for row in keep]
        above = AskedAbove.of(question)
        quotes = [
            above.answered(Quote(hit=hits[rank], hit_rank=rank, span=laid[rank].spans[at])) for rank, at in chosen
        ]
        texts = [
            self.in_context(quote) if self.closely else laid[rank].words[at]
            for quote, (rank, at) in zip(quotes, chosen, strict=True)
        ]
        return quotes, lexical[keep], texts

    def _layout(self, passage: Passage) -> _Laid:
        # By what it says, not by its id: most passages of an edited document are as they were, and it may be renamed.
        key = "\0".join((passage.title, *passage.heading, "", passage.lead, passage.text))
        laid = _layouts.get(key)
        if laid is None:
            laid = _lay_out(passage)
            _layouts.put(key, laid)
        return laid


def _widened(quotes: Sequence[Quote], shares: Matrix, best: int) -> Quote:
    """The best quote with its neighbours, the likeliest first, that are nearly as likely and of one text with it.

    `quotes` stand in text order; `shares` is float64, (quotes,), the probability of each relative to the best one.
    """
    first = last = best
    chosen = quotes[best].span
    if chosen.kind in ("row", "label") or chosen.entry or (chosen.key and chosen.kind == "line"):
        return quotes[best]
    while True:
        sides = [(first - 1, first - 1, last), (last + 1, first, last + 1)]
        open_sides = [
            (float(shares[at]), low, high)
            for at, low, high in sides
            if 0 <= at < len(quotes) and shares[at] >= NEARLY_AS_LIKELY and _one_text(quotes, low, high)
        ]
        if not open_sides:
            return replace(
                quotes[best], span=replace(quotes[best].span, start=quotes[first].span.start, end=quotes[last].span.end)
            )
        _, first, last = max(open_sides)


def _one_text(quotes: Sequence[Quote], first: int, last: int) -> bool:
    """Whether two quotes next to each other stand in one passage, under one lead, with only white space between all of them."""
    one, other = quotes[first], quotes[last]
    if one.hit_rank != other.hit_rank or (one.span.kind, one.span.lead) != (other.span.kind, other.span.lead):
        return False
    spans = [quote.span for quote in quotes[first : last + 1]]
    text = one.hit.passage.text
    joined = all(not text[left.end : right.start].strip() for left, right in pairwise(spans))
    return joined and other.span.end - one.span.start <= LONGEST_WINDOW


_layouts = Latest[_Laid](KEPT_PASSAGES)
"""Of the passages read last, by whichever reader: a layout follows from the passage alone."""


def _lay_out(passage: Passage) -> _Laid:
    text, spans = passage.text, spans_of(passage.text, passage.lead)
    headed = frozenset(terms(" ".join((passage.title, *passage.heading))))
    ordered = [
        terms(in_words(text, span) if span.entry and span.key else text[span.start : span.end]) for span in spans
    ]
    own = [frozenset(bag) for bag in ordered]
    introduced = [headed | frozenset(terms(span.lead)) | bag for span, bag in zip(spans, own, strict=True)]
    above: list[frozenset[str]] = []
    for at, span in enumerate(spans):
        # A label starts anew: what stands before it is about something else.
        fresh = at == 0 or span.kind == "label"
        above.append(introduced[at] if fresh else introduced[at] | above[at - 1])
    near = [frozenset().union(introduced[at], *own[max(0, at - 1) : at + 2]) for at in range(len(spans))]
    words = tuple(in_words(text, span) for span in spans)
    return _Laid(
        headed=headed | {"titl"},
        spans=spans,
        words=words,
        terms=tuple(own),
        pairs=tuple(frozenset(pairwise(bag)) for bag in ordered),
        stated=tuple(_stated(in_words(text, replace(span, lead=span.lead * (span.kind == "row")))) for span in spans),
        introduced=tuple(introduced),
        above=tuple(above),
        near=tuple(near),
        named=tuple(naming(text, span) for span in spans),
        values=tuple(
            said if span.kind == "row" else text[span.start : span.end] for span, said in zip(spans, words, strict=True)
        ),
    )


def _stated(text: str) -> frozenset[str]:
    return frozenset(term for match in _STATED.finditer(text) for term in terms(match.group(1)))


def _lexical(question: str, hits: Sequence[Hit], laid: Sequence[_Laid]) -> Matrix:
    """FEATURES of every span of the hits, in order, but for `similarity` and `tokens`, which are 0; float64, (spans, features)."""
    asked = terms(question)
    wanted, wanted_pairs = frozenset(asked), frozenset(pairwise(asked))
    kinds = asked_types(question)
    asked_names = Asking.of(question)
    best = max((hit.score for hit in hits), default=0.0)
    # idf over the quotes at hand: what every one of them is introduced by says nothing about which one answers.
    frequency = Counter(term for one in laid for bag in one.introduced for term in wanted & bag)
    total = sum(len(one.spans) for one in laid)
    idf = {term: math.log(1.0 + total / (0.5 + frequency[term])) for term in wanted}
    # Sorted, because the order of a set differs between processes, and with it the last bit of a sum.
    weights = [(term, idf[term]) for term in sorted(wanted)]
    norm = sum(weight for _, weight in weights) or 1.0

    def share(bag: frozenset[str]) -> float:
        return sum([weight for term, weight in weights if term in bag]) / norm

    entries: dict[str, list[Named]] = {}
    for hit, one in zip(hits, laid, strict=True):
        entries.setdefault(hit.passage.document, []).extend(one.named)
    newest = {document: newest_of(asked_names, named) for document, named in entries.items()}
    rows = [
        (
            0.0,
            share(one.terms[at]),
            share(one.introduced[at]),
            share(one.above[at]),
            share(one.near[at]),
            len(wanted_pairs & one.pairs[at]) / max(1, len(wanted_pairs)),
            hit.score / best if best > 0 else 1.0,
            1.0 / (1.0 + rank),
            held[at],
            float(bool(wanted & one.stated[at])),
            math.log1p(min(len(one.terms[at] - wanted), _MOST_NEW_TERMS)),
            math.log(span.end - span.start) - _TYPICAL_LOG_LENGTH,
            float(span.kind == "label" or one.terms[at] <= one.headed),
            float(span.kind in ("row", "item", "line")),
            *asked_names.features(one.named[at], newest[hit.passage.document]),
            0.0,
        )
        for rank, (hit, one) in enumerate(zip(hits, laid, strict=True))
        for held in (one.holds(kinds),)
        for at, span in enumerate(one.spans)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))
