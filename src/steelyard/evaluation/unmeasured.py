"""Candidates that need a generator: listed as not measured, with their cost from measured token counts and dated prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.candidates import CANDIDATES
from steelyard.candidates.answer_generated import CONTEXT_PASSAGES
from steelyard.candidates.classify_prompted import FEW_SHOTS, RETRIEVED_SHOTS
from steelyard.candidates.write_prompted import SHOWN_REPLIES
from steelyard.config import EconomicsSettings
from steelyard.economics.prices import load_prices
from steelyard.evaluation.bakeoff import Listed, Unmeasured
from steelyard.evaluation.costing import GeneratorCost, generator_option
from steelyard.schema.items import Approach, Split, Task

HOSTED_MODEL = "gpt-5.4-mini"
"""The hosted model that stands for prompting: a current mid-size one of the price table."""

TUNED_MODEL = "open-8b-hosted"
"""The model that stands for tuning: an open one of 8 billion parameters, hosted per token, adapters included."""

HOSTED_TUNED_MODEL = "ft:gpt-4.1-mini"
"""The hosted model that stands for tuning at a provider: the newest of the price table with a price for it."""

SYSTEM_TOKENS = 300
COUNTED_ROWS = 200
"""Rows whose tokens are counted; their mean is stable long before."""

WHY = "needs a generator: set [models] generator to measure it; the cost is computed without errors"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Mean tokens of what goes through a prompt, counted on the team's own data."""

    question: float
    answer: float
    example: float
    passage: float
    corpus: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which tokens a request of a candidate with a generator carries, and the model that it is priced with."""

    model: str = HOSTED_MODEL
    shots: int = 0
    passages: int = 0
    whole_corpus: bool = False
    tuned: bool = False
    fixed: bool = False


PLANS: dict[str, Plan] = {
    "zero-shot": Plan(),
    "few-shot": Plan(shots=FEW_SHOTS, fixed=True),
    "retrieved-few-shot": Plan(shots=RETRIEVED_SHOTS),
    "no-context": Plan(),
    "whole-corpus": Plan(whole_corpus=True),
    "rag-generator": Plan(passages=CONTEXT_PASSAGES),
    "lora-closed-book": Plan(model=TUNED_MODEL, tuned=True),
    "lora-raft": Plan(model=TUNED_MODEL, passages=CONTEXT_PASSAGES, tuned=True),
    "style-few-shot": Plan(shots=SHOWN_REPLIES),
    "lora-writer": Plan(model=TUNED_MODEL, tuned=True),
    "hosted-classifier": Plan(model=HOSTED_TUNED_MODEL, tuned=True),
    "hosted-closed-book": Plan(model=HOSTED_TUNED_MODEL, tuned=True),
    "hosted-writer": Plan(model=HOSTED_TUNED_MODEL, tuned=True),
}
"""By the name of the candidate; what it is and does stands in the table of candidates."""


def count_tokens(
    split: Split, passages: Sequence[str], corpus_passages: int, counter: Callable[[Sequence[str]], list[int]]
) -> Counts:
    """Means over up to COUNTED_ROWS train rows and passages; `counter` gives the tokens of each text.

    Holdout texts are not read: a price needs none of them.
    """
    rows = split.train[:COUNTED_ROWS]
    question = _mean(counter([item.text for item in rows]))
    answers = [item.output or (item.answers[0] if item.answers else "") or item.label or "" for item in rows]
    answer = _mean(counter([text for text in answers if text]))
    passage = _mean(counter(list(passages[:COUNTED_ROWS]))) if passages else 0.0
    return Counts(
        question=question, answer=answer, example=question + answer, passage=passage, corpus=passage * corpus_passages
    )


def unmeasured_candidates(
    task: Task, counts: Counts, train_rows: int, economics: EconomicsSettings, taken: Sequence[str] = ()
) -> list[Unmeasured]:
    """The task's generator candidates with their cost; names in `taken` were measured and are left out."""
    prices = load_prices()
    found = []
    for place, (name, part) in enumerate(CANDIDATES):
        plan = PLANS.get(name)
        if part.task != task or part.needs != "generator" or plan is None or name in taken:
            continue
        if (plan.whole_corpus and not counts.corpus) or (plan.passages and not counts.passage):
            continue
        approach: Approach = part.approach  # type: ignore[assignment]
        price = prices.price(plan.model)
        cost = GeneratorCost(
            name=name,
            approach=approach,
            task=task,
            system_tokens=0 if plan.whole_corpus else SYSTEM_TOKENS,
            question_tokens=counts.question,
            context_tokens=plan.passages * counts.passage + (0 if plan.fixed else plan.shots * counts.example),
            # What every request shares is read from the provider's cache: the corpus, or a fixed set of examples.
            cached_tokens=(counts.corpus + SYSTEM_TOKENS if plan.whole_corpus else 0)
            + (plan.shots * counts.example if plan.fixed else 0),
            output_tokens=counts.answer,
            input_usd_per_million=float(price.input or 0),
            cached_usd_per_million=float(price.cached if price.cached is not None else price.input or 0),
            output_usd_per_million=float(price.output or 0),
            training_examples=train_rows if plan.tuned else 0,
            training_usd_per_million=float(price.training or 0) if plan.tuned else 0.0,
        )
        listed = Listed(name=name, approach=approach, role=f"{part.role} ({plan.model})", simplicity=100 + place)
        found.append(Unmeasured(listed=listed, why=WHY, option=generator_option(cost, economics)))
    return found


def _mean(counts: Sequence[int]) -> float:
    return sum(counts) / len(counts) if counts else 0.0
