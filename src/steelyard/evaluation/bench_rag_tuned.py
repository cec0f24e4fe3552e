"""The fourth cell: retrieval with a reader and a reranker tuned on the team's questions, against retrieval as it comes."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.candidates.answer_rag import RagAnswer, RagHybrid, RagRerank, RagTuned
from steelyard.components.quotes import spans_of
from steelyard.corpus.passages import split
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_answer import (
    FRACTIONS,
    AnswerSet,
    Build,
    difference_of,
    interval_of,
    load_set,
    milliseconds_of,
    scores_of,
    tools_of,
)
from steelyard.evaluation.retrieval_sets import load_retrieval_set
from steelyard.evaluation.run import request_of, scope_of
from steelyard.metrics.scores import Score, Unscored
from steelyard.metrics.statistics import paired_p_value
from steelyard.models.loading import load_minilm
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.items import Item, Split
from steelyard.schema.outputs import Output

SETS = ("medquad", "postgresql15_docs", "clapnq_dev")
CANDIDATES: tuple[Build, ...] = (RagHybrid, RagRerank, RagTuned)

SETS_VARIABLE = "STEELYARD_BENCH_SETS"
"""Sets to run, comma-separated (default all)."""

BUDGET_S = 150.0
"""What each fit may take: with the rest, a set takes a core about ten minutes."""

SHORTEST_ANSWER = 20
"""Characters of a sentence of medquad that counts as an answer: a shorter one ("Yes.") says nothing."""

STEPS = 100  # of progress for each candidate of a set


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A candidate's scores on the test questions by metric, how long it fitted and answered, and what it learned."""

    name: str
    scores: Mapping[str, Sequence[Score]]
    fit_s: float
    milliseconds: Mapping[str, float]
    learned: Mapping[str, Any]


def bench_rag_tuned(data_root: Path, cache: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Measure every set in `data_root`; `{"name": "rag-tuned", "rows": [...]}`, one row for each set and candidate.

    Half of the questions are test questions, the same as in `answer`. Of the other half three quarters are learned from and one
    quarter chooses. Everything is fitted before a test question is asked, and each is asked once of each candidate. `cache` keeps
    vectors by content. STEELYARD_BENCH_SETS names the sets to run; each row says its set as its `part`. See `measure_set` for
    the columns.
    """
    wanted = [name for name in os.environ.get(SETS_VARIABLE, "").split(",") if name] or SETS
    cached = CachedEncoder(load_minilm(), cache / "vectors.sqlite")
    rows: list[dict[str, Any]] = []
    total = len(wanted) * len(CANDIDATES) * STEPS
    for place, name in enumerate(name for name in SETS if name in wanted):
        done = place * len(CANDIDATES) * STEPS
        progress(done, total)
        if (data_root / name).is_dir():
            told = _from(done, lambda at: progress(at, total))
            found = measure_set(_learning_more(_load(data_root / name)), cached, told)
            rows += [{"part": name} | row for row in found]
        else:
            rows.append({"part": name, "set": name, "missing": f"no folder {name} in the data folder"})
    progress(total, total)
    return {"name": "rag-tuned", "rows": rows}


def measure_set(data: AnswerSet, cached: CachedEncoder, progress: Callable[[int], None]) -> list[dict[str, Any]]:
    """The rows of one set.

    `containment` is as in `answer`; on medquad of a sentence of the answer that belongs to the question. `right_page` is how often
    the quote is of the document that answers, `first_page` how often the first passage is. `difference` is containment less that
    of `rag-hybrid`, paired and clustered by document, `p` its p-value. `level` is what fitting chose to learn, `notes` what it
    compared. Milliseconds are of one thread, `cold` before a passage was read.
    """
    vectors = cached.encode([passage.search_text for passage in data.passages])
    cached.encode([item.text for part in (data.questions.train, data.questions.validation) for item in part])
    measured = []
    for place, kind in enumerate(CANDIDATES):
        measured.append(_measure(data, kind, cached, vectors, _from(place * STEPS, progress)))
        progress((place + 1) * STEPS)
    return [_row(data, one, measured[0]) for one in measured]


def _measure(
    data: AnswerSet, kind: Build, cached: CachedEncoder, vectors: Any, progress: Callable[[int], None]
) -> _Measured:
    learning = replace(
        tools_of(data, vectors, cached),
        budget_s=BUDGET_S,
        progress=lambda done, total: progress(STEPS * done // max(1, total) // 2),
    )
    begun = perf_counter()
    fitted = kind(learning).fit(data.questions.train, data.questions.validation)
    fit_s = perf_counter() - begun
    serving = tools_of(data, vectors, load_minilm(threads=1))
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        served: RagAnswer = kind(serving).load(Path(folder))
    items = data.questions.holdout
    # Timed first, on a reader that has read nothing; the scores then come from the same object that serves.
    milliseconds = milliseconds_of(served.predict, items)
    outputs = [served.predict(request_of(item), scope_of(item)) for item in items]
    scores = scores_of(items, outputs, data)
    scores["right_page"] = [_page(item, _quoted(output)) for item, output in zip(items, outputs, strict=True)]
    scores["first_page"] = [
        _page(item, output.hits[0].passage.document if output.hits else None)
        for item, output in zip(items, outputs, strict=True)
    ]
    return _Measured(
        name=served.name, scores=scores, fit_s=fit_s, milliseconds=milliseconds, learned=dict(fitted.learned)
    )


def _row(data: AnswerSet, one: _Measured, base: _Measured) -> dict[str, Any]:
    items = data.questions.holdout
    clusters = [item.source for item in items]
    pairs = zip(one.scores["containment"], base.scores["containment"], strict=True)
    differences = [difference_of(ours, theirs) for ours, theirs in pairs]
    notes = {name: value for name, value in one.learned.items() if name != "level"}
    row: dict[str, Any] = {"set": data.name, "candidate": one.name}
    for metric in ("containment", "right_page", "first_page", "accuracy"):
        row |= interval_of(metric, one.scores[metric], clusters)
    return {
        **row,
        **interval_of("difference", differences, clusters),
        "p": round(paired_p_value(differences, clusters), 4),
        "level": one.learned["level"],
        "fit_s": round(one.fit_s, 1),
        **one.milliseconds,
        "train": len(data.questions.train),
        "validation": len(data.questions.validation),
        "questions": len(items),
        "passages": len(data.passages),
        "notes": json.dumps(notes, sort_keys=True),
    }


def _from(start: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: progress(start + done)


def _page(item: Item, document: str | None) -> Score:
    if not item.answerable:
        return Unscored("the question has no answer")
    return float(document == item.source)


def _quoted(output: Output) -> str | None:
    return output.citations[0].document if output.citations else None


def _learning_more(data: AnswerSet) -> AnswerSet:
    """The set with half of its validation rows among the train rows; the test rows stay as they are."""
    questions = data.questions
    moved, kept = questions.validation[0::2], questions.validation[1::2]
    return replace(data, questions=replace(questions, train=(*questions.train, *moved), validation=kept))


def _load(folder: Path) -> AnswerSet:
    return _medquad(folder) if folder.name == "medquad" else load_set(folder)


def _medquad(folder: Path) -> AnswerSet:
    """The retrieval set of this name; any sentence of a question's own answer counts as its answer."""
    found = load_retrieval_set(folder)
    texts = {version.document: version.text for version in found.versions}
    with gzip.open(folder / "medquad.jsonl.gz", "rt", encoding="utf-8") as lines:
        topics = {row["id"]: row["focus"] for row in map(json.loads, lines) if row["id"] in found.queries}
    items = []
    for name, question in found.queries.items():
        source = next(iter(found.qrels[name]))
        spans = [texts[source][span.start : span.end] for span in spans_of(texts[source]) if span.kind != "label"]
        sentences = tuple(span for span in spans if len(span) >= SHORTEST_ANSWER)
        # Questions about one illness differ in a word or two: they stay on one side of the split.
        items.append(
            Item(
                id=name,
                task="answer",
                text=question,
                answers=sentences or (texts[source],),
                source=source,
                group=topics[name],
            )
        )
    cut: Split = split_items(items, fractions=FRACTIONS)
    return AnswerSet(
        name=folder.name,
        versions={(version.document, version.version): version for version in found.versions},
        passages=[passage for version in found.versions for passage in split(version)],
        questions=cut,
    )
