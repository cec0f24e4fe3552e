"""Passages, vectors and askers made up for the checks of a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from steelyard.schema.corpus import Hit, Passage
from steelyard.schema.scope import Access, Scope
from steelyard.stores.interface import Staged, Vectors

DIM = 16
EVERYONE = Access(allow=("everyone",))
STAFF = Access(allow=("staff",))
ANYONE = Scope()
STAFF_SCOPE = Scope(user="ada", groups=frozenset({"staff"}))
WORDS = ("refund", "invoice", "webhook", "limit", "export", "holiday", "password", "region", "quota", "invoice_total")


def passage(name: str, text: str, access: Access = EVERYONE, title: str = "") -> Passage:
    """A passage with `name` as its document and id."""
    return Passage(
        id=name,
        document=f"docs/{name}.md",
        version="0" * 64,
        title=title,
        start=0,
        end=len(text),
        text=text,
        heading=(),
        page=None,
        access=access,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


def unit(*numbers: float) -> Vectors:
    """The vector of length 1 with these leading numbers and DIM dimensions."""
    vector = np.zeros(DIM, dtype=np.float32)
    vector[: len(numbers)] = numbers
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def staged(passages: Sequence[Passage], vectors: Iterable[Vectors] | None = None) -> Staged:
    """Passages with their vectors, by default all along the first axis."""
    rows = list(vectors) if vectors is not None else [unit(1.0) for _ in passages]
    return Staged(passages, np.array(rows, dtype=np.float32).reshape(len(passages), DIM))


def random_corpus(count: int, seed: int) -> Staged:
    """`count` passages of random words, vectors and access, some of them equal to others."""
    generator = np.random.default_rng(seed)
    rules = (EVERYONE, STAFF, Access(allow=("everyone",), deny=("staff",)), Access(allow=("user:ada",)), Access())
    passages: list[Passage] = []
    vectors = generator.normal(size=(count, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number in range(count):
        if number % 7 == 3:
            text, vectors[number] = passages[-1].text, vectors[number - 1]
        else:
            text = " ".join(generator.choice(WORDS, size=int(generator.integers(1, 12))))
        passages.append(passage(f"p{number:04d}", text, rules[int(generator.integers(len(rules)))]))
    return Staged(passages, vectors)


def ids(hits: Iterable[Hit]) -> list[str]:
    """The passage ids of hits, in order."""
    return [hit.passage.id for hit in hits]


def assert_same(found: Sequence[Hit], expected: Sequence[Hit]) -> None:
    """The same hits in the same order, scores to 1e-5."""
    assert len(found) == len(expected)
    by_score = {hit.passage.id: hit.score for hit in expected}
    for ours, theirs in zip(found, expected, strict=True):
        # Two backends may sum in another order: neighbours closer than that may change places.
        assert abs(ours.score - theirs.score) < 1e-5
        assert (
            ours.passage.id == theirs.passage.id
            or abs(by_score.get(ours.passage.id, theirs.score) - theirs.score) < 1e-5
        )
