from dataclasses import replace

import pytest
from worked import own_cases, shared_cases

from steelyard.decision.facts import facts_from_json
from steelyard.decision.flips import flips
from steelyard.decision.recommend import recommend
from steelyard.decision.unknowns import known, missing
from steelyard.decision.verdict import judge

CASES = [case for case in [*own_cases(), *shared_cases()] if not case["facts"].get("components")][::3]


def applied(facts, flip):
    name, _, part = flip.input.partition(".")
    if name == "measured":
        return replace(facts, measured=replace(facts.measured, scores={**facts.measured.scores, part: flip.to_value}))
    if name == "team_skills":
        return replace(facts, team_skills=replace(facts.team_skills, **{part: flip.to_value}))
    return known(facts, flip.input, flip.to_value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_flip_really_gives_the_verdict_it_names(case):
    facts = facts_from_json(case["facts"]).components[0]
    if missing(facts):
        pytest.skip("with gaps, flips are answers to them")
    decision = recommend(facts)
    for flip in decision.flips:
        verdict = judge(applied(facts, flip)).verdict
        assert verdict == flip.becomes, flip
        assert verdict != decision.recommendation


def test_a_flip_in_volume_is_the_nearest_one():
    facts = facts_from_json(
        {
            "queries_per_month": 300_000,
            "knowledge_update_per_year": 1,
            "behaviour": "facts",
            "needs_citations": False,
            "needs_audit": False,
            "per_user_scoping": False,
            "corpus_tokens": 2_000_000,
            "latency_budget_ms": 3000,
            "examples_count": 50_000,
            "prompt_examples_tokens": 0,
            "team_skills": {"mlops": True, "ir_ops": True},
            "measured": {"metric": "accuracy", "target": 0.9, "rag": 0.92, "fine_tune": 0.92},
        }
    ).components[0]
    verdict = judge(facts).verdict
    assert verdict == "rag"
    found = next(flip for flip in flips(facts, verdict) if flip.input == "queries_per_month")
    at = float(found.to_value)
    assert at > 300_000
    assert judge(known(facts, "queries_per_month", 0.93 * at)).verdict == "rag"  # just below it still holds


def test_gaps_flip_to_the_answers_that_would_decide():
    facts = facts_from_json({"behaviour": "facts", "queries_per_month": 50_000}).components[0]
    decision = recommend(facts)
    assert all(flip.from_value is None for flip in decision.flips)
