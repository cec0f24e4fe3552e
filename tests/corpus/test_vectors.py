from __future__ import annotations

import numpy as np
import pytest
from corpus_bench import HashEncoder

from steelyard.corpus.vectors import ENCODE_BATCH, VectorCache
from steelyard.schema.errors import ModelError, StoreError


@pytest.fixture
def cache(tmp_path):
    made = VectorCache(tmp_path / "vectors.sqlite")
    yield made
    made.close()


def test_vectors_come_in_order_and_equal_texts_are_embedded_once(cache):
    encoder = HashEncoder()
    texts = ["b", "a", "b", ""]
    vectors, embedded = cache.embed(encoder, texts)
    assert embedded == 3
    assert sorted(encoder.encoded) == ["", "a", "b"]
    np.testing.assert_array_equal(vectors, encoder.encode(texts))
    assert vectors.dtype == np.float32


def test_what_was_embedded_is_read_back_bit_for_bit(cache):
    encoder = HashEncoder()
    texts = [f"text {number}" for number in range(1200)]
    first, embedded = cache.embed(encoder, texts)
    encoder.encoded.clear()
    again, none = cache.embed(encoder, texts)
    assert (embedded, none, encoder.encoded) == (1200, 0, [])
    np.testing.assert_array_equal(first, again)


def test_vectors_of_encoders_never_mix(cache):
    cache.embed(HashEncoder("one"), ["a"])
    assert cache.embed(HashEncoder("two"), ["a"])[1] == 1
    assert cache.embed(HashEncoder("one", dim=4), ["a"])[0].shape == (1, 4)


def test_no_texts_give_no_rows(cache):
    assert cache.embed(HashEncoder(), [])[0].shape == (0, 8)


def test_an_interrupted_run_keeps_its_batches(cache):
    class Failing(HashEncoder):
        def encode(self, texts):
            if len(self.encoded) >= ENCODE_BATCH:
                raise KeyboardInterrupt
            return super().encode(texts)

    texts = [f"text {number}" for number in range(ENCODE_BATCH * 2)]
    with pytest.raises(KeyboardInterrupt):
        cache.embed(Failing(), texts)
    assert cache.embed(HashEncoder(), texts)[1] == ENCODE_BATCH


def test_progress_covers_what_is_missing(cache):
    cache.embed(HashEncoder(), ["a"])
    seen = []
    cache.embed(HashEncoder(), ["a", "b", "c"], seen.append)
    assert [(p.stage, p.done, p.total) for p in seen] == [("embed", 2, 2)]
    assert seen[0].eta_s == 0.0


@pytest.mark.parametrize("wrong", [np.zeros((1, 8)), np.full((2, 8), np.nan)])
def test_wrong_vectors_are_refused(cache, wrong):
    class Wrong(HashEncoder):
        def encode(self, texts):
            return wrong

    with pytest.raises(ModelError, match="shape"):
        cache.embed(Wrong(), ["a", "b"])


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"vectors.sqlite"):
        VectorCache(path)
