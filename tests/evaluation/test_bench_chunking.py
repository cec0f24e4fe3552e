from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steelyard.corpus.passages import SplitSettings
from steelyard.evaluation import bench_chunking as bench
from steelyard.evaluation.bench_retrieval import halves
from steelyard.evaluation.retrieval_sets import RetrievalSet
from steelyard.models.fake import FakeEncoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.corpus import DocumentVersion
from steelyard.schema.scope import EVERYONE, Access

TOPICS = ("refund", "invoice", "webhook", "export", "holiday", "password", "region", "quota")


def document(name: str, text: str) -> DocumentVersion:
    return DocumentVersion(
        document=name,
        version=f"{name:0<64}",
        source="bench",
        media_type="text/plain",
        title="",
        text=text,
        access=Access(allow=(EVERYONE,)),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def data():
    filler = "Nothing else is said here, and it takes a while to say so. " * 40
    return RetrievalSet(
        name="xquad_en",
        versions=[document(f"d{at}", f"The {topic} rule is number {at}. {filler}") for at, topic in enumerate(TOPICS)],
        queries={f"q{at}": f"Which number has the {topic} rule?" for at, topic in enumerate(TOPICS)},
        qrels={f"q{at}": {f"d{at}": 1} for at in range(len(TOPICS))},
        answers={f"q{at}": (f"number {at}",) for at in range(len(TOPICS))},
    )


def test_only_the_choosing_half_is_asked_and_all_that_answers_it_is_kept(data, monkeypatch):
    part = bench.choosing_part(data)
    assert list(part.queries) == halves(list(data.queries))[0]
    assert len(part.versions) == len(data.versions)
    monkeypatch.setattr(bench, "CHARACTERS", 1)
    part = bench.choosing_part(data)
    assert {one.document for one in part.versions} == {f"d{query[1:]}" for query in part.queries}


def test_a_cut_is_a_row_with_quality_reading_and_size(data, tmp_path):
    encoder = CachedEncoder(FakeEncoder(256), tmp_path / "vectors.sqlite")
    small, large = (
        bench.measure_cut(data, encoder, SplitSettings(size=size), lambda done, total: None) for size in (300, 1200)
    )
    assert small["passages"] > large["passages"] > len(data.versions)
    for row in (small, large):
        # The topic is said once, in the first passage of its document.
        assert row["ndcg_at_10"] == row["answer_read"] == 1.0
        assert (row["queries"], row["documents"]) == (len(TOPICS), len(TOPICS))


def test_an_answer_outside_what_is_read_does_not_count(data, tmp_path, monkeypatch):
    encoder = CachedEncoder(FakeEncoder(256), tmp_path / "vectors.sqlite")
    monkeypatch.setattr(bench, "READ_CHARACTERS", 10)
    row = bench.measure_cut(data, encoder, SplitSettings(size=300), lambda done, total: None)
    assert row["answer_read"] == 0.0


def test_sets_that_are_not_there_are_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "load_encoder", lambda name: FakeEncoder())
    seen = []
    result = bench.bench_chunking(tmp_path, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert all("missing" in row for row in result["rows"])
    assert seen[-1][0] == seen[-1][1] > 0
