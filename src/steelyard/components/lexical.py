"""Words and character n-grams of a text as TF-IDF features: fitted with scikit-learn, served with numpy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.errors import NotFittedError

WORD_ORDERS = (1, 2)
CHAR_ORDERS = (2, 5)
RARE = 2  # a character n-gram seen once says nothing about other messages; words seen once may be names of things
MAX_WORDS, MAX_GRAMS = 30_000, 40_000  # bounds the artefact: 70,000 features x 150 labels are 42 MB
_TOKEN = re.compile(r"(?u)\b\w\w+\b")
_SPACES = re.compile(r"\s\s+")

Sparse = tuple[NDArray[np.int64], NDArray[np.float32]]


class LexicalFeatures:
    """Word unigrams and bigrams, and character 2- to 5-grams inside word borders; each block scaled to length 1.

    Weights are (1 + ln count) x idf with idf = ln((1 + n) / (1 + df)) + 1, as scikit-learn's TfidfVectorizer with sublinear_tf.
    """

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn the vocabulary and the idf of `texts`; returns self."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(ngram_range=WORD_ORDERS, sublinear_tf=True, max_features=MAX_WORDS)
        grams = TfidfVectorizer(
            analyzer="char_wb", ngram_range=CHAR_ORDERS, sublinear_tf=True, min_df=RARE, max_features=MAX_GRAMS
        )
        blocks = [_fitted(words, texts), _fitted(grams, texts)]
        self.words_: Mapping[str, int] = blocks[0][0]
        self.grams_: Mapping[str, int] = blocks[1][0]
        self.idf_: NDArray[np.float32] = np.concatenate([block[1] for block in blocks])
        return self

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self._idf())

    def matrix(self, texts: Sequence[str]) -> Any:
        """Sparse float32 (SciPy CSR), (texts, size): the features of `texts`, for fitting; same values as `transform`."""
        from scipy.sparse import csr_matrix

        rows = [self.transform(text) for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(index) for index, _ in rows])])
        columns = np.concatenate([index for index, _ in rows]) if rows else np.zeros(0, dtype=np.int64)
        values = np.concatenate([value for _, value in rows]) if rows else np.zeros(0, dtype=np.float32)
        return csr_matrix((values, columns, starts), shape=(len(rows), self.size))

    def transform(self, text: str) -> Sparse:
        """Indices and values of the features of one text, indices rising inside each block; nothing known: both empty."""
        idf = self._idf()
        lowered = text.lower()
        words = _block(_word_grams(lowered), self.words_, idf, 0)
        grams = _block(_char_grams(lowered), self.grams_, idf, len(self.words_))
        return np.concatenate([words[0], grams[0]]), np.concatenate([words[1], grams[1]])

    def state(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, list[str]]]:
        """Arrays and JSON values to save."""
        return {"lexical_idf": self._idf()}, {"words": list(self.words_), "grams": list(self.grams_)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Self:
        """The features that `state` described."""
        features = cls()
        features.words_ = {word: at for at, word in enumerate(meta["words"])}
        features.grams_ = {gram: at for at, gram in enumerate(meta["grams"])}
        features.idf_ = np.asarray(arrays["lexical_idf"], dtype=np.float32)
        return features

    def _idf(self) -> NDArray[np.float32]:
        if not hasattr(self, "idf_"):
            raise NotFittedError(
                "the lexical features are not fitted.", remedy="Call fit first.", code="components.not_fitted"
            )
        return self.idf_


def _fitted(vectoriser: Any, texts: Sequence[str]) -> tuple[dict[str, int], NDArray[np.float32]]:
    """Terms with their position in alphabetical order, and their idf; both empty when no text has a term."""
    try:
        vectoriser.fit(texts)
    except ValueError:
        # scikit-learn refuses an empty vocabulary: texts of single letters, or one text alone under `RARE`.
        return {}, np.zeros(0, dtype=np.float32)
    terms = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
    return {term: at for at, term in enumerate(terms)}, vectoriser.idf_.astype(np.float32)


def _block(terms: Iterator[str], known: Mapping[str, int], idf: NDArray[np.float32], offset: int) -> Sparse:
    counts = Counter(known[term] for term in terms if term in known)
    index = np.array(sorted(counts), dtype=np.int64)
    if len(index) == 0:
        return index, np.zeros(0, dtype=np.float32)
    counted = np.array([counts[at] for at in index.tolist()], dtype=np.float32)
    index = index + offset
    values = (1.0 + np.log(counted)) * idf[index]
    return index, (values / np.linalg.norm(values)).astype(np.float32)


def _word_grams(text: str) -> Iterator[str]:
    words = _TOKEN.findall(text)
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))


def _char_grams(text: str) -> Iterator[str]:
    """N-grams inside words padded with one space, as scikit-learn's `char_wb`: a short padded word counts once, not per order."""
    low, high = CHAR_ORDERS
    for word in _SPACES.sub(" ", text).split():
        padded = f" {word} "
        for order in range(low, high + 1):
            yield padded[:order]
            if order >= len(padded):
                break
            yield from (padded[at : at + order] for at in range(1, len(padded) - order + 1))
