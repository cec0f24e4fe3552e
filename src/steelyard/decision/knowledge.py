"""Criteria about the knowledge: how often it changes, who may see it, how large it is, what must be proved."""

from __future__ import annotations

import math

from steelyard.decision.case import (
    CONTEXT_TOKENS,
    MONTHLY,
    PROMPT_CORPUS_TOKENS,
    QUARTERLY,
    SOME_LABELS,
    Case,
    Opinion,
    between,
)
from steelyard.decision.phrases import count, percent, rate
from steelyard.schema.items import Approach

UPDATE_WEIGHTS = ((4.0, 0.3), (6.0, 0.5), (12.0, 0.8), (52.0, 0.9), (365.0, 1.0))
"""Quarterly is the boundary, monthly is past it, daily decides."""

STABLE_WEIGHTS = ((1.0, 0.35), (2.0, 0.25), (3.0, 0.12), (4.0, 0.0))

CORPUS_WEIGHTS = ((5e6, 0.1), (5e7, 0.4), (5e8, 0.7))


def update_rate(case: Case) -> Opinion | None:
    """Knowledge that changes quarterly and faster argues for retrieval; a small corpus in a prompt is as fresh."""
    updates = case.facts.knowledge_update_per_year
    if updates is None or updates < (QUARTERLY if case.needs_knowledge else MONTHLY):
        return None
    weight = between(updates, UPDATE_WEIGHTS)
    pushes: dict[Approach, float] = {"rag": weight}
    if case.needs_both:
        pushes["hybrid"] = weight
    if case.fits_prompt:
        pushes["prompt"] = weight
    if not case.needs_knowledge:
        pushes["fine_tune"] = -0.5 * weight
        if (case.facts.examples_count or 0.0) >= SOME_LABELS and not case.facts.corpus_tokens:
            pushes["prompt"] = 0.4 * weight  # with that many examples the right ones are looked up for each request
        because = f"The scheme itself changes {rate(updates)}: new examples in an index or a prompt work at once, a tuned model waits."
    elif updates < MONTHLY:
        because = f"The knowledge changes {rate(updates)}, the boundary: each change would be a retraining with its labels and checks."
    else:
        because = (
            f"The knowledge changes {rate(updates)}; a new model each time is impractical, a new index entry is not."
        )
    return Opinion(argues_for="rag", weight=weight, because=because, pushes=pushes)


def stable_data(case: Case) -> Opinion | None:
    """Knowledge that changes less than quarterly makes tuning possible."""
    updates = case.facts.knowledge_update_per_year
    if updates is None or updates >= QUARTERLY or not case.needs_knowledge:
        return None
    weight = between(max(updates, 1.0), STABLE_WEIGHTS)
    if case.works("fine_tune"):
        weight *= 0.3  # possible is not yet better: once a pilot shows that it works, money and quality speak
    return Opinion(
        argues_for="fine_tune",
        weight=weight,
        because=f"The knowledge changes {rate(updates)}, so retraining does not dominate the cost: fine-tuning is possible.",
        pushes={"fine_tune": weight},
    )


def provenance(case: Case) -> Opinion | None:
    """Citations and audit exclude weights: they cannot say where an answer came from."""
    facts = case.facts
    if not case.cites:
        if not facts.needs_audit:
            return None
        return Opinion(
            argues_for="fine_tune",
            weight=0.0,
            because="Audit is required, but no knowledge is looked up: kept model versions and logged inputs are the proof.",
            kind="soft",
        )
    duty = " and ".join(
        word
        for word, wanted in (("cite sources", facts.needs_citations), ("stand an audit", facts.needs_audit))
        if wanted
    )
    why = f"Answers must {duty}; tuned weights cannot show where an answer came from."
    pushes: dict[Approach, float] = {"rag": 0.9}
    if case.needs_both:
        pushes["hybrid"] = 0.9
    tail = " Audit also needs every index version kept." if facts.needs_audit else ""
    return Opinion(
        argues_for="rag",
        weight=1.0,
        because=f"Answers must {duty}, which is natural with retrieval and almost impossible from weights.{tail}",
        pushes=pushes,
        excludes={"fine_tune": why},
    )


def scoping(case: Case) -> Opinion | None:
    """Different readers, different slices: a filter at query time, never a model or a prompt for everyone."""
    if not case.facts.per_user_scoping:
        return None
    if not case.needs_knowledge:
        return Opinion(
            argues_for="fine_tune",
            weight=0.0,
            because="Users see different slices, but nothing is looked up here: scoping concerns knowledge, not style or labels.",
            kind="soft",
        )
    pushes: dict[Approach, float] = {"rag": 0.9}
    if case.needs_both:
        pushes["hybrid"] = 0.9
    return Opinion(
        argues_for="rag",
        weight=1.0,
        because="Users may see different parts of the knowledge; a filter at query time does that, a model per user does not scale.",
        pushes=pushes,
        excludes={
            "fine_tune": "One model for all users cannot hide what some of them may not see.",
            "prompt": "One prompt with the whole corpus shows every user everything.",
        },
    )


def erasure(case: Case) -> Opinion | None:
    """What must be deletable cannot be in weights."""
    if not case.facts.needs_erasure:
        return None
    pushes: dict[Approach, float] = {"rag": 0.6} if case.needs_knowledge else {"prompt": 0.4}
    return Opinion(
        argues_for="rag" if case.needs_knowledge else "prompt",
        weight=1.0,
        because="Personal data must be deletable on request; an index entry can be deleted, weights cannot forget.",
        pushes=pushes,
        excludes={"fine_tune": "Weights cannot forget personal data they were trained on."}
        if case.needs_knowledge
        else {},
        kind="hard" if case.needs_knowledge else "soft",
    )


def residency(case: Case) -> Opinion | None:
    """Data that may not leave asks for local models, whatever the approach; retrieval keeps it out of weights as well."""
    if not case.facts.needs_residency:
        return None
    winner: Approach = "rag" if case.needs_knowledge else "fine_tune"
    return Opinion(
        argues_for=winner,
        weight=0.2,
        because="The data may not leave your machines: only models that run there count, hosted tuning and hosted prompts do not.",
        pushes={winner: 0.2},
        kind="soft",
    )


def corpus_size(case: Case) -> Opinion | None:
    """A corpus beyond a few million tokens is retrieved from; beyond the context it cannot be prompted."""
    corpus = case.facts.corpus_tokens or 0.0
    if not case.needs_knowledge or corpus <= PROMPT_CORPUS_TOKENS:
        return None
    weight = between(corpus, CORPUS_WEIGHTS) if corpus >= CORPUS_WEIGHTS[0][0] else 0.1
    pushes: dict[Approach, float] = {"rag": weight}
    if case.needs_both:
        pushes["hybrid"] = weight
    excludes: dict[Approach, str] = {}
    if corpus > CONTEXT_TOKENS and not case.works("prompt"):
        excludes["prompt"] = f"{count(corpus)} tokens do not fit a prompt ({count(CONTEXT_TOKENS)} at most)."
    return Opinion(
        argues_for="rag",
        weight=weight,
        because=f"{count(corpus)} tokens of knowledge are too much for a prompt, and more than training puts into weights reliably.",
        pushes=pushes,
        excludes=excludes,
        kind="soft",
    )


def small_corpus(case: Case) -> Opinion | None:
    """A corpus that fits a cached prompt needs neither an index nor training; at high volume the price decides."""
    corpus = case.facts.corpus_tokens
    asks = case.facts.behaviour == "facts" or case.needs_both or bool(corpus)
    if corpus is None or not asks or corpus > CONTEXT_TOKENS or case.facts.per_user_scoping:
        return None
    if case.meets("prompt") is False:
        return None
    cheaper = case.money.p_cheaper("prompt", "rag")
    fit = between(max(corpus, 1.0), ((1e5, 1.0), (2e5, 0.6), (4e5, 0.0)))
    weight = 0.9 * fit * max(0.0, 2 * cheaper - 1) * (0.3 if case.cites else 1.0) * (0.5 if case.needs_both else 1.0)
    if case.works("rag") and "prompt" not in case.scores:
        weight *= 0.5
    if weight < 0.02:
        return None
    return Opinion(
        argues_for="prompt",
        weight=weight,
        because=f"All {count(corpus)} tokens fit a cached prompt, cheaper than an index in {percent(cheaper)} of the draws.",
        pushes={"prompt": weight},
    )


def facts_in_weights(case: Case) -> Opinion | None:
    """New facts enter weights badly; a measurement that shows otherwise silences this."""
    if (
        not case.needs_knowledge
        or case.works("fine_tune")
        or case.facts.behaviour in ("style", "format", "classification")
    ):
        return None
    because = "Facts are learned badly by tuning: a study of five services found 37 % of new facts and 19 % of changed ones learned."
    return Opinion(argues_for="against fine_tune", weight=0.5, because=because, pushes={"fine_tune": -0.5})


def refusal(case: Case) -> Opinion | None:
    """Where declining matters, retrieval can see that nothing was found."""
    if not case.facts.needs_refusal or not case.needs_knowledge:
        return None
    return Opinion(
        argues_for="rag",
        weight=0.4,
        because="It must decline when the answer is not there: a study found 52 % right refusals with retrieval, 17 % once tuned.",
        pushes={"rag": 0.4, "hybrid": 0.1} if case.needs_both else {"rag": 0.4},
    )


def default(case: Case) -> Opinion | None:
    """Documentation, support, research, look-up: retrieval unless something argues otherwise."""
    if case.facts.behaviour != "facts" or (case.works("fine_tune") and case.works("rag")):
        return None
    return Opinion(
        argues_for="rag",
        weight=0.2,
        because="Answering from documents is retrieval's home ground: fine-tuning has to be argued for.",
        pushes={"rag": 0.2},
    )


def base_model_end(case: Case) -> Opinion | None:
    """A base model that ends inside the horizon forces a migration of what was tuned on it."""
    ends = case.facts.base_model_ends_in_months
    horizon = case.facts.horizon_months or 24
    if ends is None or ends >= horizon:
        return None
    weight = 0.3 * (1 + math.floor((horizon - ends) / 12)) / 2
    return Opinion(
        argues_for="rag",
        weight=min(weight, 0.5),
        because=f"The base model for tuning ends in {ends:.0f} months, inside the {horizon}-month horizon: a forced migration.",
        pushes={"fine_tune": -min(weight, 0.5)},
    )
