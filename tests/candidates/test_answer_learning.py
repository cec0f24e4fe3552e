import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_answer_rag import STAFF, corpus, questions

from steelyard.candidates import answer_learning
from steelyard.candidates.answer_learning import (
    TOKENS,
    TRAINED_QUOTES,
    Asked,
    _above_noise,
    _folds,
    _hardest,
    token_weight,
)
from steelyard.candidates.answer_rag import RagRerank, RagTuned
from steelyard.candidates.interface import Tools
from steelyard.components.quotes import Quote, Span, resolves
from steelyard.components.reader import FEATURES, Reader
from steelyard.components.retriever import Retriever
from steelyard.models.fake import FakeEncoder
from steelyard.models.loading import load_encoder
from steelyard.schema.corpus import Hit
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

sys.path.append(str(Path(__file__).parents[1] / "models"))


def asked(name, tokens, right, group=None):
    """A question with one quote for each entry of `tokens`; the others of its features say nothing. Quote `right` answers."""
    text = " ".join(f"Answer {place} here." for place in range(len(tokens)))
    hit = Hit(passage=passage(name, text, Access(allow=("everyone",))), score=1.0)
    spans = [Span(start=15 * place, end=15 * place + 14, kind="sentence") for place in range(len(tokens))]
    features = np.zeros((len(tokens), len(FEATURES)))
    features[:, TOKENS] = tokens
    features[0, 1] = 3.0  # the words of the question stand in the first quote
    item = Item(id=name, task="answer", text="?", answers=(f"Answer {right}",), group=group)
    return Asked(item, [hit], [Quote(hit=hit, hit_rank=0, span=span) for span in spans], features)


def test_tokens_get_a_weight_where_they_answer_more_and_none_where_not():
    helped = [asked(f"q{at}", [0.1, 0.9], 1) for at in range(20)]
    harmed = [asked(f"q{at}", [0.1, 0.9], 0) for at in range(20)]
    reader = Reader(FakeEncoder(16))
    assert token_weight(helped, reader, np.zeros(20)) > 0
    assert token_weight(harmed, reader, np.ones(20)) == 0.0
    # Better by as much as chance gives: nothing is taken up.
    assert token_weight([*helped[:1], *harmed[:1]], reader, np.array([0.0, 1.0])) == 0.0
    assert token_weight([], reader, np.zeros(0)) == 0.0


def test_a_gain_within_its_noise_is_none():
    assert _above_noise(np.array([1.0, 0.0, 0.0, 1.0, 1.0]))
    assert not _above_noise(np.array([1.0, -1.0, 1.0, -1.0, 0.5]))
    assert not _above_noise(np.zeros(9))
    assert not _above_noise(np.array([1.0]))


def test_wordings_of_one_fact_stay_in_one_part():
    rows = [asked(f"q{at}", [0.0], 0, group=f"fact {at // 3}") for at in range(30)]
    parts = _folds(rows)
    assert sorted(one.item.id for part, _ in parts for one in part) == sorted(one.item.id for one in rows)
    for part, rest in parts:
        assert not {one.item.group for one in part} & {one.item.group for one in rest}


def test_the_hardest_quotes_are_learned_from_in_their_order():
    right = np.array([False, True, False, False, True, True, False, False, False, False])
    found = _hardest(np.array([3, 9, 1, 0, 5, 4, 2, 6, 7, 8]), right)
    assert found.tolist() == [3, 9, 1, 0, 5, 2]
    assert len(found) == TRAINED_QUOTES


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    pytest.importorskip("torch")
    from tiny_bert import write_tiny_bert

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "hf").mkdir()
    encoder = load_encoder(str(write_tiny_bert(folder / "hf", max_tokens=160)), folder)
    store = MemoryStore()
    passages = corpus()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Tools(encoder=encoder, search=Retriever(store, encoder, 1), work=folder / "work")


@pytest.fixture
def small(monkeypatch):
    """Few questions are enough, and what is learned is taken whatever it brings: the way of serving it is what is tested."""
    monkeypatch.setattr(answer_learning, "FEWEST_TO_TUNE", 4)
    monkeypatch.setattr(answer_learning, "FEWEST_TO_CHOOSE", 4)
    monkeypatch.setattr(answer_learning, "_above_noise", lambda gains: True)
    plan = replace(answer_learning.CROSS_PLAN, epochs=4, learning_rate=2e-3, threads=1, device="cpu", checkpoint_s=0.0)
    monkeypatch.setattr(answer_learning, "CROSS_PLAN", plan)


@pytest.mark.slow
def test_a_cross_encoder_serves_as_it_was_fitted(tools, small, tmp_path):
    rows = questions()
    fitted = RagTuned(tools).fit(rows[0::2], rows[1::2])
    assert fitted.learned["level"] == "cross-encoder"
    assert fitted.learned["cross_encoder_steps"] > 0
    fitted.save(tmp_path)
    loaded = RagTuned(tools).load(tmp_path)
    for row in rows[:12]:
        before = fitted.predict(Request(text=row.text), STAFF)
        after = loaded.predict(Request(text=row.text), STAFF)
        assert replace(after, usage=before.usage) == before
        assert dict(after.trace)["reader"] == "cross-encoder"
        for citation in after.citations:
            assert citation.quote == after.text
            assert resolves(
                next(one.passage for one in after.hits if one.passage.document == citation.document), citation
            )
        # The first passage is that of the quote: what was read again is ranked again.
        if after.citations:
            assert after.hits[0].passage.document == after.citations[0].document
    # Taken up where it was: a second fit reads the finished training.
    assert (tools.work / "cross-encoder/curve.jsonl").is_file()
    again = RagTuned(tools).fit(rows[0::2], rows[1::2])
    assert again._fitted.reader.scorer.onnx == fitted._fitted.reader.scorer.onnx


@pytest.mark.slow
def test_a_spent_budget_trains_no_cross_encoder_and_says_so(tools, small):
    rows = questions()
    fitted = RagTuned(replace(tools, budget_s=1.0)).fit(rows[0::2], rows[1::2])
    assert "--budget-s" in fitted.learned["cross-encoder"]
    assert fitted.learned["level"] != "cross-encoder"


def test_an_encoder_without_token_vectors_reads_as_before():
    class Plain:
        """Vectors of whole texts alone."""

        name, dim = "plain", 16

        def encode(self, texts):
            rows = np.array([[hash_of(text, place) for place in range(16)] for text in texts]).reshape(-1, 16)
            return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

        def count_tokens(self, texts):
            return [len(text.split()) for text in texts]

    def hash_of(text, place):
        return float(sum(map(ord, text)) % (place + 7)) + 1.0

    encoder, store, passages = Plain(), MemoryStore(), corpus()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    tools = Tools(encoder=encoder, search=Retriever(store, encoder, 1))
    fitted = RagRerank(tools).fit(questions()[0::2], questions()[1::2])
    assert fitted.learned == {"level": "untuned", "tokens": "the encoder gives no token vectors"}
