"""A writer that is a language model tuned on the approved replies: it places the slots, values are inserted verbatim afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from steelyard.candidates.answer_spoken import check_making
from steelyard.candidates.interface import Tools
from steelyard.candidates.prompting import Prompt, load_prompt
from steelyard.candidates.speaking import AdapterSpeaker, Speaker, not_fitted
from steelyard.candidates.system import PAGE_SLOT
from steelyard.candidates.write_approved import ExemplarWriter
from steelyard.candidates.write_tuned import EXEMPLAR, fault
from steelyard.components.slots import fill, given, situation
from steelyard.dataset.places import places_of
from steelyard.models.metering import metered
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope
from steelyard.schema.tuning import ChatPair

REPLY_TOKENS = 320


class SpokenWriter:
    """A tuned language model says the reply with places for the values; what breaks a rule is not sent.

    It is told the names of the slots, and values that are sentences (see `situation`); names, numbers and dates never pass its weights.
    Each place must come exactly once, and a number outside the places must stand in the exemplar's reply to the same message; else the
    exemplar's reply is sent, which the trace says (`fallback`).
    """

    name = "spoken-writer"
    prompt_name = "tuned-reply"

    def __init__(self, tools: Tools, speaker: Speaker | None = None) -> None:
        self._tools = tools
        self._exemplar = ExemplarWriter(tools)
        self._speaker: Speaker = speaker or AdapterSpeaker(tools, self.name)
        self._places: frozenset[str] | None = None

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Raises:
            UserError: too few rows have an approved reply with each place at most once.
            CannotBuildError: the settings name no model that can be tuned.
        """
        self._exemplar.fit(train, validation)
        self._speaker.learn(*self.teaching(train, validation))
        self._places = frozenset(name for item in _learnable(train) for name in places_of(item.output or ""))
        return self

    def teaching(self, train: Sequence[Item], validation: Sequence[Item]) -> tuple[list[ChatPair], list[ChatPair]]:
        """What the model is taught, and what it is judged by."""
        return self._pairs(_learnable(train)), self._pairs(_learnable(validation))

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `template` is the reply before its slots were filled."""
        if self._places is None:
            raise not_fitted(self.name)
        # The title of the page that answered is offered to every reply; it is placed only where approved replies place it.
        names = [one for one in sorted(given(request.slots)) if one != PAGE_SLOT or one in self._places]
        with metered() as meter:
            like = self._exemplar.predict(request, scope)
            said = self._speaker.say([self._messages(situation(request.text, request.slots), names)], REPLY_TOKENS)[0]
        why = fault(said.text, names, like.template or "") if said.ended else "it came to no end"
        trace: tuple[tuple[str, str], ...] = (("prompt", self._prompt.label),)
        if why is not None:
            trace = (*trace, *like.trace, ("fallback", f"the tuned reply was not used: {why}"))
            return Output(**{**vars(like), "usage": meter.usage, "trace": trace})
        text = fill(said.text, request.slots)
        return Output(text=text, label=like.label, template=said.text, usage=meter.usage, trace=trace)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if self._places is None:
            raise not_fitted(self.name)
        self._exemplar.save(folder / EXEMPLAR)
        meta = {"candidate": self.name, "prompt": self._prompt.label, "places": sorted(self._places)}
        self._speaker.save(folder, meta)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`. Serving needs the local model with torch and PEFT, or the provider's endpoint.

        Raises:
            ModelError: the artefact is damaged, of another candidate or prompt, or was made with another model.
        """
        meta = self._speaker.load(folder)
        check_making(meta, self.name, self._prompt, folder)
        self._exemplar.load(folder / EXEMPLAR)
        self._places = frozenset(meta["places"])
        return self

    @property
    def training(self) -> dict[str, Any]:
        """How the tuning went: steps, losses, why it stopped, seconds; {} before."""
        return self._speaker.training

    @property
    def _prompt(self) -> Prompt:
        return load_prompt(self.prompt_name)

    def _messages(self, message: str, names: Sequence[str]) -> tuple[Message, ...]:
        return self._prompt.messages(message=message, places=list(names))

    def _pairs(self, rows: Sequence[Item]) -> list[ChatPair]:
        return [
            ChatPair(
                messages=self._messages(situation(item.text, item.slots), sorted(places_of(item.output or ""))),
                completion=item.output or "",
                row=item.row,
            )
            for item in rows
        ]


class LoraWriter(SpokenWriter):
    """An adapter on the local model, tuned on the approved replies."""

    name = "lora-writer"


def _learnable(items: Sequence[Item]) -> list[Item]:
    """Rows whose reply has each place at most once."""
    return [
        item
        for item in items
        if (item.output or "").strip() and len(set(places_of(item.output or ""))) == len(places_of(item.output or ""))
    ]
