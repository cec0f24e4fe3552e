"""What the candidates of one step share: searches, and vectors that depend on their own text alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from steelyard.components.nearness import by_tokens
from steelyard.components.reader import Reader
from steelyard.evaluation.alone import AloneTokenEncoder, alone
from steelyard.evaluation.same_search import SameSearch
from steelyard.models.loading import load_encoder
from steelyard.models.remembering import RememberingEncoder
from steelyard.schema.corpus import Passage
from steelyard.schema.scope import Access, Scope

TEXTS = ["What does the plan cost?", "The plan costs 5 dollars a month, and 50 dollars a year.", "Open at nine.", ""]


class Counting:
    """Finds what it was asked, and how often it was asked so far."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def lexical(self, *query):
        return self._found("lexical", query)

    def dense(self, *query):
        return self._found("dense", query)

    def fused(self, *query):
        return self._found("fused", query)

    def _found(self, how, query):
        self.asked.append((how, *query))
        return [how, *query, len(self.asked)]


def test_a_search_is_asked_once_for_each_question_asker_depth_and_weight():
    inner = Counting()
    search = SameSearch(inner)
    anyone, staff = Scope(), Scope(groups=frozenset({"staff"}))
    queries = [
        ("lexical", "a", anyone, 6),
        ("lexical", "b", anyone, 6),
        ("lexical", "a", staff, 6),
        ("lexical", "a", anyone, 7),
        ("dense", "a", anyone, 6),
        ("fused", "a", anyone, 6, 0.4),
        ("fused", "a", anyone, 6, 0.5),
    ]
    first = [getattr(search, how)(*query) for how, *query in queries]
    assert inner.asked == queries
    again = [getattr(search, how)(*query) for how, *query in queries]
    assert again == first
    assert inner.asked == queries
    again[0].clear()  # what a candidate does with its hits is its own affair
    assert search.lexical("a", anyone, 6) == first[0]


@pytest.fixture(scope="module")
def minilm():
    return load_encoder("minilm", threads=1)


def test_tokens_of_a_text_do_not_depend_on_its_neighbours_or_on_what_is_remembered(minilm):
    encoder = alone(minilm, threads=2)
    assert isinstance(encoder, AloneTokenEncoder)
    vectors, tokens = encoder.encode_with_tokens(TEXTS * 6)
    for text, vector, own in zip(TEXTS * 6, vectors, tokens, strict=True):
        lone, lone_tokens = minilm.encode_with_tokens([text])
        assert np.array_equal(vector, lone[0])
        assert np.array_equal(own, lone_tokens[0])
    again, tokens_again = encoder.encode_with_tokens(list(reversed(TEXTS)))
    assert np.array_equal(again, vectors[len(TEXTS) - 1 :: -1])
    assert all(
        np.array_equal(one, other) for one, other in zip(tokens_again, tokens[len(TEXTS) - 1 :: -1], strict=True)
    )
    assert encoder.encode_with_tokens([])[0].shape == (0, minilm.dim)


def test_a_replay_s_reader_compares_tokens_that_were_embedded_alone(minilm):
    lone = alone(minilm)
    compared = by_tokens(RememberingEncoder(lone))
    assert compared is by_tokens(lone) is not by_tokens(minilm)


def test_an_encoder_without_tokens_still_embeds_each_text_alone(minilm):
    class Plain:
        name, dim = "plain", minilm.dim

        def encode(self, texts):
            return minilm.encode(texts)

    encoder = alone(Plain())
    assert not isinstance(encoder, AloneTokenEncoder)
    assert by_tokens(encoder) is None
    assert np.array_equal(encoder.encode(TEXTS), np.stack([minilm.encode([text])[0] for text in TEXTS]))


def test_a_passage_is_laid_out_once_for_all_readers_and_versions_but_anew_under_another_title(minilm):
    passage = Passage(
        id="a.md@1:0-57",
        document="a.md",
        version="1" * 64,
        title="Plans",
        start=0,
        end=57,
        text=TEXTS[1],
        heading=("Plans", "Costs"),
        page=None,
        access=Access(allow=frozenset({"everyone"})),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )
    one, other = Reader(minilm), Reader(minilm)
    laid = one._layout(passage)
    assert other._layout(replace(passage, id="a.md@2:9-66", version="2" * 64, start=9, end=66)) is laid
    for changed in ({"title": "Prices"}, {"heading": ("Plans",)}, {"lead": "Prices:"}, {"text": TEXTS[2]}):
        assert other._layout(replace(passage, **changed)) is not laid
