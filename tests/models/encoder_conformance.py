"""The promises of `Encoder`, run on every encoder by its own test file."""

from __future__ import annotations

import numpy as np

from steelyard.models.interface import Encoder, TokenEncoder

TEXTS = ["refund please", "", "How do I change the billing address? " * 40, "refund please", "käse 🧀", "a"]


def check_encoder(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode([]).dtype == np.float32
    # Order given, and no dependence on the neighbours in the call.
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], vectors, atol=1e-5)
    if isinstance(encoder, TokenEncoder):
        check_tokens(encoder, vectors)
    assert encoder.count_tokens([]) == []
    counts = encoder.count_tokens(TEXTS)
    assert len(counts) == len(TEXTS)
    assert counts[2] > 10 * counts[0] > 0
    assert encoder.name == type(encoder).name.fget(encoder)  # a property, stable


def check_tokens(encoder, vectors) -> None:
    same, tokens = encoder.encode_with_tokens(TEXTS)
    np.testing.assert_allclose(same, vectors, atol=1e-5)
    assert [rows.shape[1] for rows in tokens] == [encoder.dim] * len(TEXTS)
    assert len(tokens[1]) == 0
    assert len(tokens[2]) > 10 * len(tokens[0]) > 0
    for rows in tokens:
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_with_tokens([TEXTS[0]])[1][0], tokens[0], atol=1e-5)
    none, nothing = encoder.encode_with_tokens([])
    assert none.shape == (0, encoder.dim)
    assert nothing == []
