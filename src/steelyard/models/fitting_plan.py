"""What is trained and how: the plan, the task, and what comes out; see `models.fitting`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import Arrays

Stop = Literal["done", "early", "budget"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to train; everything here but `budget_s` and `checkpoint_s` is part of what the weights depend on.

    `epochs` may be a fraction. The rate rises linearly over `warm_up` of the steps and falls to 0, linearly or as half a cosine
    wave (`schedule`; Loshchilov and Hutter, ICLR 2017, without restarts). The score is taken
    before the first step, every `evaluate_every` steps (None: every epoch) and after the last; training ends after `patience`
    scores in a row that were no better than the best. `budget_s` ends it as well, counted over all runs that a crash cut it
    into. When the first steps show that it will not do for all epochs, fewer are planned, so that the rate still falls to 0: then, and
    only then, the weights depend on the machine's speed. A checkpoint is written when the last is
    `checkpoint_s` old; 0 writes one after every step. `threads` None: see `usable_threads`; a resumed run keeps the number it
    began with.

    A transformer layer learns at `layer_decay` times the rate of the one above it. `keep` `last` gives the weights after the last
    step, for a training without validation rows that repeats on all rows what was chosen before; its scores count for nothing.
    `device` `auto` takes CUDA where there is one; only the CPU promises the same bytes.
    """

    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 2e-5
    head_factor: float = 1.0
    layer_decay: float = 1.0
    warm_up: float = 0.1
    schedule: Literal["linear", "cosine"] = "linear"
    weight_decay: float = 0.01
    largest_gradient: float = 1.0
    evaluate_every: int | None = None
    patience: int = 3
    keep: Literal["best", "last"] = "best"
    seed: int = 0
    threads: int | None = None
    budget_s: float | None = None
    checkpoint_s: float = 30.0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def rate(self, step: int, planned: int) -> float:
        """The learning rate of step `step` (from 0) of `planned`."""
        warm = max(1, round(self.warm_up * planned))
        rise, fall = (step + 1) / warm, (planned - step) / max(1, planned - warm)
        if self.schedule == "cosine" and step >= warm:
            fall = (1 - math.cos(math.pi * min(1.0, fall))) / 2
        return self.learning_rate * min(1.0, rise, fall)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one step, int64, (rows,), from 0. `generator` is the step's own: draw negatives, pairs and masks from nothing else.

    `whole` are all rows of the step where this is a part of it (see `Parted`), else None.
    """

    step: int
    epoch: int
    rows: NDArray[np.int64]
    generator: np.random.Generator
    whole: NDArray[np.int64] | None = None


class Trainable(Protocol):
    """What is trained. Torch's own generator is seeded before each call; a method that draws elsewhere breaks the promise of `fit`."""

    @property
    def key(self) -> str:
        """Names what the weights depend on besides the plan: rows, labels, initial weights. A checkpoint of another key is not used."""

    @property
    def rows(self) -> int:
        """Training rows, at least 1; every epoch takes each once, in an order drawn for the epoch."""

    def module(self) -> Any:
        """A fresh `torch.nn.Module` with its initial weights on the CPU. Frozen parameters (`requires_grad` False) are not stored."""

    def loss(self, module: Any, batch: Batch) -> Any:
        """The scalar tensor to descend; `module` is in training mode."""

    def score(self, module: Any) -> float:
        """How good it is on validation rows, higher is better; `module` is in evaluation mode and no gradient is kept.

        Never of holdout rows: this chooses the weights.
        """


@runtime_checkable
class Parted(Protocol):
    """A `Trainable` whose steps are too large for one pass: gradients of the parts are added up before the weights move."""

    def parts(self, batch: Batch) -> Sequence[Batch]:
        """The step in parts that hold each row once, with `whole` set; their losses must add up to the loss of the step."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One line of the curve: the mean loss since the line before (None at step 0), and the validation score after `step` steps."""

    step: int
    epoch: float
    loss: float | None
    learning_rate: float
    score: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What training gave. `weights` are those of the best score (the earliest of equals), by parameter name; see `load_weights`.

    `best_step` 0: no step made it better than it was. `resumed_at` is the step that a checkpoint was taken up at, None without.
    """

    weights: Arrays
    best_step: int
    best_score: float
    steps: int
    planned: int
    stopped: Stop
    seconds: float
    curve: tuple[CurvePoint, ...]
    resumed_at: int | None = None
