"""The extractive reader: chooses the span that answers, or declines."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.components.quotes import Quote, quotes_of
from steelyard.models.interface import Encoder
from steelyard.schema.corpus import Hit

Matrix = NDArray[np.float64]

FEATURES = (
    "similarity",  # cosine of question and quote under its heading
    "coverage",  # idf-weighted share of the question's stems in the quote
    "coverage_near",  # the same in the quote with its heading path and neighbours
    "passage",  # the passage's retrieval score, relative to the best hit
    "first",  # 1 for quotes of the best hit
    "asked_type",  # the quote holds the kind of value that is asked for
    "length",  # log characters: very short quotes seldom answer
    "question_like",  # headings and questions in an FAQ repeat the question without answering it
)

UNTUNED = np.array([2.2, 1.2, 0.9, 1.6, 0.25, 0.9, 0.25, -1.2])
"""Weights of FEATURES without training; chosen once on the validation half of postgresql15_docs and xquad_en."""

ENCODED_QUOTES = 24
"""Quotes that reach the encoder: an encoder call is the cost of reading, and lower-ranked ones seldom win."""

_WORD = re.compile(r"[^\W_]+(?:['’.\-_][^\W_]+)*")
_NUMBER = re.compile(r"\d")
_MONEY = re.compile(r"[$£€]|\b(?:usd|eur|gbp|dollars?|cents?|free)\b|%|per cent|percent", re.IGNORECASE)
_TIME = re.compile(
    r"\b(?:\d{1,2}[:.]\d\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|"
    r"september|october|november|december|seconds?|minutes?|hours?|days?|weeks?|months?|years?|ms|s|min|immediately)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]+")
_STOP_WORDS = """
a an the is are was were be been do does did of in on at to for from by with and or if it its this that these those as i me my
we our you your what which who whom when where why how can could may might will would shall should have has had not no there here
so than then just about into out up any some please hi hello
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The best quote with its score, the runner-up in the text after it, and the features of the choice."""

    best: Quote
    following: Quote | None
    score: float
    margin: float
    features: Matrix


class Reader:
    """Scores quotable spans of the hits by a weighted sum of FEATURES.

    `weights` float64, (features,). Vectors of quotes are kept for the latest `kept` texts.
    """

    def __init__(self, encoder: Encoder, weights: Matrix = UNTUNED, kept: int = 20_000) -> None:
        self._encoder = encoder
        self.weights = np.asarray(weights, dtype=np.float64)
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._kept = kept

    def read(self, question: str, hits: Sequence[Hit]) -> Reading | None:
        """The best quote among the hits; None when the hits hold nothing quotable."""
        quotes, features = self.describe(question, hits)
        if not quotes:
            return None
        scores = features @ self.weights
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        following = next(
            (q for q in quotes if q.hit.passage.id == quotes[best].hit.passage.id and q.start >= quotes[best].end), None
        )
        other = float(scores[order[1]]) if len(order) > 1 else float(scores[best]) - 1.0
        return Reading(
            best=quotes[best],
            following=following,
            score=float(scores[best]),
            margin=float(scores[best]) - other,
            features=features[best],
        )

    def describe(self, question: str, hits: Sequence[Hit]) -> tuple[list[Quote], Matrix]:
        """The quotes worth reading and their features, float64, (quotes, features)."""
        quotes = [quote for rank, hit in enumerate(hits) for quote in quotes_of(hit, rank)]
        if not quotes:
            return [], np.zeros((0, len(FEATURES)))
        lexical = _lexical(question, quotes, hits)
        keep = np.sort(np.argsort(-(lexical @ self.weights), kind="stable")[:ENCODED_QUOTES])
        quotes, features = [quotes[i] for i in keep], lexical[keep]
        vectors = self._encode([question, *(_in_context(quote) for quote in quotes)])
        features[:, 0] = vectors[1:] @ vectors[0]
        return quotes, features

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        missing = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        if missing:
            for text, vector in zip(missing, self._encoder.encode(missing), strict=True):
                self._vectors[text] = vector
        found = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > self._kept:
            self._vectors.popitem(last=False)
        return found


def stems(text: str) -> list[str]:
    """Stemmed content words, in order."""
    return [_stem(word.lower()) for word in _WORD.findall(text) if word.lower() not in _STOP]


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def _in_context(quote: Quote) -> str:
    path = " > ".join((quote.hit.passage.title, *quote.hit.passage.heading[-1:]))
    return f"{path}\n{quote.text}"


def _lexical(question: str, quotes: Sequence[Quote], hits: Sequence[Hit]) -> Matrix:
    asked = set(stems(question))
    words = [set(stems(quote.text)) for quote in quotes]
    frequency = Counter(stem for bag in words for stem in bag & asked)
    # idf over the quotes at hand: what every quote shares says nothing about which one answers.
    idf = {stem: math.log(1.0 + len(quotes) / (0.5 + frequency.get(stem, 0))) for stem in asked}
    total = sum(idf.values()) or 1.0
    best_score = max((hit.score for hit in hits), default=0.0) or 1.0
    wanted = asked_type(question)
    rows = np.zeros((len(quotes), len(FEATURES)))
    for i, quote in enumerate(quotes):
        path = set(stems(" ".join((quote.hit.passage.title, *quote.hit.passage.heading))))
        near = words[i] | path
        for j in (i - 1, i + 1):
            if 0 <= j < len(quotes) and quotes[j].hit is quote.hit:
                near |= words[j]
        text = quote.text
        rows[i, 1] = sum(idf[stem] for stem in words[i] & asked) / total
        rows[i, 2] = sum(idf[stem] for stem in near & asked) / total
        rows[i, 3] = quote.hit.score / best_score
        rows[i, 4] = float(quote.hit_rank == 0)
        rows[i, 5] = _holds(wanted, text)
        rows[i, 6] = min(math.log1p(len(text)), 5.5) - 4.0
        rows[i, 7] = float(text.rstrip().endswith(("?", ":")) or text.lstrip().startswith("#"))
    return rows


def asked_type(question: str) -> str:
    """The kind of value a question asks for: `money`, `number`, `time`, `name` or `text`.

    >>> asked_type("How much is the Studio plan?")
    'money'
    """
    text = question.lower()
    if re.search(r"\bhow much|\bprice|\bcosts?\b|\bfees?\b|\bpay\b|\bcharged?\b|\brate\b|\bpercent", text):
        return "money"
    if re.search(r"\bhow (?:long|soon|fast|quick|often)|\bwhen\b|\bwhat (?:time|day|date)|\bdeadline|\bhours\b", text):
        return "time"
    if re.search(
        r"\bhow many|\blimit|\bmaximum|\bminimum|\bnumber of|\bdefault value|\bhow (?:big|large|far|high)", text
    ):
        return "number"
    if re.search(r"\bwho(?:m|se)?\b|\bwhich (?:person|team|company)|\bname of", text):
        return "name"
    return "text"


def _holds(wanted: str, text: str) -> float:
    if wanted == "money":
        return 1.0 if _MONEY.search(text) and _NUMBER.search(text) else 0.3 * bool(_NUMBER.search(text))
    if wanted == "number":
        return float(bool(_NUMBER.search(text)))
    if wanted == "time":
        return float(bool(_TIME.search(text)))
    if wanted == "name":
        return float(bool(_NAME.search(text)))
    return 0.5
