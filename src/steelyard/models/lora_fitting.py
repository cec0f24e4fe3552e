"""Tunes a low-rank adapter of a local language model on conversations with their right answers; the loss is of the answers alone.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.adapter import Adapter
from steelyard.models.causal_files import (
    base_key,
    completion_ids,
    context_tokens,
    left_padded,
    pad_id,
    prompt_ids,
    read_causal,
    read_tokenizer,
)
from steelyard.models.convert import quiet
from steelyard.models.fitting import fit
from steelyard.models.fitting_plan import Batch, Fitted, Plan
from steelyard.schema.errors import UserError
from steelyard.schema.tuning import ChatPair

LORA_PLAN = Plan(
    epochs=3,
    batch=16,
    learning_rate=2e-4,
    warm_up=0.05,
    schedule="cosine",
    weight_decay=0.0,
    patience=3,
    checkpoint_s=30.0,
)
"""Rate and schedule as usual for LoRA of all linear layers (Dettmers et al., QLoRA, NeurIPS 2023)."""

SCORED_ROWS = 200
"""Validation rows that choose when to stop; their mean is steady long before."""

RECOMPUTE_FROM = 500_000_000
"""Weights from which activations are computed again in the backward pass: a third more time for a fraction of the memory."""

FIXED = "default"


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The adapter's shape and how rows are batched.

    `alpha / rank` scales what it adds. `micro_rows` go through the model together, sorted by length within a step; their gradients are
    added up. Rows of more than `longest` tokens (or than the model sees) are left out.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: str = "all-linear"
    micro_rows: int = 4
    longest: int = 2048


@dataclass(frozen=True, kw_only=True)
class LoraFitted:
    """What tuning gave. `adapter` None: no step made the validation answers likelier, and the base is left as it is.

    `left_out` rows were too long; `target_tokens` are the answer tokens of one pass over the rest, `tokens` all of theirs.
    """

    adapter: Adapter
    fitted: Fitted
    left_out: int
    tokens: int
    target_tokens: int

    def to_json(self) -> dict[str, Any]:
        """How the training went, for the registry and the report."""
        return {
            "steps": self.fitted.steps,
            "best_step": self.fitted.best_step,
            "validation_loss": round(-self.fitted.best_score, 4),
            "loss_before": round(-self.fitted.curve[0].score, 4),
            "stopped": self.fitted.stopped,
            "seconds": round(self.fitted.seconds, 1),
            "rows_left_out": self.left_out,
            "tokens": self.tokens,
        }


@dataclass(frozen=True)
class _Row:
    ids: tuple[int, ...]
    answer: int  # tokens at the end that are the answer


class LoraTask:
    """See `Trainable` and `Parted`: next-token loss of the answers, mean over the answer tokens of a step.

    The score is minus the mean loss over the answer tokens of the validation rows.
    """

    def __init__(
        self, folder: Path, train: Sequence[ChatPair], held: Sequence[ChatPair], settings: LoraSettings, device: str
    ) -> None:
        self._folder, self._settings, self._device = folder, settings, device
        self.base = base_key(folder)
        tokenizer = read_tokenizer(folder)
        self._pad = pad_id(tokenizer)
        most = min(settings.longest, context_tokens(folder))
        self._rows = [row for pair in train if len((row := _tokenised(tokenizer, pair)).ids) <= most]
        self._held = [row for pair in held[:SCORED_ROWS] if len((row := _tokenised(tokenizer, pair)).ids) <= most]
        self.left_out = len(train) - len(self._rows)
        self.config: dict[str, Any] = {}
        if not self._rows:
            raise UserError(
                f"none of {len(train)} rows fits into {most} tokens.",
                where=str(folder),
                remedy="Take a model with a longer context, or shorter rows.",
                code="models.rows_too_long",
            )

    @property
    def rows(self) -> int:
        """See `Trainable.rows`."""
        return len(self._rows)

    @property
    def held(self) -> int:
        """Validation rows that the score is taken on."""
        return len(self._held)

    @property
    def tokens(self) -> tuple[int, int]:
        """All tokens of one pass over the rows, and those of answers."""
        return sum(len(row.ids) for row in self._rows), sum(row.answer for row in self._rows)

    @property
    def key(self) -> str:
        """See `Trainable.key`."""
        digest = hashlib.sha256(json.dumps([self.base, asdict(self._settings), self._device]).encode())
        for row in (*self._rows, *self._held):
            digest.update(repr((row.ids, row.answer)).encode())
        return f"lora {digest.hexdigest()}"

    def module(self) -> Any:
        """See `Trainable.module`."""
        from peft import LoraConfig, get_peft_model

        own = self._settings
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=own.rank,
            lora_alpha=own.alpha,
            lora_dropout=own.dropout,
            target_modules=own.targets,
        )
        base = read_causal(self._folder, self._device)
        base.config.use_cache = False
        with quiet():
            if sum(one.numel() for one in base.parameters()) >= RECOMPUTE_FROM:
                base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            module = get_peft_model(base, config)
        self._keeps = "logits_to_keep" in inspect.signature(module.get_base_model().forward).parameters
        self.config = _config_json(module.peft_config[FIXED])
        return module

    def parts(self, batch: Batch) -> list[Batch]:
        """See `Parted.parts`: rows of like length together."""
        ordered = sorted((int(row) for row in batch.rows), key=lambda row: (-len(self._rows[row].ids), row))
        size = self._settings.micro_rows
        groups = [np.array(ordered[at : at + size], dtype=np.int64) for at in range(0, len(ordered), size)]
        return [replace(batch, rows=group, whole=batch.rows) for group in groups]

    def loss(self, module: Any, batch: Batch) -> Any:
        """See `Trainable.loss`."""
        whole = batch.rows if batch.whole is None else batch.whole
        return self._summed(module, [self._rows[row] for row in batch.rows]) / self._answers(whole)

    def score(self, module: Any) -> float:
        """See `Trainable.score`; 0 without validation rows."""
        if not self._held:
            return 0.0
        size = 2 * self._settings.micro_rows
        ordered = sorted(self._held, key=lambda row: -len(row.ids))
        groups = [ordered[at : at + size] for at in range(0, len(ordered), size)]
        total = sum(float(self._summed(module, group)) for group in groups)
        return -total / sum(row.answer for row in self._held)

    def _answers(self, rows: NDArray[np.int64]) -> int:
        return sum(self._rows[row].answer for row in rows)

    def _summed(self, module: Any, rows: Sequence[_Row]) -> Any:
        """The loss summed over the answer tokens of some rows. Rows end together: only the last positions need the vocabulary."""
        import torch

        ids, mask = (
            torch.from_numpy(one).to(self._device) for one in left_padded([row.ids for row in rows], self._pad)
        )
        longest = max(row.answer for row in rows)
        kept = {"logits_to_keep": longest + 1} if self._keeps else {}
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        with self._precision():
            logits = module(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, **kept).logits
        logits = logits[:, -(longest + 1) : -1].float()
        targets = ids[:, -longest:].clone()
        for at, row in enumerate(rows):
            targets[at, : longest - row.answer] = -100
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast("cuda", dtype=torch.bfloat16) if self._device == "cuda" else nullcontext()


def fit_lora(
    folder: Path,
    train: Sequence[ChatPair],
    held: Sequence[ChatPair],
    *,
    plan: Plan = LORA_PLAN,
    settings: LoraSettings | None = None,
    work: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoraFitted:
    """Tune an adapter of the model in `folder`; see `fit` for resuming, budget and what is the same for a seed.

    Validation rows choose the step whose weights are kept; without them the last step's are. On CUDA the base is bf16 and the adapter fp32.

    Raises:
        UserError: no row fits into the model's context.
        ModelError: there is no model in `folder`, or training diverged.
        ModuleNotFoundError: PEFT or torch is not installed.
    """
    import torch

    cuda = torch.cuda.is_available() if plan.device == "auto" else plan.device == "cuda"
    task = LoraTask(folder, train, held, settings or LoraSettings(), "cuda" if cuda else "cpu")
    plan = replace(plan, device="cuda" if cuda else "cpu", keep=plan.keep if task.held else "last")
    fitted = fit(task, plan, work, progress)
    config = task.config or _config_of(task)
    arrays = {name.replace(f".{FIXED}.", "."): array for name, array in fitted.weights.items()}
    tokens, answers = task.tokens
    return LoraFitted(
        adapter=Adapter(arrays=arrays, config=config, base=task.base),
        fitted=fitted,
        left_out=task.left_out,
        tokens=tokens,
        target_tokens=answers,
    )


def count_training_tokens(folder: Path, pairs: Sequence[ChatPair]) -> int:
    """Tokens of one pass over the rows, answers and what ends them included."""
    tokenizer = read_tokenizer(folder)
    return sum(len(_tokenised(tokenizer, pair).ids) for pair in pairs)


def _config_of(task: LoraTask) -> dict[str, Any]:
    """The settings of a training that was finished before, and only read now."""
    task.module()
    return task.config


def _config_json(config: Any) -> dict[str, Any]:
    """What is needed to put the adapter on again; the rest of PEFT's settings are its defaults."""
    return {
        "task_type": "CAUSAL_LM",
        "r": config.r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": sorted(config.target_modules),
    }


def _tokenised(tokenizer: Any, pair: ChatPair) -> _Row:
    answer = completion_ids(tokenizer, pair.messages, pair.completion)
    return _Row((*prompt_ids(tokenizer, pair.messages), *answer), len(answer))
