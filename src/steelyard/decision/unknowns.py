"""Facts that nobody has given: what they plausibly are, and which of them could change the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from steelyard.decision.verdict import Judgement, judge
from steelyard.schema.decision import Facts, TeamSkills, Verdict

COMPLETIONS = 24
"""Ways in which the gaps are filled; enough to tell a verdict that three quarters of them share."""

SEED = 8

QUESTIONS: tuple[str, ...] = (
    "knowledge_update_per_year",
    "needs_citations",
    "behaviour",
    "queries_per_month",
    "per_user_scoping",
    "needs_audit",
    "corpus_tokens",
    "examples_count",
    "prompt_examples_tokens",
    "latency_budget_ms",
    "team_skills",
)
"""Facts that are asked for when missing; the first three decide most cases and are asked first."""

THREE_QUESTIONS = QUESTIONS[:3]

Plausible = tuple[tuple[Any, float], ...]

PLAUSIBLE: Mapping[str, Plausible] = {
    "knowledge_update_per_year": ((1.0, 0.3), (4.0, 0.15), (12.0, 0.2), (52.0, 0.2), (365.0, 0.15)),
    "needs_citations": ((False, 0.65), (True, 0.35)),
    "behaviour": (("facts", 0.5), ("classification", 0.2), ("style", 0.15), ("format", 0.15)),
    "queries_per_month": ((5e3, 0.25), (5e4, 0.3), (5e5, 0.25), (4e6, 0.2)),
    "per_user_scoping": ((False, 0.75), (True, 0.25)),
    "needs_audit": ((False, 0.8), (True, 0.2)),
    "latency_budget_ms": ((3000.0, 0.75), (800.0, 0.15), (150.0, 0.1)),
}
"""Values a missing fact may have, with how likely each is: rough, stated, and only used to see whether it matters."""

CORPUS_OF_FACTS: Plausible = ((20_000.0, 0.15), (300_000.0, 0.15), (3_000_000.0, 0.45), (60_000_000.0, 0.25))
CORPUS_OF_BEHAVIOUR: Plausible = ((0.0, 0.8), (2_000_000.0, 0.2))
EXAMPLES_OF_FACTS: Plausible = ((0, 0.6), (2_000, 0.2), (30_000, 0.2))
EXAMPLES_OF_BEHAVIOUR: Plausible = ((20, 0.2), (300, 0.2), (3_000, 0.35), (30_000, 0.25))
PROMPT_EXAMPLES: Plausible = ((500.0, 0.4), (3_000.0, 0.4), (20_000.0, 0.2))
NOTHING: Plausible = ((0.0, 1.0),)
SKILLS = tuple((TeamSkills(mlops=mlops, ir_ops=ir_ops), 0.25) for mlops in (True, False) for ir_ops in (True, False))


def missing(facts: Facts) -> tuple[str, ...]:
    """The facts nobody gave, in the order in which they are asked for."""
    return tuple(key for key in QUESTIONS if _is_missing(facts, key))


def _is_missing(facts: Facts, key: str) -> bool:
    if key == "team_skills":
        return facts.team_skills.mlops is None or facts.team_skills.ir_ops is None
    return getattr(facts, key) is None


def known(facts: Facts, key: str, value: Any) -> Facts:
    """The facts with one of them given or changed."""
    changes: dict[str, Any] = {key: value}
    return replace(facts, **changes)


def plausible(facts: Facts, key: str) -> Plausible:
    """The values a missing fact may have, given the kind of behaviour."""
    of_facts = facts.behaviour == "facts"
    if key == "corpus_tokens":
        return CORPUS_OF_FACTS if of_facts or facts.behaviour == "mixed" else CORPUS_OF_BEHAVIOUR
    if key == "examples_count":
        return EXAMPLES_OF_FACTS if of_facts else EXAMPLES_OF_BEHAVIOUR
    if key == "prompt_examples_tokens":
        return NOTHING if of_facts else PROMPT_EXAMPLES
    if key == "team_skills":
        known = facts.team_skills
        fits = [
            (skills, share)
            for skills, share in SKILLS
            if known.mlops in (None, skills.mlops) and known.ir_ops in (None, skills.ir_ops)
        ]
        return tuple(fits)
    return PLAUSIBLE[key]


def completions(facts: Facts) -> tuple[Facts, ...]:
    """The facts with their gaps filled in plausible ways, always the same ones; just the facts where there is no gap."""
    if not missing(facts):
        return (facts,)
    stream = Random(SEED)
    return tuple(_completed(facts, stream) for _ in range(COMPLETIONS))


def _completed(facts: Facts, stream: Random) -> Facts:
    # The behaviour first: what is plausible for a corpus or for examples hangs on it.
    for key in ("behaviour", *missing(facts)):
        # A number is taken from the stream for known facts too, so that an answer does not reshuffle the other gaps.
        position = stream.random()
        if _is_missing(facts, key):
            facts = known(facts, key, _pick(plausible(facts, key), position))
    return facts


def _pick(values: Plausible, position: float) -> Any:
    total = sum(share for _, share in values)
    for value, share in values:
        position -= share / total
        if position < 0:
            return value
    return values[-1][0]


def verdicts(facts: Facts) -> tuple[Judgement, ...]:
    """The judgement of every completion."""
    return tuple(judge(one) for one in completions(facts))


def share_of(judgements: tuple[Judgement, ...]) -> tuple[Verdict, float]:
    """The verdict that most completions share, and their share."""
    counts = Counter(one.verdict for one in judgements)
    verdict, most = counts.most_common(1)[0]
    return verdict, most / len(judgements)


def effects(facts: Facts) -> dict[str, float]:
    """How often knowing a missing fact would change the verdict, per fact; those that never would are left out.

    The probability that another plausible value gives another verdict than the one most of the other values give, all other
    gaps filled alike; the order is that of the questions.
    """
    found: dict[str, float] = {}
    samples = completions(facts)[:8]
    for key in missing(facts):
        changed = 0.0
        for sample in samples:
            weights: dict[Verdict, float] = {}
            for value, share in plausible(sample, key):
                verdict = judge(known(sample, key, value)).verdict
                weights[verdict] = weights.get(verdict, 0.0) + share
            total = sum(weights.values())
            changed += 1 - max(weights.values()) / total
        if changed > 0:
            found[key] = changed / len(samples)
    return found
