"""How long tuning and asking a local model takes on this machine: a few steps are really made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from steelyard.models.fitting_plan import Fitted, Plan
from steelyard.models.lora_fitting import SCORED_ROWS, count_training_tokens, fit_lora
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

TIMED_STEPS = 4
"""Steps that are made to time one, after a first that pays for what libraries do once."""

TIMED_ANSWERS = 4
"""Prompts that are answered to time one."""

FLOPS_PER_WEIGHT = 4
"""Operations a token and weight of a step: twice forward, twice for the gradients of what lies between; the base has none of its own."""

SHARE_OF_PEAK = 0.4
"""Part of a large matrix product's speed that small models reach. A guess."""


@dataclass(frozen=True, kw_only=True)
class LoraPace:
    """Seconds of one step, of one look at the validation rows, and of one answer. `measured` False: worked out from the weights' size."""

    step_s: float
    score_s: float
    answer_s: float
    measured: bool

    def learning_s(self, plan: Plan, rows: int) -> float:
        """Seconds of a whole tuning of so many rows: at most those of all steps, or of the plan's budget."""
        epoch_steps = math.ceil(rows / plan.batch)
        steps = max(1, math.ceil(plan.epochs * epoch_steps))
        every = plan.evaluate_every or epoch_steps
        # Before the first step, every so many, and after the last.
        scores = 1 + math.ceil(steps / every)
        whole = steps * self.step_s + scores * self.score_s
        return whole if plan.budget_s is None else min(whole, plan.budget_s)


def measured_pace(
    folder: Path,
    train: Sequence[ChatPair],
    held: Sequence[ChatPair],
    plan: Plan,
    prompts: Sequence[Sequence[Message]],
) -> LoraPace:
    """The pace of this machine: some steps of the tuning are made and thrown away, and some prompts answered. Nothing is kept.

    Raises:
        UserError: no row fits into the model's context.
        ModelError: there is no model in `folder`.
    """
    steps = TIMED_STEPS + 1
    sample = [train[len(train) * at // (steps * plan.batch)] for at in range(steps * plan.batch)]
    short = replace(
        plan, epochs=1.0, budget_s=None, evaluate_every=1, patience=steps + 1, keep="last", checkpoint_s=1e9
    )
    # A score after each step and no validation rows: the curve then has the seconds of each step.
    made = fit_lora(folder, sample, (), plan=short)
    step_s = _later_steps(made.fitted)
    score_s = 0.0
    if held:
        one = [train[len(train) * at // plan.batch] for at in range(plan.batch)]
        looked = fit_lora(folder, one, held[:SCORED_ROWS], plan=replace(short, keep="best")).fitted
        # Its first step and first score pay for what is done once; the score after the step does not.
        score_s = max(0.0, looked.curve[-1].seconds - looked.curve[0].seconds - step_s)
    return LoraPace(step_s=step_s, score_s=score_s, answer_s=_answer_s(folder, prompts, held or train), measured=True)


def guessed_pace(folder: Path, train: Sequence[ChatPair], held: Sequence[ChatPair], plan: Plan) -> LoraPace:
    """The pace that the size of the weights and this processor's speed at a large matrix product let expect; a guess."""
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2
    tokens = count_training_tokens(folder, train)
    token_s = weights * FLOPS_PER_WEIGHT / (_product_flops() * SHARE_OF_PEAK)
    held_tokens = count_training_tokens(folder, held[:SCORED_ROWS])
    return LoraPace(
        step_s=token_s * tokens / len(train) * plan.batch,
        score_s=token_s * held_tokens / 2,
        answer_s=token_s * tokens / len(train) / 2,
        measured=False,
    )


def _later_steps(fitted: Fitted) -> float:
    """Seconds of a step, the first left out."""
    points = [point for point in fitted.curve if point.step > 0]
    return (points[-1].seconds - points[0].seconds) / max(1, points[-1].step - points[0].step)


def _answer_s(folder: Path, prompts: Sequence[Sequence[Message]], pairs: Sequence[ChatPair]) -> float:
    """Seconds of an answer as long as the right ones; one prompt at a time, as when it is measured and served."""
    if not prompts:
        return 0.0
    from steelyard.models.causal_base import shared_base
    from steelyard.models.causal_files import base_key, prompt_ids

    base = shared_base(folder, base_key(folder))
    lengths = [len(base.tokenizer(pair.completion)["input_ids"]) + 1 for pair in pairs]
    longest = max(1, round(sum(lengths) / len(lengths)))
    chosen = [prompts[len(prompts) * at // TIMED_ANSWERS] for at in range(TIMED_ANSWERS)]
    ids = [prompt_ids(base.tokenizer, one)[-(base.context_tokens - longest) :] for one in chosen]
    base.generate(ids[:1], max_tokens=longest)  # the first pays for what is done once
    begun = perf_counter()
    for one in ids:
        base.generate([one], max_tokens=longest, least_tokens=longest)
    return (perf_counter() - begun) / len(ids)


def _product_flops() -> float:
    """Operations a second of a large matrix product in fp32 on this processor."""
    size = 768
    matrix = np.ones((size, size), dtype=np.float32)
    matrix @ matrix
    begun = perf_counter()
    for _ in range(3):
        matrix @ matrix
    return 3 * 2 * size**3 / (perf_counter() - begun)
