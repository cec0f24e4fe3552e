import ast
import inspect
from dataclasses import replace

import pytest
from worked import own_cases, shared_cases

from steelyard.decision import behaviour, knowledge, weighing
from steelyard.decision.facts import facts_from_json
from steelyard.decision.money import price
from steelyard.decision.recommend import recommend
from steelyard.decision.unknowns import share_of, verdicts
from steelyard.decision.verdict import judge
from steelyard.schema.decision import Facts, Pilot, TeamSkills

CASES = [*own_cases(), *shared_cases()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_worked_case_comes_out_as_expected(case):
    got = {one.name: recommend(one).recommendation for one in facts_from_json(case["facts"]).components}
    assert got == case["expected"], case["reasoning"]


REASONS = {
    "V03": ("style_or_format", "fine_tune"),
    "V04": ("many_examples", "fine_tune"),
    "V08": ("update_rate", "rag"),
    "V13": ("scoping", "rag"),
    "V15": ("volume", "rag"),
    "V17": ("target_missed", "rag"),
    "V19": ("volume", "fine_tune"),
    "V20": ("update_rate", "rag"),
    "V30": ("small_corpus", "prompt"),
    "V32": ("prompt_first", "prompt"),
    "V34": ("many_examples", "fine_tune"),
}


@pytest.mark.parametrize(
    "case", [case for case in shared_cases() if case["id"] in REASONS], ids=lambda case: case["id"]
)
def test_shared_cases_come_out_for_the_expected_reason(case):
    criterion, argues_for = REASONS[case["id"]]
    decision = recommend(facts_from_json(case["facts"]).components[0])
    spoken = {reason.criterion: reason for reason in decision.reasons[:6]}
    assert criterion in spoken
    assert spoken[criterion].argues_for == argues_for
    assert spoken[criterion].weight >= 0.3


def test_no_rule_mentions_a_case():
    source = "".join(inspect.getsource(module) for module in (behaviour, knowledge, weighing))
    names = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for case in CASES:
        assert not any(case["id"] in name for name in names)


def full(**changes):
    base = {
        "queries_per_month": 50_000.0,
        "knowledge_update_per_year": 1.0,
        "needs_citations": False,
        "needs_audit": False,
        "per_user_scoping": False,
        "behaviour": "facts",
        "corpus_tokens": 2e6,
        "latency_budget_ms": 3000.0,
        "examples_count": 0,
        "prompt_examples_tokens": 0.0,
        "team_skills": TeamSkills(mlops=True, ir_ops=True),
    }
    return Facts(**{**base, **changes})


@pytest.mark.parametrize("need", ["needs_citations", "needs_audit", "per_user_scoping", "needs_erasure"])
@pytest.mark.parametrize("queries", [1e3, 1e6, 1e9])
def test_a_hard_requirement_excludes_tuned_facts_at_any_volume(need, queries):
    tie = Pilot(metric="accuracy", scores={"rag": 0.9, "fine_tune": 0.99}, target=0.8)
    decision = recommend(full(**{need: True}, queries_per_month=queries, examples_count=90_000, measured=tie))
    assert decision.recommendation == "rag"
    assert "fine_tune" in [one.approach for one in decision.excluded]


@pytest.mark.parametrize("queries", [1e3, 1e6, 1e8])
def test_an_approach_that_misses_its_target_is_never_recommended(queries):
    pilot = Pilot(metric="accuracy", scores={"rag": 0.7, "fine_tune": 0.95}, target=0.9)
    assert recommend(full(queries_per_month=queries, measured=pilot)).recommendation == "fine_tune"
    pilot = Pilot(metric="accuracy", scores={"rag": 0.95, "fine_tune": 0.7}, target=0.9)
    assert recommend(full(queries_per_month=queries, measured=pilot)).recommendation == "rag"


def test_lower_is_better_turns_the_target_round():
    pilot = Pilot(metric="error rate", scores={"rag": 0.02, "fine_tune": 0.2}, target=0.05, lower_is_better=True)
    assert recommend(full(queries_per_month=1e7, measured=pilot)).recommendation == "rag"


def test_a_measured_retrieval_step_over_the_budget_excludes_retrieval():
    decision = recommend(
        full(latency_budget_ms=120.0, retrieval_p95_ms=400.0, examples_count=20_000, queries_per_month=3e6)
    )
    assert {one.approach for one in decision.excluded} >= {"rag"}
    assert decision.recommendation == "fine_tune"


def test_latency_against_daily_change_says_to_measure_the_retrieval_step():
    decision = recommend(full(latency_budget_ms=150.0, knowledge_update_per_year=365.0))
    assert decision.recommendation == "rag"
    assert decision.next_step is not None
    assert "retrieval step" in decision.next_step


def test_updates_never_move_a_verdict_on_facts_towards_tuning():
    tie = Pilot(metric="accuracy", scores={"rag": 0.92, "fine_tune": 0.92}, target=0.9)
    for queries in (3e5, 1e6, 5e6, 2e7):
        leaned = [
            judge(full(queries_per_month=queries, knowledge_update_per_year=updates, measured=tie)).verdict
            for updates in (1.0, 4.0, 12.0, 52.0, 365.0)
        ]
        order = {"fine_tune": 0, "either": 1, "not_enough_evidence": 1, "rag": 2}
        assert [order[one] for one in leaned] == sorted(order[one] for one in leaned)


def test_unknown_facts_lower_the_confidence_or_open_the_verdict():
    known = recommend(
        full(
            queries_per_month=8e6,
            examples_count=40_000,
            measured=Pilot(metric="a", scores={"rag": 0.9, "fine_tune": 0.9}, target=0.8),
        )
    )
    assert known.recommendation == "fine_tune"
    facts = full(
        queries_per_month=8e6,
        examples_count=40_000,
        measured=Pilot(metric="a", scores={"rag": 0.9, "fine_tune": 0.9}, target=0.8),
    )
    unknown = recommend(replace(facts, knowledge_update_per_year=None))
    assert unknown.recommendation == "not_enough_evidence"
    assert unknown.next_step is not None
    assert "knowledge_update_per_year" in unknown.next_step


def test_a_gap_that_cannot_matter_is_ignored():
    facts = full(per_user_scoping=True, needs_citations=None, needs_audit=None, queries_per_month=None)
    verdict, share = share_of(verdicts(facts))
    assert (verdict, share) == ("rag", 1.0)
    assert recommend(facts).recommendation == "rag"


def test_confidence_lies_between_a_half_and_one():
    for case in CASES:
        for one in facts_from_json(case["facts"]).components:
            assert all(0.5 <= judgement.confidence < 1 for judgement in verdicts(one)[:3])


def test_the_same_facts_give_the_same_decision():
    facts = full(queries_per_month=None)
    assert recommend(facts).to_json() == recommend(facts).to_json()


def test_no_next_step_rests_on_a_fact_that_was_made_up():
    facts = Facts(behaviour="facts", knowledge_update_per_year=4.0, needs_citations=False, queries_per_month=900_000.0)
    assert "150 ms" not in (recommend(facts).next_step or "")


def test_at_the_break_even_each_is_the_cheaper_in_half_of_the_draws():
    facts = full(corpus_tokens=5e6)
    even = recommend(facts).break_even_queries_per_month
    assert even is not None
    assert price(replace(facts, queries_per_month=float(even))).p_cheaper("fine_tune", "rag") == pytest.approx(
        0.5, abs=0.01
    )


def test_worse_measured_quality_leaves_no_break_even():
    pilot = Pilot(metric="accuracy", scores={"rag": 0.95, "fine_tune": 0.7})
    assert recommend(full(measured=pilot)).break_even_queries_per_month is None


def test_burden_names_the_skills_the_team_has_to_build():
    decision = recommend(
        full(per_user_scoping=True, knowledge_update_per_year=12.0, team_skills=TeamSkills(mlops=True, ir_ops=False))
    )
    assert decision.burden is not None
    assert any("retrieval operations" in skill for skill in decision.burden.skills_to_build)
    assert decision.burden.jobs_per_month == 3.0  # 12 / 12 index updates + 1 quality check + 1 freshness check


def test_json_has_the_keys_of_the_contract():
    tree = recommend(full()).to_json()
    for key in (
        "recommendation",
        "confidence",
        "reasons",
        "break_even_queries_per_month",
        "p_cheapest",
        "flips",
        "next_step",
    ):
        assert key in tree
    for reason in tree["reasons"]:
        assert {"criterion", "argues_for", "weight", "because"} <= set(reason)
        assert 0 <= reason["weight"] <= 1
        assert reason["because"].endswith(".")
    for flip in tree["flips"]:
        assert {"input", "from", "to", "becomes"} <= set(flip)
    assert abs(sum(tree["p_cheapest"].values()) - 1) < 1e-3
