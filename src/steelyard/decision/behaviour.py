"""Criteria about the behaviour: style, format, labels, examples, and how fast it must come."""

from __future__ import annotations

from steelyard.decision.case import (
    CONTEXT_TOKENS,
    ENOUGH_LABELS,
    FEW_LABELS,
    LATENCY_WEIGHTS,
    MONTHLY,
    PROMPT_CORPUS_TOKENS,
    SOME_LABELS,
    TONE_LABELS,
    Case,
    Opinion,
    between,
)
from steelyard.decision.phrases import count, percent, said
from steelyard.schema.items import Approach

NAMED = {
    "style": "a voice",
    "format": "an output format",
    "classification": "a labelling scheme",
    "mixed": "partly a behaviour",
}

SMALL_VOLUME_WEIGHTS = ((4e3, 1.0), (6e4, 0.0))


def style_or_format(case: Case) -> Opinion | None:
    """A voice, a schema or a labelling scheme belongs in weights, unless prompting was measured to be enough."""
    behaviour = case.facts.behaviour
    if behaviour is None or not case.teaches_behaviour:
        return None
    if any(case.meets(approach) for approach in ("prompt", "rag")):
        # The framework limits tuning to what prompting does not reliably achieve.
        weight, tail = 0.15, " though a simpler approach was measured to reach the target"
    else:
        weight, tail = (
            (0.65 if behaviour == "format" else 0.8),
            ": in weights it is tighter, cheaper and more consistent",
        )
    if not case.needs_knowledge and (case.facts.knowledge_update_per_year or 0.0) >= MONTHLY:
        weight, tail = 0.5 * weight, ", but it changes as fast as facts do"
    target: Approach = "hybrid" if case.needs_both else "fine_tune"
    return Opinion(
        argues_for="fine_tune",
        weight=weight,
        because=f"What is wanted is {NAMED[behaviour]}, not facts{tail}.",
        pushes={target: weight},
    )


def component_split(case: Case) -> Opinion | None:
    """Facts from sources and a behaviour from examples in one component: each part gets its own approach."""
    if not case.needs_both or any(case.meets(approach) for approach in ("prompt", "rag")):
        return None
    labels = case.facts.examples_count
    weight = 0.6 if labels is None or labels >= TONE_LABELS else 0.2
    named = NAMED[case.facts.behaviour or "mixed"]
    because = f"It needs knowledge that is looked up and {named}: retrieval for the one, tuning for the other."
    return Opinion(argues_for="hybrid", weight=weight, because=because, pushes={"hybrid": weight})


def many_examples(case: Case) -> Opinion | None:
    """Examples that are too long or too dear to send with every request argue for tuning."""
    tokens, queries = case.facts.prompt_examples_tokens or 0.0, case.facts.queries_per_month
    if not case.teaches_behaviour or tokens <= 0:
        return None
    if tokens > CONTEXT_TOKENS and not case.works("prompt"):
        why = f"The {count(tokens)} tokens of examples exceed a prompt ({count(CONTEXT_TOKENS)} at most)."
        return Opinion(
            argues_for="fine_tune",
            weight=1.0,
            because=why,
            pushes={"fine_tune": 0.5},
            excludes={"prompt": why},
            kind="hard",
        )
    if queries is None:
        return None
    target: Approach = "hybrid" if case.needs_both else "fine_tune"
    dearer = case.money.p_examples_exceed(target)
    long_prompt = between(tokens, ((2e4, 0.0), (float(PROMPT_CORPUS_TOKENS), 0.5)))
    weight = min(1.0, 0.9 * dearer + long_prompt)
    if weight < 0.02:
        return None
    return Opinion(
        argues_for="fine_tune",
        weight=weight,
        because=f"Examples take {count(tokens)} tokens x {count(queries)} requests = {count(tokens * queries)} tokens a month; "
        f"alone they cost more than {said(target)} does in {percent(dearer)} of the draws.",
        pushes={target: weight},
    )


def label_count(case: Case) -> Opinion | None:
    """Below about 50 examples nothing can be tuned; classification pays from 200 to 500, a tone from 100."""
    labels = case.facts.examples_count
    if labels is None or not case.teaches_behaviour or case.works("fine_tune") or case.works("hybrid"):
        return None
    here: Approach = "hybrid" if case.needs_both else "fine_tune"
    instead: Approach = "rag" if case.needs_both else "prompt"
    if labels < FEW_LABELS:
        why = f"{count(labels)} labelled examples are too few to tune on; about {FEW_LABELS} is the least."
        return Opinion(
            argues_for=instead,
            weight=1.0,
            because=why,
            pushes={instead: 0.6},
            excludes={"fine_tune": why, "hybrid": why},
            kind="hard",
        )
    starts = TONE_LABELS if case.facts.behaviour == "style" else SOME_LABELS
    if labels < starts:
        because = f"{count(labels)} labelled examples carry tuning hardly; it pays from about {starts}. Show the best ones in the prompt."
        return Opinion(argues_for=instead, weight=0.6, because=because, pushes={instead: 0.5, here: -0.5})
    weight = between(labels, ((float(starts), 0.1), (ENOUGH_LABELS * 1.0 + starts, 0.25), (20_000.0, 0.4)))
    because = f"{count(labels)} labelled examples are enough to tune on (it pays from about {starts})."
    return Opinion(argues_for="fine_tune", weight=weight, because=because, pushes={here: weight})


def prompt_first(case: Case) -> Opinion | None:
    """A prompt that reaches the target, or a volume too small to repay anything else, argues for prompting."""
    facts = case.facts
    if case.meets("prompt"):
        assert facts.measured is not None
        pilot = facts.measured
        because = f"Prompting reaches {pilot.scores['prompt']:g} {pilot.metric} where {pilot.target:g} is required."
        # Where facts are looked up as well, the voice that a prompt reaches is put over retrieval.
        pushes: dict[Approach, float] = {"prompt": 0.6, "rag": 0.6} if case.needs_both else {"prompt": 0.6}
        return Opinion(argues_for="prompt", weight=0.6, because=because, pushes=pushes, kind="measured")
    if case.meets("prompt") is False or not case.teaches_behaviour or facts.queries_per_month is None:
        return None
    weight = between(max(facts.queries_per_month, 1.0), SMALL_VOLUME_WEIGHTS)
    if case.someone_works:
        weight *= 0.3
    if weight < 0.02:
        return None
    simple: Approach = "rag" if case.needs_both else "prompt"
    return Opinion(
        argues_for=simple,
        weight=weight,
        because=f"{count(facts.queries_per_month)} requests a month repay no training before a prompt was measured.",
        pushes={simple: weight},
    )


def latency(case: Case) -> Opinion | None:
    """A budget that cannot hold a retrieval step argues for weights; a measured step that misses it excludes retrieval."""
    budget, measured = case.facts.latency_budget_ms, case.facts.retrieval_p95_ms
    if budget is None:
        return None
    if measured is not None and case.needs_knowledge:
        if measured <= budget:
            return None
        why = f"The measured retrieval step takes {count(measured)} ms at the 95th percentile; the budget is {count(budget)} ms."
        return Opinion(
            argues_for="fine_tune",
            weight=1.0,
            because=why,
            pushes={"fine_tune": 0.9},
            excludes={"rag": why, "hybrid": why},
            kind="hard",
        )
    weight = between(budget, LATENCY_WEIGHTS)
    if weight < 0.02:
        return None
    because = (
        f"{count(budget)} ms hardly hold a retrieval step and a longer prompt; a small tuned model answers within it."
    )
    if not case.needs_knowledge:
        because = (
            f"{count(budget)} ms hardly hold a large model with a long prompt; a small tuned model answers within it."
        )
        weight *= 0.8
    return Opinion(argues_for="fine_tune", weight=weight, because=because, pushes={"fine_tune": weight})


def multi_tenant_style(case: Case) -> Opinion | None:
    """Many styles over one base: adapters serve together, if each style has its examples."""
    styles = case.facts.styles_count
    if styles is None or styles < 5 or not case.teaches_behaviour:
        return None
    each = (case.facts.examples_count or 0.0) / styles
    if each < FEW_LABELS:
        because = f"{count(styles)} styles with about {count(each)} examples each: too few for an adapter each, enough for a prompt."
        return Opinion(argues_for="prompt", weight=0.5, because=because, pushes={"prompt": 0.5})
    because = f"{count(styles)} styles with about {count(each)} examples each: one base with an adapter each serves them together."
    return Opinion(argues_for="fine_tune", weight=0.3, because=because, pushes={"fine_tune": 0.3})
