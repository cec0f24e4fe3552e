"""A language model tuned on the team's rows, here or at a provider, as candidates use it: taught once, then asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from steelyard.candidates.interface import Tools
from steelyard.models.fitting_plan import Plan
from steelyard.schema.errors import CannotBuildError, NotFittedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

if TYPE_CHECKING:
    from steelyard.models.adapter import Adapter
    from steelyard.models.causal_base import CausalBase

UNKNOWN = "I do not know."
"""What a tuned model is taught to say where it should decline."""

FEWEST_ROWS = 8
LEAST_STEPS = 120
"""Steps that few rows get by more epochs: an adapter starts from nothing, and learns from steps."""

SCORE_STEPS = 10  # at least between two scores
CALIBRATION_SHARE = 0.2
"""Share of a training budget that is kept back for loading the model and asking it for validation rows."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a tuned model said, how likely it held it (mean log-probability of its tokens; None: it does not tell), and if it ended."""

    text: str
    log_probability: float | None
    ended: bool = True
    usd: float = 0.0


class Speaker(Protocol):
    """A language model that can be taught conversations with their right answers."""

    def learn(self, train: Sequence[ChatPair], held: Sequence[ChatPair]) -> None:
        """Teach it; `held` rows choose when to stop.

        Raises:
            UserError: too few rows.
            CannotBuildError: the settings name no model that can be taught.
        """

    def say(self, prompts: Sequence[Sequence[Message]], max_tokens: int) -> list[Said]:
        """What it says to each conversation, the likeliest words."""

    def save(self, folder: Path, meta: dict[str, Any]) -> None:
        """Write what was taught, and `meta`."""

    def load(self, folder: Path) -> dict[str, Any]:
        """Read what `save` wrote; the meta.

        Raises:
            ModelError: damaged, or taught to another model than the settings name.
        """

    @property
    def training(self) -> dict[str, Any]:
        """How the teaching went; {} before."""


class AdapterSpeaker:
    """A low-rank adapter on the local model of the settings. The base stays as it is and is in memory once for all adapters."""

    def __init__(self, tools: Tools, name: str) -> None:
        self._tools, self._name = tools, name
        self._adapter: Adapter | None = None
        self._training: dict[str, Any] = {}

    def learn(self, train: Sequence[ChatPair], held: Sequence[ChatPair]) -> None:
        """See `Speaker.learn`."""
        from steelyard.models.lora_fitting import fit_lora

        folder = self._folder()
        if len(train) < FEWEST_ROWS:
            raise too_few(len(train), self._name)
        work = None if self._tools.work is None else self._tools.work / "adapter"
        budget = self._tools.budget_s
        left = None if budget is None else max(1.0, budget * (1 - CALIBRATION_SHARE))
        plan = planned(len(train), self._tools.seed, left)
        if self._tools.rehearsal is not None:
            self._tools.rehearsal.learn(train, held, plan)
            return
        found = fit_lora(folder, train, held, plan=plan, work=work, progress=self._tools.progress)
        self._adapter, self._training = found.adapter, found.to_json()

    def say(self, prompts: Sequence[Sequence[Message]], max_tokens: int) -> list[Said]:
        """See `Speaker.say`."""
        if self._tools.rehearsal is not None:
            self._tools.rehearsal.ask(prompts, max_tokens)
            return [Said(text="word", log_probability=-1.0) for _ in prompts]
        from steelyard.models.causal_files import prompt_ids

        if self._adapter is None:
            raise not_fitted(self._name)
        base = self._base()
        name = base.attach(self._adapter)
        asked = [prompt_ids(base.tokenizer, messages)[-(base.context_tokens - max_tokens) :] for messages in prompts]
        said = base.generate(asked, adapter=name, max_tokens=max_tokens)
        return [
            Said(text=base.text(one.ids).strip(), log_probability=one.log_probability, ended=one.ended) for one in said
        ]

    def save(self, folder: Path, meta: dict[str, Any]) -> None:
        """See `Speaker.save`."""
        from steelyard.models.adapter import save_adapter

        if self._adapter is None:
            raise not_fitted(self._name)
        save_adapter(folder, self._adapter, {**meta, "training": self._training})

    def load(self, folder: Path) -> dict[str, Any]:
        """See `Speaker.load`."""
        from steelyard.models.adapter import load_adapter

        adapter, meta = load_adapter(folder)
        if self._tools.rehearsal is None:
            adapter.check_base(self._base().key, str(folder))
        self._adapter, self._training = adapter, meta.pop("training")
        return meta

    @property
    def training(self) -> dict[str, Any]:
        """See `Speaker.training`."""
        return dict(self._training)

    def _base(self) -> CausalBase:
        from steelyard.models.causal_base import shared_base
        from steelyard.models.causal_files import base_key

        folder = self._folder()
        return shared_base(folder, base_key(folder))

    def _folder(self) -> Path:
        if self._tools.base_model is None:
            raise CannotBuildError(
                "there is no local language model to tune.",
                where=f"candidate {self._name}",
                remedy='Set [models] generator = { kind = "transformers", path = "..." } in steelyard.toml.',
                code="candidate.no_base_model",
            )
        return self._tools.base_model


def planned(rows: int, seed: int, budget_s: float | None) -> Plan:
    """The usual plan of a LoRA tuning for so many rows."""
    from steelyard.models.lora_fitting import LORA_PLAN

    epoch_steps = math.ceil(rows / LORA_PLAN.batch)
    return replace(
        LORA_PLAN,
        epochs=max(LORA_PLAN.epochs, LEAST_STEPS / epoch_steps),
        evaluate_every=max(epoch_steps, SCORE_STEPS),
        seed=seed,
        budget_s=budget_s,
    )


def too_few(rows: int, name: str) -> UserError:
    """The error of a component with too little to teach a language model."""
    return UserError(
        f"{rows} rows that can be learned from are too few to tune a language model.",
        where=name,
        remedy=f"Add rows until there are {FEWEST_ROWS}, or take a candidate that needs none.",
        code="candidate.no_rows",
    )


def not_fitted(name: str) -> NotFittedError:
    """The error of a candidate that was neither fitted nor loaded."""
    return NotFittedError(f"'{name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted")
