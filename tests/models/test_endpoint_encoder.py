"""The embeddings endpoint as the encoder, against the simulator's made-up vectors."""

from __future__ import annotations

import numpy as np
import pytest
from encoder_conformance import check_encoder
from openai_simulator import MODEL, refusal, says, simulator

from steelyard.config import EmbeddingSettings
from steelyard.models import openai_calls
from steelyard.models.call_ledger import CallLedger
from steelyard.models.endpoint_encoder import EndpointEncoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.errors import GeneratorError, SpendCapError, StoppedError


@pytest.fixture(scope="module")
def running():
    with simulator() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    monkeypatch.setattr(openai_calls, "pause_s", lambda attempt: 0.0)
    running.__dict__.update(faults=[], requests=[], answers_as=MODEL, hold=None)
    return running


@pytest.fixture
def make(server, tmp_path):
    made, ledger = [], CallLedger(tmp_path / "calls.sqlite")

    def build(**settings):
        plain = {"base_url": server.url, "model": MODEL, "batch": 2, "retries": 1}
        made.append(EndpointEncoder(EmbeddingSettings(**{**plain, **settings}), ledger, 1000.0))
        return made[-1]

    build.ledger = ledger
    yield build
    for one in made:
        one.close()
    ledger.close()


def test_it_keeps_every_promise_of_an_encoder(make) -> None:
    check_encoder(make())


def test_texts_go_in_batches_and_come_back_in_order(server, make) -> None:
    texts = [f"text {n}" for n in range(5)]
    vectors = make().encode(texts)
    assert sorted(len(one["input"]) for one in server.requests) == [1, 2, 2]
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, server.vector_of(text) / np.linalg.norm(server.vector_of(text)), atol=1e-6)


def test_each_call_is_metered_and_capped(make) -> None:
    make().encode(["one two", "three"])
    # 3 words at 0.001 USD
    assert make.ledger.by_purpose()["embed"].usd == pytest.approx(0.003)
    with pytest.raises(SpendCapError) as caught:
        make(cap_usd=0.002).encode(["four"])
    assert "models.embeddings" in caught.value.where


def test_behind_a_cache_a_text_is_paid_once(server, make, tmp_path) -> None:
    cached = CachedEncoder(make(dim=16), tmp_path / "vectors.sqlite")
    first = cached.encode(["one", "two"])
    asked = len(server.requests)
    np.testing.assert_array_equal(cached.encode(["two", "one"])[::-1], first)
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": [0.0, 0.0]}]},
        {"data": [{"index": 0, "embedding": "abc"}]},
        {"choices": []},
        "<html>",
    ],
)
def test_what_is_no_embedding_is_an_error_with_a_place(server, make, body) -> None:
    server.faults = [says(200, body)] * 3
    with pytest.raises(GeneratorError) as caught:
        make(retries=3).encode(["one"])
    assert caught.value.code == "generator.malformed"
    assert server.url in caught.value.where


def test_vectors_of_another_model_or_length_are_refused(server, make) -> None:
    with pytest.raises(GeneratorError, match="one length"):
        make(dim=7).encode(["one"])
    server.answers_as = "another"
    with pytest.raises(StoppedError) as caught:
        make().encode(["one"])
    assert caught.value.code == "generator.other_model"


def test_a_passing_fault_is_tried_again(server, make) -> None:
    server.faults = [says(503, refusal("warming up"))]
    assert make().encode(["one"]).shape == (1, 16)


def test_names_tell_model_host_and_length_apart(make) -> None:
    assert make().name != make(dim=16).name != make(model="other").name
    assert make().name == make().name
