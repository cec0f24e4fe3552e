"""A writer that asks a language model for the sentence, shown approved replies; the facts are put in afterwards, verbatim."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.candidates.interface import Tools
from steelyard.candidates.prompting import Asking, fence, load_prompt, made_with, read_object, same_making
from steelyard.candidates.write_approved import Arrays, ExemplarWriter
from steelyard.components.slots import fill, given, situation
from steelyard.dataset.places import places_of
from steelyard.models.metering import metered
from steelyard.schema.errors import NotFittedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

SHOWN_REPLIES = 8
"""Approved replies in the prompt, those to the nearest past situations."""

REPLY_TOKENS = 400
LONGEST_MESSAGE = 4_000

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, kw_only=True)
class _Shot:
    """An approved reply with the message it answered."""

    message: str
    reply: str
    kind: str | None


class StyleFewShot(ExemplarWriter):
    """The style guide and the approved replies nearest to the situation in a prompt; the model writes a reply with open places.

    It is shown the message and the names of the slots, never their values, which are inserted afterwards character for character. A reply
    that uses a place that has no value, leaves out one that all shown replies use, or holds a figure that none of them has, is not
    sent: the nearest approved reply is, and the trace says so.
    """

    name = "style-few-shot"

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._messages: list[str] = []

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `template` is the model's reply before its slots were filled.

        Raises:
            UserError: the settings name no generator.
            GeneratorError, StoppedError: the model did not answer.
        """
        del scope  # approved replies are for everyone; what is confidential comes in through the slots
        if not self._templates:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        asking = Asking(self._tools, self.name)
        names = given(request.slots)
        fits, unused = self._fits(names, request.label)
        if not fits:
            reason = f"no approved reply fits the slots: {', '.join(sorted(names)) or 'none'}"
            return Output(abstained=True, trace=(("declined", reason),))
        with metered() as meter:
            scores = self._scores(situation(request.text, request.slots), fits)
            # Ties fall to the earliest reply, so that the same request always gets the same prompt.
            order = [fits[at] for at in np.argsort(-scores, kind="stable")[:SHOWN_REPLIES].tolist()]
            shots = [
                _Shot(message=self._messages[at], reply=self._templates[at], kind=self._labels[at]) for at in order
            ]
            message = request.text[:LONGEST_MESSAGE]
            said = asking.texts([self._prompt(message, shots, names)], max_tokens=REPLY_TOKENS, schema=_schema(shots))[
                0
            ]
        reply, kind, wrong = _read(said, shots, names, message)
        trace = [("prompt", load_prompt("write").label), *(("generator", note) for note in asking.notes)]
        if wrong is not None:
            trace.append(("fallback", f"the nearest approved reply, because {wrong}"))
            reply, kind = shots[0].reply, shots[0].kind
        if unused:
            trace.append(("unused", f"no approved reply uses {', '.join(sorted(unused))}"))
        return Output(
            text=fill(reply, request.slots),
            label=kind,
            template=reply,
            usage=asking.usage(meter),
            trace=tuple(trace),
            well_formed=wrong is None,
        )

    @property
    def made_with(self) -> dict[str, str]:
        """See `prompting.made_with`."""
        return made_with(load_prompt("write"), Asking(self._tools, self.name).generator)

    def _prompt(self, message: str, shots: Sequence[_Shot], names: frozenset[str]) -> tuple[Message, ...]:
        guide = self._tools.style_guide
        mark = fence(message, guide, *(text for shot in shots for text in (shot.message, shot.reply)))
        return load_prompt("write").messages(
            guide=guide,
            places=sorted(names),
            kinds=_kinds(shots),
            shots=[shot.__dict__ for shot in shots],
            message=message,
            fence=mark,
        )

    def _learn(self, rows: list[Item], held: list[Item]) -> None:
        if self._tools.generator is None:
            raise UserError(
                "there is no generator.",
                where=f"candidate {self.name}",
                remedy="Set [models] generator in steelyard.toml.",
                code="candidate.no_generator",
            )
        super()._learn(rows, held)

    def _remember(self, rows: Sequence[Item]) -> None:
        super()._remember(rows)
        self._messages = [item.text[:LONGEST_MESSAGE] for item in rows]

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        arrays, meta = super()._state()
        made = {
            "candidate": self.name,
            "prompt": load_prompt("write").label,
            "generator": Asking(self._tools, self.name).generator.name,
            "messages": self._messages,
        }
        return arrays, {**meta, "prompted": made}

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        same_making(
            meta["prompted"], self.name, load_prompt("write"), Asking(self._tools, self.name).generator, self.name
        )
        super()._restore(arrays, meta)
        self._messages = [str(one) for one in meta["prompted"]["messages"]]


def _kinds(shots: Sequence[_Shot]) -> list[str]:
    """The kinds of the shown replies, the nearest first; none where a reply has no kind."""
    kinds = [shot.kind for shot in shots]
    return list(dict.fromkeys(kind for kind in kinds if kind)) if all(kinds) else []


def _schema(shots: Sequence[_Shot]) -> dict[str, Any]:
    kinds = _kinds(shots)
    properties: dict[str, Any] = {"reply": {"type": "string"}}
    if kinds:
        # First, so that the model settles what to say before it says it.
        properties = {"kind": {"type": "string", "enum": kinds}, **properties}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _read(
    text: str | None, shots: Sequence[_Shot], names: frozenset[str], message: str
) -> tuple[str, str | None, str | None]:
    """The reply, its kind, and what is wrong with it (None: nothing)."""
    found = None if text is None else read_object(text)
    reply = "" if found is None else str(found.get("reply") or "").strip()
    if found is None or not reply:
        return "", None, "the model's answer was not of the form that was asked for"
    kinds = _kinds(shots)
    kind = found.get("kind") if kinds else shots[0].kind
    if kinds and kind not in kinds:
        return "", None, "the model's answer was not of the form that was asked for"
    places = frozenset(places_of(reply))
    if places - names:
        return "", None, f"the model used a place without a value: {', '.join(sorted(places - names))}"
    alike = [shot for shot in shots if shot.kind == kind] or list(shots)
    needed = frozenset.intersection(*(frozenset(places_of(shot.reply)) for shot in alike)) & names
    if needed - places:
        return "", None, f"the model left out {', '.join(sorted(needed - places))}"
    known = {number for shot in shots for number in _NUMBER.findall(shot.reply)} | set(_NUMBER.findall(message))
    invented = sorted(set(_NUMBER.findall(reply)) - known)
    if invented:
        return "", None, f"the model wrote a figure that no approved reply has: {', '.join(invented)}"
    return reply, None if kind is None else str(kind), None
