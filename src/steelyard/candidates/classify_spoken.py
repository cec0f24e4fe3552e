"""A router that is a tuned language model: it says the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from steelyard.candidates.answer_spoken import check_making
from steelyard.candidates.interface import Tools
from steelyard.candidates.prompting import Prompt, load_prompt
from steelyard.candidates.speaking import Speaker, not_fitted
from steelyard.models.metering import metered
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope
from steelyard.schema.tuning import ChatPair

LABEL_TOKENS = 32
CALIBRATION_ROWS = 200
PRIOR_ROWS = 5
"""Rows that the trust in all labels together counts for in the trust in one, so that one lucky row makes no label certain."""


class SpokenRouter:
    """A tuned language model says a label; how far each word of it is to be trusted is counted on validation rows.

    Whatever it says that is no label counts as out of scope.
    """

    name = "spoken-router"
    prompt_name = "tuned-label"

    def __init__(self, tools: Tools, speaker: Speaker) -> None:
        self._tools = tools
        self._speaker = speaker
        self._labels: dict[str, str] = {}
        self._trust: dict[str, float] = {}

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Raises:
            UserError: too few rows.
            CannotBuildError: the settings name no model that can be tuned.
        """
        rows, held = self.teaching(train, validation)
        outside = self._tools.out_of_scope_label
        labels = sorted({item.label or "" for item in train} | {outside})
        self._speaker.learn(rows, held)
        self._labels = {label.casefold(): label for label in labels}
        asked = validation[:CALIBRATION_ROWS]
        said = [
            self._read(one.text)
            for one in self._speaker.say([one.messages for one in held[: len(asked)]], LABEL_TOKENS)
        ]
        given, right = Counter(said), Counter(one for one, item in zip(said, asked, strict=True) if one == item.label)
        overall = (sum(right.values()) + 1) / (len(asked) + 2)
        self._trust = {
            label: (right[label] + PRIOR_ROWS * overall) / (given[label] + PRIOR_ROWS) for label in (*labels, "")
        }
        return self

    def teaching(self, train: Sequence[Item], validation: Sequence[Item]) -> tuple[list[ChatPair], list[ChatPair]]:
        """What the model is taught, and what it is judged by."""
        return self._pairs(train), self._pairs(validation)

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `probability` is the share of validation rows on which the same word was right."""
        del scope
        if not self._labels:
            raise not_fitted(self.name)
        with metered() as meter:
            said = self._speaker.say([self._messages(request.text)], LABEL_TOKENS)[0]
        label = self._read(said.text)
        outside = self._tools.out_of_scope_label
        return Output(
            label=label or outside,
            probability=self._trust[label],
            out_of_scope=label in ("", outside),
            usage=meter.usage,
            trace=(("prompt", self._prompt.label), ("said", said.text[:80])),
            well_formed=bool(label),
        )

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if not self._labels:
            raise not_fitted(self.name)
        meta = {"candidate": self.name, "prompt": self._prompt.label, "labels": self._labels, "trust": self._trust}
        self._speaker.save(folder, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, or of another candidate or prompt.
        """
        meta = self._speaker.load(folder)
        check_making(meta, self.name, self._prompt, folder)
        self._labels, self._trust = dict(meta["labels"]), dict(meta["trust"])
        return self

    @property
    def training(self) -> dict[str, Any]:
        """How the tuning went; {} before."""
        return self._speaker.training

    @property
    def _prompt(self) -> Prompt:
        return load_prompt(self.prompt_name)

    def _messages(self, text: str) -> tuple[Message, ...]:
        return self._prompt.messages(message=text, out_of_scope=self._tools.out_of_scope_label)

    def _pairs(self, rows: Sequence[Item]) -> list[ChatPair]:
        return [
            ChatPair(messages=self._messages(item.text), completion=item.label or "", row=item.row) for item in rows
        ]

    def _read(self, text: str) -> str:
        """The label that a text names, "" where it names none."""
        return self._labels.get(text.strip().rstrip(".").strip().casefold(), "")
