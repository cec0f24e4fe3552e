"""The memory of question vectors gives what the encoder gives, and stays small."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from steelyard.components.nearness import ByVectors
from steelyard.models.fake import FakeEncoder
from steelyard.models.interface import Vectors
from steelyard.models.metering import metered
from steelyard.models.remembering import RememberingEncoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.outputs import Usage


class Counting(FakeEncoder):
    """Counts the texts it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        return super().encode(texts)


def test_vectors_are_the_inner_encoders_and_a_text_is_embedded_once() -> None:
    inner = Counting()
    memory = RememberingEncoder(inner)
    texts = ["one", "two", "one", ""]
    for _ in range(3):
        assert np.array_equal(memory.encode(texts), FakeEncoder().encode(texts))
    assert inner.texts == 3
    assert memory.encode([]).shape == (0, memory.dim)
    assert memory.name == inner.name


def test_it_keeps_no_more_than_it_should() -> None:
    inner = Counting()
    memory = RememberingEncoder(inner, kept=10)
    for number in range(100):
        memory.encode([str(number)])
    assert len(memory._vectors) == 10
    memory.encode(["99"])
    assert inner.texts == 100
    memory.encode(["0"])
    assert inner.texts == 101


def test_what_was_embedded_to_fit_is_recalled_and_nothing_is_written(tmp_path: Path) -> None:
    inner = Counting()
    written = CachedEncoder(inner, tmp_path / "vectors.sqlite")
    right = written.encode(["a quote", "another"])
    memory = RememberingEncoder(inner, written=CachedEncoder(inner, tmp_path / "vectors.sqlite"))
    found = memory.recall(["another", "a question", "a quote"])
    assert inner.texts == 2
    assert list(found) == ["another", "a quote"]
    assert np.array_equal(found["a quote"], right[0])
    memory.encode(["a question"])
    assert memory.recall(["a question"]) == {}
    assert RememberingEncoder(inner).recall(["a quote"]) == {}


def test_a_damaged_file_of_vectors_costs_time_and_no_answer(tmp_path: Path) -> None:
    (tmp_path / "vectors.sqlite").write_bytes(b"no database" * 1000)
    memory = RememberingEncoder(FakeEncoder(), written=CachedEncoder(FakeEncoder(), tmp_path / "vectors.sqlite"))
    assert memory.recall(["a quote"]) == {}
    near, _ = ByVectors(memory).compare("a question", ["a quote"])
    assert np.array_equal(near, ByVectors(FakeEncoder()).compare("a question", ["a quote"])[0])


def test_quotes_that_were_embedded_to_fit_are_not_embedded_again_to_serve(tmp_path: Path) -> None:
    inner = Counting()
    CachedEncoder(inner, tmp_path / "vectors.sqlite").encode(["a quote", "another"])
    near = ByVectors(RememberingEncoder(inner, written=CachedEncoder(inner, tmp_path / "vectors.sqlite")))
    found, _ = near.compare("a question", ["a quote", "new words", "another"])
    assert inner.texts == 2 + len(["a question", "new words"])
    assert np.array_equal(found, ByVectors(FakeEncoder()).compare("a question", ["a quote", "new words", "another"])[0])


def test_many_threads_share_it() -> None:
    memory = RememberingEncoder(FakeEncoder(), kept=5)
    right = {str(number): FakeEncoder().encode([str(number)])[0] for number in range(20)}

    def check(number: int) -> bool:
        text = str(number % 20)
        return bool(np.array_equal(memory.encode([text])[0], right[text]))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(check, range(500)))


class Together(Counting):
    """Reads several texts at once, each taking a second."""

    reads_together = True

    def encode_unmetered(self, texts: Sequence[str]) -> tuple[Vectors, list[Usage]]:
        return self.encode(texts), [Usage(encoder_tokens=len(text), seconds=1.0) for text in texts]


def test_texts_embedded_ahead_are_metered_once_by_who_asks_first() -> None:
    inner = Together()
    memory = RememberingEncoder(inner)
    memory.encode(["known"])
    memory.ahead(["one", "three", "known"])
    assert inner.texts == 3
    assert not memory.was_asked("one")
    right = FakeEncoder().encode(["one"])
    with metered() as first:
        assert np.array_equal(memory.encode(["one"]), right)
    with metered() as second:
        memory.encode(["one", "three"])
    assert memory.was_asked("one")
    assert (first.usage.encoder_tokens, first.ahead_s, first.calls) == (3, 1.0, 1)
    assert (second.usage.encoder_tokens, second.ahead_s) == (5, 1.0)
    assert 1.0 <= first.usage.seconds < 1.0 + 60.0
    assert inner.texts == 3


def test_what_was_embedded_ahead_and_never_asked_for_is_forgotten_in_time() -> None:
    memory = RememberingEncoder(Together(), kept=10)
    for number in range(30):
        memory.ahead([str(number), f"{number} again"])
    assert len(memory._vectors) == len(memory._owed) == 10


def test_an_encoder_that_gains_nothing_embeds_nothing_ahead() -> None:
    inner = Counting()
    RememberingEncoder(inner).ahead(["one", "two"])
    assert inner.texts == 0
