from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from encoder_conformance import check_encoder

from steelyard.models.fake import FakeEncoder
from steelyard.models.metering import metered
from steelyard.models.vector_cache import CachedEncoder


def test_it_keeps_the_promises_of_an_encoder(tmp_path):
    check_encoder(CachedEncoder(FakeEncoder(), tmp_path / "vectors.sqlite"))


def test_a_text_is_embedded_once_also_across_processes_lives(tmp_path):
    texts = [f"text number {n}" for n in range(1200)] + ["text number 3"]
    with metered() as first:
        before = CachedEncoder(FakeEncoder(), tmp_path / "v.sqlite").encode(texts)
    with metered() as second:
        after = CachedEncoder(FakeEncoder(), tmp_path / "v.sqlite").encode(texts)
    np.testing.assert_array_equal(before, after)
    assert first.usage.encoder_tokens == 3 * 1200
    assert second.usage.encoder_tokens == 0


def test_vectors_of_two_encoders_never_mix(tmp_path):
    small = CachedEncoder(FakeEncoder(8), tmp_path / "v.sqlite").encode(["refund"])
    large = CachedEncoder(FakeEncoder(16), tmp_path / "v.sqlite").encode(["refund"])
    assert (small.shape, large.shape) == ((1, 8), (1, 16))


def test_progress_counts_the_texts_to_embed_and_a_stop_keeps_what_is_done(tmp_path):
    encoder = CachedEncoder(FakeEncoder(), tmp_path / "v.sqlite")
    seen = []

    def stop(done, total):
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode_with_progress([f"text {n}" for n in range(600)], stop)
    with metered() as meter:
        encoder.encode([f"text {n}" for n in range(600)])
    assert seen == [(256, 600)]
    assert meter.usage.encoder_tokens == 2 * (600 - 256)


def test_threads_share_one_connection_and_a_file_that_was_replaced_is_opened_anew(tmp_path):
    path = tmp_path / "v.sqlite"
    encoder = CachedEncoder(FakeEncoder(), path)
    texts = [f"text {n}" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: encoder.encode([text])[0], texts))
    np.testing.assert_array_equal(rows, FakeEncoder().encode(texts))
    for kept in tmp_path.iterdir():
        kept.unlink()
    with metered() as meter:
        encoder.encode(texts)
        CachedEncoder(FakeEncoder(), path).encode(texts)
    assert meter.usage.encoder_tokens == 2 * 200  # embedded again once, and kept in the new file
