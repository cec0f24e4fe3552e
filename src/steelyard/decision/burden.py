"""What running a recommendation brings: jobs, hours and skills, for the team as it is."""

from __future__ import annotations

from steelyard.decision.ranges import WIDE
from steelyard.schema.decision import Burden, Facts
from steelyard.schema.economics import exact
from steelyard.schema.items import Approach

RETRIEVAL_SKILL = "retrieval operations: ingestion, freshness, index, retrieval quality"
MODEL_SKILL = "model operations: datasets, training, evaluation, deployment, rollback"

RETRAINS_A_YEAR = 1.0
"""A behaviour that is tuned beside retrieval is trained again about once a year."""


def burden(facts: Facts, approach: Approach) -> Burden:
    """Jobs and hours a month that `approach` brings at this update rate, ranges at their middle; skills not yet carried."""
    changes = (facts.knowledge_update_per_year or 0.0) / 12
    option = WIDE.option(approach)
    if approach == "hybrid":
        hours = 0.8 * float(
            exact(WIDE.option("rag").operations_hours_per_month)
            + exact(WIDE.option("fine_tune").operations_hours_per_month)
        )
        hours += RETRAINS_A_YEAR / 12 * float(exact(option.retrain_hours))
    else:
        hours = float(exact(option.operations_hours_per_month))
    hours += changes * float(exact(option.update_hours))
    jobs, count = _jobs(approach, changes)
    skills = facts.team_skills
    to_build = []
    if approach in ("rag", "hybrid") and skills.ir_ops is False:
        to_build.append(RETRIEVAL_SKILL)
    if approach in ("fine_tune", "hybrid") and skills.mlops is False:
        to_build.append(MODEL_SKILL)
    return Burden(jobs_per_month=count, hours_per_month=hours, jobs=jobs, skills_to_build=tuple(to_build))


def _jobs(approach: Approach, changes: float) -> tuple[tuple[str, ...], float]:
    """The recurring jobs with how often each comes in a month, and their number together."""
    table: dict[str, list[tuple[str, float]]] = {
        "prompt": [("edit the prompt and check it on the gold cases", changes), ("review answers and spend", 1.0)],
        "rag": [
            ("re-index what changed", changes),
            ("score retrieval on the gold questions", 1.0),
            ("check freshness and spend", 1.0),
        ],
        "fine_tune": [
            ("label, retrain, evaluate and ship", changes),
            ("check drift and out-of-scope requests", 1.0),
            ("review answers and spend", 1.0),
        ],
        "hybrid": [
            ("re-index what changed", changes),
            ("score retrieval on the gold questions", 1.0),
            ("label, retrain, evaluate and ship", RETRAINS_A_YEAR / 12),
            ("check drift, freshness and spend", 1.0),
        ],
    }
    rows = [(job, often) for job, often in table[approach] if often > 0]
    return tuple(f"{job} ({often:.2g} a month)" for job, often in rows), sum(often for _, often in rows)
