"""The search benchmark: how near a race over configurations comes to the best of the whole grid, and at what share of the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from steelyard.corpus.passages import SplitSettings
from steelyard.evaluation.bench_chunking import CUTS, bounded_part
from steelyard.evaluation.config_search import BUDGET, grid, race
from steelyard.evaluation.retrieval_lab import GoldQuestion, RetrievalLab
from steelyard.evaluation.retrieval_sets import SETS, RetrievalSet, load_retrieval_set
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.scope import Scope
from steelyard.schema.search import Configuration

Progress = Callable[[int, int], None]

MEASURED = 1
"""Which half of the queries is asked: the one that did not choose how a race goes."""

SEEDS = 20
"""Races, each with another order of the questions."""


def bench_search(data_root: Path, cache: Path, progress: Progress) -> dict[str, Any]:
    """Race on every set in `data_root`; the result is `{"name": "search", "rows": [...]}`.

    The grid is five cuts by eleven weights. The race's own rules (how many configurations on how many questions) were chosen on the first
    half of the queries, so it is measured on the second. A row has the grid's best mean nDCG@10, what the race's winner reaches on the
    same questions as a share of it (mean and lowest of 20 races), and the share of the grid's evaluations that the race took (the
    highest), the comparison with the default cut included. `broken` counts races with a constraint (the cut of the unconstrained winner
    is forbidden) whose winner broke it; `over` those that took more than a fifth of the evaluations.
    """
    encoder = CachedEncoder(load_encoder("minilm"), cache / "vectors.sqlite")
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(SETS):
        progress(place, len(SETS))
        if not (data_root / name).is_dir():
            rows.append({"set": name, "missing": f"no folder {name} in the data folder"})
            continue
        rows.append(measure_set(bounded_part(load_retrieval_set(data_root / name), MEASURED), encoder))
    progress(len(SETS), len(SETS))
    return {"name": "search", "rows": rows}


def measure_set(data: RetrievalSet, encoder: CachedEncoder) -> dict[str, Any]:
    """One row; see `bench_search`."""
    questions = [
        GoldQuestion(
            id=query, text=text, scope=Scope(), documents=[one for one, grade in data.qrels[query].items() if grade > 0]
        )
        for query, text in data.queries.items()
    ]
    questions = [one for one in questions if one.documents]
    lab = RetrievalLab(data.versions, questions, encoder)
    names = [one.id for one in questions]
    everything = grid([(cut.size, cut.overlap) for cut in CUTS])
    table = {one: dict(zip(names, lab.score(one, names), strict=True)) for one in everything}
    means = {one: fmean(scores.values()) for one, scores in table.items()}
    best = max(means, key=lambda one: means[one])

    def score(one: Configuration, asked: object) -> list[float]:
        return [table[one][name] for name in asked]  # type: ignore[attr-defined]

    usual = SplitSettings()
    in_use = (usual.size, usual.overlap)
    races = [race(everything, names, score, lambda _: None, seed=seed, in_use=in_use) for seed in range(SEEDS)]
    shares = [means[found.best] / means[best] for found in races if found is not None]
    work = [found.evaluations / (len(everything) * len(names)) for found in races if found is not None]
    forbidden = [
        race(everything, names, score, lambda one: "cut" if one.cut == best.cut else None, seed=seed)
        for seed in range(SEEDS)
    ]
    return {
        "set": data.name,
        "questions": len(names),
        "configurations": len(everything),
        "grid_best": round(means[best], 4),
        "grid_worst": round(min(means.values()), 4),
        "race_share_mean": round(fmean(shares), 4),
        "race_share_lowest": round(min(shares), 4),
        "races_at_98": sum(share >= 0.98 for share in shares),
        "races": len(shares),
        "evaluations_share": round(max(work), 4),
        "over": sum(share > BUDGET for share in work),
        "broken": sum(found is not None and found.best.cut == best.cut for found in forbidden),
    }
