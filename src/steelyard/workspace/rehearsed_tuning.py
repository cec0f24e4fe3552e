"""Stand-ins for tuning while it is only foreseen: what would be taught and asked is counted, and nothing is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.models.fitting_plan import Plan
from steelyard.models.rehearsal import Rehearsal
from steelyard.schema.errors import CannotBuildError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair, TuningEstimate, TuningJob

if TYPE_CHECKING:
    from steelyard.models.lora_pace import LoraPace
    from steelyard.workspace.tuning import WorkspaceTuner


class RehearsedTuner:
    """Stands in for tuning at a provider: the job is priced and not started, and its model answers nothing real.

    Raises:
        CannotBuildError: the settings name no provider.
    """

    def __init__(self, inner: WorkspaceTuner | None, typical: Sequence[str]) -> None:
        if inner is None:
            raise CannotBuildError(
                "there is no provider to tune a model at.",
                where="--dry-run",
                remedy="Set base_url and model under [models.tuning].",
                code="candidate.no_provider",
            )
        self._inner, self._typical = inner, typical
        self.estimate: TuningEstimate | None = None
        self._asked: dict[str, Rehearsal] = {}

    def tune(
        self, train: Sequence[ChatPair], held: Sequence[ChatPair], seed: int, progress: Callable[[int, int], None]
    ) -> TuningJob:
        """A job that was over at once; see `candidates.interface.Tuner`."""
        del held, seed, progress
        self.estimate = self._inner.hosted().estimate(train)
        return TuningJob(key="", base=self.estimate.model, place="", status="succeeded", tuned=self.estimate.model)

    def speaking(self, model: str) -> Rehearsal:
        """The rehearsal of what is asked of a tuned model."""
        if model not in self._asked:
            self._asked[model] = Rehearsal(self._inner.metered(model), self._typical)
        return self._asked[model]

    @property
    def asked(self) -> Rehearsal | None:
        """The rehearsal of the one model that was asked; None where none was."""
        return next(iter(self._asked.values()), None)


class RehearsedAdapter:
    """Stands in for tuning the local model in `folder`; see `candidates.interface.TuningRehearsal`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._learned: tuple[Sequence[ChatPair], Sequence[ChatPair], Plan] | None = None
        self.prompts: list[Sequence[Message]] = []

    def learn(self, train: Sequence[ChatPair], held: Sequence[ChatPair], plan: Plan) -> None:
        """Note what would be learned."""
        self._learned = (train, held, plan)

    def ask(self, prompts: Sequence[Sequence[Message]], max_tokens: int) -> None:
        """Note what would be asked."""
        del max_tokens
        self.prompts += prompts

    @property
    def learns(self) -> bool:
        """Whether anything is left to learn; not where a version of the same rows is there."""
        return self._learned is not None

    def pace(self, *, measure: bool) -> LoraPace:
        """The pace of this machine, measured by a few steps or guessed; see `models.lora_pace`."""
        from steelyard.models.lora_pace import guessed_pace, measured_pace

        assert self._learned is not None
        train, held, plan = self._learned
        if measure:
            return measured_pace(self._folder, train, held, plan, self.prompts)
        return guessed_pace(self._folder, train, held, plan)

    def seconds(self, pace: LoraPace) -> float:
        """Learning, and every answer that would be asked."""
        assert self._learned is not None
        train, _, plan = self._learned
        return pace.learning_s(plan, len(train)) + len(self.prompts) * pace.answer_s
