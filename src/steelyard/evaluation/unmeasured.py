"""Candidates that need a generator: listed as not measured, with their cost from measured token counts and dated prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steelyard.config import EconomicsSettings
from steelyard.economics.prices import load_prices
from steelyard.evaluation.bakeoff import Listed, Unmeasured
from steelyard.evaluation.costing import GeneratorCost, generator_option
from steelyard.schema.items import Approach, Split, Task

HOSTED_MODEL = "gpt-5.4-mini"
"""The hosted model that stands for prompting: a current mid-size one of the price table."""

TUNED_MODEL = "open-8b-hosted"
"""The model that stands for tuning: an open one of 8 billion parameters, hosted per token, adapters included."""

SYSTEM_TOKENS = 300
FEW_SHOTS = 24
RETRIEVED_SHOTS = 8
CONTEXT_PASSAGES = 6
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
    """One candidate with a generator: which tokens a request carries."""

    name: str
    approach: Approach
    role: str
    model: str = HOSTED_MODEL
    shots: int = 0
    passages: int = 0
    whole_corpus: bool = False
    tuned: bool = False


PLANS: dict[Task, tuple[Plan, ...]] = {
    "classify": (
        Plan(name="zero-shot", approach="prompt", role="the label list in a prompt"),
        Plan(name="few-shot", approach="prompt", role="a fixed set of labelled examples in a prompt", shots=FEW_SHOTS),
        Plan(
            name="retrieved-few-shot",
            approach="rag",
            role="the nearest labelled examples in a prompt",
            shots=RETRIEVED_SHOTS,
        ),
    ),
    "answer": (
        Plan(name="no-context", approach="prompt", role="the question alone"),
        Plan(name="whole-corpus", approach="prompt", role="every document in a cached prompt", whole_corpus=True),
        Plan(name="rag-generator", approach="rag", role="retrieved passages in a prompt", passages=CONTEXT_PASSAGES),
        Plan(
            name="lora-closed-book",
            approach="fine_tune",
            role="a LoRA adapter without documents",
            model=TUNED_MODEL,
            tuned=True,
        ),
        Plan(
            name="lora-raft",
            approach="hybrid",
            role="a LoRA adapter trained with retrieved passages and distractors",
            model=TUNED_MODEL,
            passages=CONTEXT_PASSAGES,
            tuned=True,
        ),
    ),
    "write": (
        Plan(
            name="style-few-shot",
            approach="prompt",
            role="the style guide and approved replies in a prompt",
            shots=FEW_SHOTS,
        ),
        Plan(
            name="lora-writer",
            approach="fine_tune",
            role="a LoRA adapter on approved replies",
            model=TUNED_MODEL,
            tuned=True,
        ),
    ),
}


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
    for place, plan in enumerate(PLANS[task]):
        if plan.name in taken or (plan.whole_corpus and not counts.corpus) or (plan.passages and not counts.passage):
            continue
        price = prices.price(plan.model)
        cost = GeneratorCost(
            name=plan.name,
            approach=plan.approach,
            task=task,
            system_tokens=0 if plan.whole_corpus else SYSTEM_TOKENS,
            question_tokens=counts.question,
            context_tokens=plan.passages * counts.passage
            + (plan.shots * counts.example if plan.approach == "rag" else 0),
            # What every request shares is read from the provider's cache: the corpus, or a fixed set of examples.
            cached_tokens=(counts.corpus + SYSTEM_TOKENS if plan.whole_corpus else 0)
            + (plan.shots * counts.example if plan.approach == "prompt" else 0),
            output_tokens=counts.answer,
            input_usd_per_million=float(price.input or 0),
            cached_usd_per_million=float(price.cached if price.cached is not None else price.input or 0),
            output_usd_per_million=float(price.output or 0),
            training_examples=train_rows if plan.tuned else 0,
            training_usd_per_million=float(price.training or 0) if plan.tuned else 0.0,
        )
        listed = Listed(
            name=plan.name, approach=plan.approach, role=f"{plan.role} ({plan.model})", simplicity=100 + place
        )
        found.append(Unmeasured(listed=listed, why=WHY, option=generator_option(cost, economics)))
    return found


def _mean(counts: Sequence[int]) -> float:
    return sum(counts) / len(counts) if counts else 0.0
