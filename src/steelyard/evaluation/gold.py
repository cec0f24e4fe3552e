"""Retrieval quality on gold questions: the ones that name the document which answers them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime

from steelyard.candidates.interface import Search
from steelyard.components.fusion import NEUTRAL_WEIGHT, document_ranking
from steelyard.dataset.split import valid_at
from steelyard.evaluation.run import now, scope_of
from steelyard.metrics.ranking import ndcg, recall
from steelyard.metrics.scores import Score
from steelyard.metrics.statistics import mean_interval
from steelyard.schema.corpus import Generation
from steelyard.schema.items import Item
from steelyard.schema.quality import GenerationQuality

MOST_QUESTIONS = 400
"""More are sampled (seeded): a mean over 400 is known to about 3 points, and costs some seconds a generation."""

PASSAGES = 50
"""Passages that are ranked into documents: enough for ten documents even where one fills the first places."""

SEED = 0


def gold_questions(items: Sequence[Item], at: datetime) -> tuple[Item, ...]:
    """The answerable questions with a source document that hold at `at` (aware), in order, at most MOST_QUESTIONS."""
    gold = [item for item in valid_at(items, at) if item.answerable and item.source is not None]
    if len(gold) > MOST_QUESTIONS:
        chosen = {item.id for item in random.Random(SEED).sample(gold, MOST_QUESTIONS)}
        gold = [item for item in gold if item.id in chosen]
    return tuple(gold)


def measure_generation(
    component: str,
    made: Generation,
    search: Search,
    questions: Sequence[Item],
    gold: str,
    progress: Callable[[int, int], None],
) -> GenerationQuality:
    """Ask every question as its own asker; documents rank by their best passage.

    Fused with the neutral weight, whatever a candidate has learned: a change in the figures is a change of the documents. A source
    that the generation does not hold is not found, and counts.

    Raises:
        ValueError: there are no questions.
    """
    if not questions:
        raise ValueError("there are no gold questions to measure with")
    run: dict[str, list[str]] = {}
    qrels: dict[str, dict[str, int]] = {}
    for done, item in enumerate(questions, start=1):
        hits = search.fused(item.text, scope_of(item), PASSAGES, NEUTRAL_WEIGHT)
        run[item.id] = [document for document, _ in document_ranking(hits)]
        qrels[item.id] = {str(item.source): 1}
        progress(done, len(questions))
    sources = [str(item.source) for item in questions]

    def figures(scores: dict[str, Score]) -> tuple[float, float, float]:
        found = mean_interval([scores[item.id] for item in questions], sources)
        return round(found.mean, 4), round(found.low, 4), round(found.high, 4)

    recalled, low, high = figures(recall(run, qrels, 5))
    gained, gained_low, gained_high = figures(ndcg(run, qrels, 10))
    return GenerationQuality(
        component=component,
        generation=made.number,
        as_of=made.as_of.isoformat(timespec="seconds"),
        passages=made.passages,
        gold=gold,
        questions=len(questions),
        recall_at_5=recalled,
        recall_low=low,
        recall_high=high,
        ndcg_at_10=gained,
        ndcg_low=gained_low,
        ndcg_high=gained_high,
        measured=now(),
    )
