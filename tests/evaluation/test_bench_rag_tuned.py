import gzip
import json

import pytest
from test_bench_answer import THINGS, written

from steelyard.evaluation.bench_rag_tuned import _learning_more, _load, bench_rag_tuned, measure_set
from steelyard.models.fake import FakeEncoder
from steelyard.models.vector_cache import CachedEncoder


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("steelyard.evaluation.bench_rag_tuned.load_minilm", lambda **_: FakeEncoder(128))


def test_every_candidate_is_compared_with_untuned_retrieval_on_the_same_questions(tmp_path, fake):
    data = _learning_more(_load(written(tmp_path / "clapnq_dev", unanswerable=True)))
    seen = []
    rows = measure_set(data, CachedEncoder(FakeEncoder(128), tmp_path / "v.sqlite"), seen.append)
    assert [row["candidate"] for row in rows] == ["rag-hybrid", "rag-rerank", "rag-tuned"]
    assert {row["questions"] for row in rows} == {len(data.questions.holdout)}
    assert rows[0]["difference"] == 0.0
    for row in rows:
        assert row["difference"] == pytest.approx(row["containment"] - rows[0]["containment"], abs=1e-4)
        assert row["containment"] <= row["right_page"] <= 1.0
        assert row["level"] == "untuned"  # all of these are right as they come: nothing may be learned
    assert "too few" in json.loads(rows[2]["notes"])["cross-encoder"]
    assert seen == sorted(seen)
    assert seen[-1] == 300


def test_more_is_learned_from_and_the_test_rows_stay(tmp_path):
    before = _load(written(tmp_path / "postgresql15_docs", unanswerable=False)).questions
    after = _learning_more(_load(tmp_path / "postgresql15_docs")).questions
    assert after.holdout == before.holdout
    assert {item.id for item in (*after.train, *after.validation)} == {
        item.id for item in (*before.train, *before.validation)
    }
    assert len(after.train) > len(before.train)


def test_medquad_counts_sentences_of_the_questions_own_answer_and_keeps_topics_together(tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.evaluation.retrieval_sets.MEDQUAD_ANSWERS", 20)
    monkeypatch.setattr("steelyard.evaluation.retrieval_sets.MEDQUAD_QUESTIONS", 20)
    rows = [
        {
            "id": f"m{at}",
            "question": f"What is {thing}?",
            "answer": f"A {thing} is a thing of its own. No.",
            "focus": "x",
        }
        for at, thing in enumerate(THINGS)
    ]
    (tmp_path / "medquad").mkdir()
    with gzip.open(tmp_path / "medquad/medquad.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row | {"focus": f"topic {place // 2}"}) + "\n" for place, row in enumerate(rows))
    questions = _load(tmp_path / "medquad").questions
    parts = [{item.group for item in part} for part in (questions.train, questions.validation, questions.holdout)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 10
    for item in (*questions.train, *questions.validation, *questions.holdout):
        assert item.answers == (f"A {item.text[8:-1]} is a thing of its own.",)
        assert item.source == item.id


def test_a_set_that_is_not_there_is_said_so(tmp_path, fake):
    result = bench_rag_tuned(tmp_path, tmp_path, lambda done, total: None)
    assert result["name"] == "rag-tuned"
    assert all("missing" in row for row in result["rows"])
