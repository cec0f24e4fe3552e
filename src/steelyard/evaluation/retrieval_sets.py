"""Open retrieval sets as documents, queries and relevance judgements."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steelyard.corpus.parsing import txt
from steelyard.corpus.parsing.limits import Limits
from steelyard.metrics.ranking import Qrels
from steelyard.schema.corpus import DocumentVersion
from steelyard.schema.scope import EVERYONE, Access

MEDQUAD_ANSWERS = 2000
MEDQUAD_QUESTIONS = 500
SEED = 0


@dataclass(frozen=True, kw_only=True)
class RetrievalSet:
    """Documents, queries by id, and for each query the grade of each judged document (0: not relevant).

    `answers` has, for the queries of sets with short answers, the strings that answer them.
    """

    name: str
    versions: list[DocumentVersion]
    queries: Mapping[str, str]
    qrels: Qrels
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load_retrieval_set(folder: Path) -> RetrievalSet:
    """The set in `folder`, which is named after it; its README has the fields and the licence.

    Raises:
        KeyError: there is no reader for a set of this name.
    """
    return SETS[folder.name](folder)


def _questions(folder: Path) -> RetrievalSet:
    """postgresql15_docs, xquad_en, clapnq_dev: the answerable questions, with the documents that answer them."""
    questions = [row for row in _rows(folder / "questions.jsonl.gz") if row.get("answerable", True)]
    return RetrievalSet(
        name=folder.name,
        versions=[_version(row["id"], row["title"], row["text"]) for row in _rows(folder / "docs.jsonl.gz")],
        queries={row["id"]: row["question"] for row in questions},
        qrels={row["id"]: dict.fromkeys(row.get("doc_ids") or [row["doc_id"]], 1) for row in questions},
        # CLAPnq's answers are sentences written by people: no passage need contain one.
        answers={row["id"]: tuple(row["answers"]) for row in questions if "supporting_sentences" not in row},
    )


def _cranfield(folder: Path) -> RetrievalSet:
    """The two empty documents are left out, and so are queries without a relevant document."""
    qrels: dict[str, dict[str, int]] = {}
    for row in _rows(folder / "qrels.jsonl.gz"):
        qrels.setdefault(row["query_id"], {})[row["doc_id"]] = row["grade"]
    judged = {query: grades for query, grades in qrels.items() if any(grade > 0 for grade in grades.values())}
    return RetrievalSet(
        name=folder.name,
        versions=[
            _version(row["id"], row["title"], row["text"])
            for row in _rows(folder / "docs.jsonl.gz")
            if row["text"].strip()
        ],
        queries={row["id"]: row["text"] for row in _rows(folder / "queries.jsonl.gz") if row["id"] in judged},
        qrels=judged,
    )


def _medquad(folder: Path) -> RetrievalSet:
    """A seeded sample of answers, and of the questions to them. The topic is no title here: it would give the question away."""
    generator = random.Random(SEED)
    answers = generator.sample(_rows(folder / "medquad.jsonl.gz"), MEDQUAD_ANSWERS)
    asked = generator.sample(answers, MEDQUAD_QUESTIONS)
    return RetrievalSet(
        name=folder.name,
        versions=[_version(row["id"], "", row["answer"]) for row in answers],
        queries={row["id"]: row["question"] for row in asked},
        qrels={row["id"]: {row["id"]: 1} for row in asked},
    )


SETS: Mapping[str, Callable[[Path], RetrievalSet]] = {
    "postgresql15_docs": _questions,
    "clapnq_dev": _questions,
    "cranfield": _cranfield,
    "xquad_en": _questions,
    "medquad": _medquad,
}
"""The sets of the benchmark and how each is read."""


def _version(name: str, title: str, text: str) -> DocumentVersion:
    content = text.encode("utf-8")
    parsed = txt.parse(content, Limits())
    return DocumentVersion(
        document=name,
        version=hashlib.sha256(content).hexdigest(),
        source="bench",
        media_type="text/plain",
        title=title.replace("_", " "),
        text=parsed.text,
        access=Access(allow=(EVERYONE,)),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        headings=parsed.headings,
        blocks=parsed.blocks,
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
