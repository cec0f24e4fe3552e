import gzip
import json
import random

import pytest

from steelyard.evaluation import bench_retrieval as bench
from steelyard.evaluation.retrieval_sets import load_retrieval_set
from steelyard.models.fake import FakeEncoder
from steelyard.models.vector_cache import CachedEncoder

TOPICS = (
    "refund",
    "invoice",
    "webhook",
    "export",
    "holiday",
    "password",
    "region",
    "quota",
    "parcel",
    "coupon",
    "badge",
    "lamp",
)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def xquad(tmp_path):
    folder = tmp_path / "xquad_en"
    docs = [
        {"id": f"p{n}", "title": f"About_{topic}", "text": f"The {topic} rule is number {n}."}
        for n, topic in enumerate(TOPICS)
    ]
    questions = [
        {"id": f"q{n}", "question": f"Which rule holds for the {topic}s?", "answers": [str(n)], "doc_id": f"p{n}"}
        for n, topic in enumerate(TOPICS)
    ]
    write(folder / "docs.jsonl.gz", docs)
    write(
        folder / "questions.jsonl.gz",
        [*questions, {"id": "no", "question": "?", "answerable": False, "doc_id": "p0", "answers": []}],
    )
    return folder


def test_every_method_is_a_row_with_scores_over_all_queries(xquad, tmp_path):
    seen = []
    encoder = CachedEncoder(FakeEncoder(256), tmp_path / "vectors.sqlite")
    rows = bench.measure_set(load_retrieval_set(xquad), encoder, lambda done, total: seen.append((done, total)))
    assert seen == [(len(TOPICS), len(TOPICS))]
    *methods, fusion = rows
    assert [row["method"] for row in methods] == ["bm25s", "bm25", "dense", "fusion"]
    for row in methods:
        assert row["queries"] == len(TOPICS)
        assert (row["documents"], row["passages"]) == (len(TOPICS), len(TOPICS))
        assert 0.0 < row["ndcg_at_10"] <= 1.0
    # Each question names the one word that its document alone holds.
    assert [row["ndcg_at_10"] for row in rows[:2]] == [1.0, 1.0]
    assert [row["recall_at_5"] for row in rows[:2]] == [1.0, 1.0]
    assert fusion["fusion"] == methods[-1]["ndcg_at_10"]
    assert len(fusion["dense_weights"]) == 2
    assert fusion["better_part"] in ("bm25", "dense")
    assert fusion["gain_low"] <= fusion["gain"] <= fusion["gain_high"]
    assert fusion["held_out"] == methods[-1]["held_out"]
    assert fusion["held_out_low"] <= fusion["held_out"] <= fusion["held_out_high"]


def test_the_halves_are_disjoint_cover_all_and_stay_the_same():
    first, second = bench.halves([str(number) for number in range(101)])
    assert sorted(first + second) == sorted(str(number) for number in range(101))
    assert (first, second) == bench.halves([str(number) for number in range(101)])


def test_cranfield_leaves_out_empty_documents_and_queries_without_relevant_ones(tmp_path):
    folder = tmp_path / "cranfield"
    write(
        folder / "docs.jsonl.gz",
        [{"id": "1", "title": "wing", "text": "wing lift"}, {"id": "2", "title": "", "text": " "}],
    )
    write(folder / "queries.jsonl.gz", [{"id": "1", "text": "lift"}, {"id": "2", "text": "drag"}])
    write(
        folder / "qrels.jsonl.gz",
        [{"query_id": "1", "doc_id": "1", "grade": 3}, {"query_id": "2", "doc_id": "1", "grade": 0}],
    )
    data = load_retrieval_set(folder)
    assert [version.document for version in data.versions] == ["1"]
    assert data.queries == {"1": "lift"}
    assert data.qrels == {"1": {"1": 3}}


def test_medquad_is_a_seeded_sample_whose_documents_do_not_name_the_topic(tmp_path):
    folder = tmp_path / "medquad"
    generator = random.Random(1)
    rows = [
        {
            "id": f"m{n}",
            "focus": "Gaucher disease",
            "question": f"What is it {n}?",
            "answer": f"Answer {generator.random()}.",
        }
        for n in range(2100)
    ]
    write(folder / "medquad.jsonl.gz", rows)
    data, again = load_retrieval_set(folder), load_retrieval_set(folder)
    assert (len(data.versions), len(data.queries)) == (2000, 500)
    assert data.queries == again.queries
    assert data.versions == again.versions
    assert not any("Gaucher" in version.title + version.text for version in data.versions)


def test_a_set_that_is_not_there_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "load_encoder", lambda name: FakeEncoder())
    seen = []
    result = bench.bench_retrieval(tmp_path, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert result["name"] == "retrieval"
    assert [row["set"] for row in result["rows"]] == list(bench.SETS)
    assert all("missing" in row for row in result["rows"])
    assert seen[-1] == (5 * bench.STEPS, 5 * bench.STEPS)


def test_the_peers_of_every_set_are_known():
    assert bench.PEERS.keys() == bench.SETS.keys()
