import sys

import pytest
from encoder_conformance import check_encoder

from steelyard.models import ENCODERS
from steelyard.models.fake import FakeEncoder


def test_it_keeps_the_promises_of_an_encoder():
    check_encoder(FakeEncoder())
    check_encoder(FakeEncoder(dim=8))


def test_vectors_are_the_same_on_every_machine():
    vector = FakeEncoder(dim=4).encode(["refund"])[0]
    assert [round(float(value), 4) for value in vector] == [
        round(float(value), 4) for value in FakeEncoder(4).encode(["Refund!"])[0]
    ]


def test_texts_that_share_words_are_nearer():
    question, near, far = FakeEncoder(256).encode(
        ["how do refunds work", "refund policy: how it works", "office opening hours"]
    )
    assert question @ near > question @ far + 0.2


def test_a_vector_of_one_number_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        FakeEncoder(dim=1)


def test_the_table_loads_it_by_name():
    assert ENCODERS.load("fake") is FakeEncoder
    assert "minilm" in ENCODERS.names()
    assert "steelyard.models" in sys.modules
