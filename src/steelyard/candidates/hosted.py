"""Candidates whose model is tuned and served by a provider: a label, an answer from its weights, a reply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.candidates.answer_spoken import SpokenAnswer
from steelyard.candidates.classify_spoken import SpokenRouter
from steelyard.candidates.interface import Tools, Tuner
from steelyard.candidates.speaking import Said, not_fitted
from steelyard.candidates.write_spoken import SpokenWriter
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.schema.errors import CannotBuildError, ModelError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair, TuningJob


class HostedSpeaker:
    """A provider's model, tuned there. What is kept here is its name: rows leave the machine once, requests leave it each time."""

    def __init__(self, tools: Tools, name: str) -> None:
        self._tools, self._name = tools, name
        self._job: TuningJob | None = None

    def learn(self, train: Sequence[ChatPair], held: Sequence[ChatPair]) -> None:
        """See `Speaker.learn`.

        Raises:
            DataError, UserError, StoppedError, GeneratorError: see `HostedTuning.tune`.
        """
        self._job = self._tuner().tune(train, held, self._tools.seed, self._tools.progress)

    def say(self, prompts: Sequence[Sequence[Message]], max_tokens: int) -> list[Said]:
        """See `Speaker.say`. The provider does not tell how likely its words were."""
        if self._job is None or self._job.tuned is None:
            raise not_fitted(self._name)
        found = self._tuner().speaking(self._job.tuned).complete_many(prompts, max_tokens=max_tokens)
        return [
            Said(text=one.text.strip(), log_probability=None, ended=one.finish == "stop", usd=one.usd) for one in found
        ]

    def save(self, folder: Path, meta: dict[str, Any]) -> None:
        """See `Speaker.save`."""
        if self._job is None:
            raise not_fitted(self._name)
        save_artefact(folder, {}, {**meta, "tuned": self._job.to_json()})

    def load(self, folder: Path) -> dict[str, Any]:
        """See `Speaker.load`."""
        _, meta = load_artefact(folder)
        tuned = meta.pop("tuned", None)
        if not isinstance(tuned, dict):
            raise ModelError(
                "the saved model is no tuned model of a provider.",
                where=str(folder),
                remedy="Train it again.",
                code="candidate.other_artefact",
            )
        self._job = TuningJob(**tuned)
        return meta

    @property
    def training(self) -> dict[str, Any]:
        """See `Speaker.training`."""
        return {} if self._job is None else self._job.to_json()

    def _tuner(self) -> Tuner:
        if self._tools.tuner is None:
            raise CannotBuildError(
                "there is no provider to tune a model at.",
                where=f"candidate {self._name}",
                remedy='Set [models] generator = { kind = "openai", ... }, or base_url and model under [models.tuning].',
                code="candidate.no_provider",
            )
        return self._tools.tuner


class HostedClosedBook(SpokenAnswer):
    """A provider's model that learned the answers. Knowledge is in the weights: it cites nothing and tells every asker the same."""

    name = "hosted-closed-book"

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, HostedSpeaker(tools, self.name))


class HostedWriter(SpokenWriter):
    """A provider's model tuned on the approved replies."""

    name = "hosted-writer"

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, HostedSpeaker(tools, self.name))


class HostedClassifier(SpokenRouter):
    """A provider's model tuned to say the label."""

    name = "hosted-classifier"

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools, HostedSpeaker(tools, self.name))
