"""The configuration search of `weigh --budget-s`: which cut of the documents and which weight would retrieve best."""

from __future__ import annotations

from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING

from steelyard.components.fusion import NEUTRAL_WEIGHT
from steelyard.evaluation.config_search import grid, race
from steelyard.evaluation.retrieval_lab import GoldQuestion, RetrievalLab
from steelyard.schema.progress import Report
from steelyard.schema.scope import Scope
from steelyard.schema.search import Configuration, Searched

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

OTHER_CUTS = ((600, 0), (1200, 0), (450, 0), (900, 0), (900, 150))
"""Cuts tried beside the one in use, as far as the time allows."""

TIME_SHARE = 1 / 3
"""Share of the budget that the search may take; the candidates get the rest."""

FEWEST_QUESTIONS = 30
STAGE = "search retrieval configurations"


def search_configurations(parts: Parts, component: str, budget_s: float, report: Report) -> Searched | None:
    """Race configurations on the train and validation questions that name their document; nothing of the workspace changes.

    A cut is indexed in memory; one that would probably not fit into a third of the budget is skipped and named. A configuration whose
    search is slower than `[requirements] p95_ms` is never chosen. None without documents or with fewer than 30 such questions.
    """
    toolbox, split = parts.toolbox, parts.examples.split(component)
    questions = [
        GoldQuestion(id=item.id, text=item.text, scope=Scope(groups=item.groups), documents=(item.source,))
        for item in (*split.train, *split.validation)
        if item.answerable and item.source is not None
    ]
    if not toolbox.generation or len(questions) < FEWEST_QUESTIONS:
        return None
    begin = perf_counter()
    lab = RetrievalLab(list(toolbox.library.versions(toolbox.generation)), questions, toolbox.cached_encoder)
    corpus, names = parts.settings.corpus, [one.id for one in questions]
    in_use = (corpus.passage_chars, corpus.overlap_chars)
    cuts, skipped = _affordable(lab, in_use, names[0], budget_s * TIME_SHARE, report)
    limit = parts.settings.requirements.p95_ms

    def broken(one: Configuration) -> str | None:
        slow = lab.p95_ms(one) if limit is not None else 0.0
        return f"p95 {slow:.0f} ms, above {limit:g}" if limit is not None and slow > limit else None

    configurations = grid(cuts)
    raced = race(configurations, names, lab.score, broken, seed=parts.settings.measure.seed, in_use=in_use)
    report(STAGE, len(cuts), len(cuts))
    if raced is None:
        return None
    evaluations, compared = raced.evaluations, raced.in_use
    if (
        compared is None
    ):  # it breaks a constraint, so that it could not race; it is still what the winner is held against
        current = Configuration(size=in_use[0], overlap=in_use[1], dense_weight=raced.best.dense_weight)
        compared = current, fmean(lab.score(current, names))
        evaluations += len(names)
    return Searched(
        best=raced.best,
        ndcg=raced.score,
        current=compared[0],
        current_ndcg=compared[1],
        questions=len(names),
        evaluations=evaluations,
        grid=len(configurations) * len(names),
        seconds=perf_counter() - begin,
        broken=raced.broken,
        skipped=tuple(skipped),
    )


def _affordable(
    lab: RetrievalLab, in_use: tuple[int, int], question: str, seconds: float, report: Report
) -> tuple[list[tuple[int, int]], list[str]]:
    """The cuts indexed within the time, the one in use first, and those that were not."""
    wanted = [in_use, *(cut for cut in OTHER_CUTS if cut != in_use)]
    begin, longest = perf_counter(), 0.0
    done: list[tuple[int, int]] = []
    skipped = []
    for cut in wanted:
        left = seconds - (perf_counter() - begin)
        if done and longest > left:
            skipped.append(f"{cut[0]} characters, overlap {cut[1]}")
            continue
        report(STAGE, len(done), len(wanted))
        start = perf_counter()
        lab.score(Configuration(size=cut[0], overlap=cut[1], dense_weight=NEUTRAL_WEIGHT), [question])
        longest = max(longest, perf_counter() - start)
        done.append(cut)
    return done, skipped
