import gzip
import json
from pathlib import Path

import pytest

from steelyard.components.reader import FEATURES, UNTUNED
from steelyard.evaluation.bench_answer import (
    FRACTIONS,
    FirstSentence,
    bench_answer,
    derive_untuned,
    load_set,
    measure_set,
)
from steelyard.models.fake import FakeEncoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

THINGS = [
    f"{first}{second}"
    for first in ("kiln", "lathe", "loom", "press", "easel")
    for second in ("", "bench", "stand", "wheel")
]


def written(folder: Path, *, unanswerable: bool) -> Path:
    docs = [
        {
            "id": thing,
            "title": thing,
            "text": f"This page is about the {thing}. Hiring the {thing} costs {at + 7} USD a day. It is blue.",
        }
        for at, thing in enumerate(THINGS)
    ]
    rows = [
        {
            "id": f"a{at}",
            "question": f"What does hiring the {thing} cost?",
            "answers": [f"{at + 7} USD"],
            "doc_id": thing,
        }
        for at, thing in enumerate(THINGS)
    ]
    if unanswerable:
        for row in rows:
            row |= {"answerable": True, "doc_ids": [row.pop("doc_id")]}
            row["supporting_sentences"] = [f"Hiring the {row['doc_ids'][0]} costs {row['answers'][0]} a day."]
        rows += [
            {
                "id": f"u{at}",
                "question": f"Who invented glaciers near the {thing} in that century?",
                "answers": [],
                "supporting_sentences": [],
                "answerable": False,
                "doc_ids": [thing],
            }
            for at, thing in enumerate(THINGS)
        ]
    folder.mkdir()
    for name, lines in (("docs", docs), ("questions", rows)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def encoder(tmp_path):
    return CachedEncoder(FakeEncoder(128), tmp_path / "vectors.sqlite")


def test_every_method_is_measured_on_the_same_questions_with_valid_citations(tmp_path):
    data = load_set(written(tmp_path / "clapnq_dev", unanswerable=True))
    rows = measure_set(data, encoder(tmp_path), FakeEncoder(128), lambda done, total: None)
    methods = ["first-sentence", "rag-bm25", "rag-dense", "rag-hybrid", "rag-rerank", "rag-tuned"]
    assert [row["method"] for row in rows] == methods
    assert {row["questions"] for row in rows} == {len(data.questions.holdout)}
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert {row["citation_validity"] for row in rows} <= {1.0}
    assert rows[0]["containment"] == 0.0  # its first sentence never holds the price
    assert all(row["unguarded"] >= row["containment"] for row in rows)
    best = rows[3]
    assert best["unguarded"] >= 0.9
    assert best["difference"] == pytest.approx(best["containment"])
    assert best["refusal_recall"] >= 0.5
    json.dumps(rows, allow_nan=False)


def test_the_split_has_the_development_half_apart(tmp_path):
    questions = load_set(written(tmp_path / "xquad_en", unanswerable=False)).questions
    parts = [{item.id for item in part} for part in (questions.train, questions.validation, questions.holdout)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(THINGS)
    assert len(parts[2]) == pytest.approx(FRACTIONS[2] * len(THINGS), abs=2)


def test_a_set_that_is_not_there_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.evaluation.bench_answer.load_minilm", lambda **_: FakeEncoder(64))
    seen = []
    result = bench_answer(tmp_path, tmp_path, lambda done, total: seen.append(done == total))
    assert result["name"] == "answer"
    assert all("missing" in row for row in result["rows"])
    assert seen[-1]


def test_constants_are_derived_the_same_way_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.evaluation.bench_answer.load_minilm", lambda **_: FakeEncoder(64))
    for name in ("postgresql15_docs", "xquad_en"):
        written(tmp_path / name, unanswerable=False)
    first = derive_untuned(tmp_path, tmp_path)
    assert tuple(first) == FEATURES
    assert len(UNTUNED) == len(FEATURES)
    assert derive_untuned(tmp_path, tmp_path) == first


def test_the_peer_declines_only_where_no_word_is_shared(tmp_path):
    class Nothing:
        def lexical(self, text, scope, k):
            return []

    assert FirstSentence(Nothing()).predict(Request(text="x"), Scope()).abstained
