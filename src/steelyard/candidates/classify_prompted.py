"""Routers that ask a language model: the label list alone, with fixed examples, or with the nearest ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from steelyard.candidates.interface import Tools
from steelyard.candidates.prompting import (
    ANSWERS_AT_ONCE,
    Asking,
    batches,
    fence,
    load_prompt,
    made_with,
    read_object,
    same_making,
    stepped,
)
from steelyard.components.calibration import fit_threshold
from steelyard.components.declining import Decliner
from steelyard.models.artefact import Arrays, load_artefact, save_artefact
from steelyard.models.interface import Vectors
from steelyard.models.metering import metered
from steelyard.schema.errors import NotFittedError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

FEW_SHOTS = 24
RETRIEVED_SHOTS = 8

CALIBRATION_ROWS = 100
"""Validation rows that are asked to learn what the model's confidence means; each costs a call, and a hundred place a threshold."""

ROOM_ROWS = 8
"""Messages whose prompts are counted to see whether the usual one fits the model's context."""

LABEL_TOKENS = 64
"""Room for the answer: one label and a number."""

LONGEST_MESSAGE = 6_000
"""Characters of a message that are sent; what a message is about is said before that."""

EVEN = 1.0  # without a threshold only what the model itself calls out of scope is


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What the model made of a message; `label` None: nothing of the form that was asked for."""

    label: str | None
    confidence: float


class PromptedRouter:
    """What prompted routers share: the label list from the rows, the confidence calibrated on validation, strict reading.

    The model names one label of the list or "none of them", and how sure it is. What that confidence is worth is learned from up to
    CALIBRATION_ROWS validation rows, and with them the threshold below which the message counts as out of scope. An answer outside the
    list is no label: the message counts as out of scope and the output as malformed.
    """

    name = "prompted"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._labels: list[str] = []

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`.

        Raises:
            UserError: no row has a label, or there is no generator.
            CannotBuildError: the usual prompt does not fit the model's context.
            GeneratorError, StoppedError: a call failed; answers that came before are kept.
        """
        asking = Asking(self._tools, self.name)
        rows = [item for item in train if item.label]
        if not rows:
            raise UserError(
                "there are no labelled rows to learn from.",
                where=self.name,
                remedy="Add rows.",
                code="candidate.no_rows",
            )
        outside = self._tools.out_of_scope_label
        held = _spread([item for item in validation if item.label], outside)
        self._labels = sorted({item.label or "" for item in rows} - {outside})
        self._remember(rows)
        texts = [item.text for item in held]
        some = texts[:ROOM_ROWS] or [item.text for item in rows[:ROOM_ROWS]]
        asking.require_room(self._prompts(some), LABEL_TOKENS, self.name)
        said = self._said_of(asking, texts)
        right = np.array([one.label == item.label for one, item in zip(said, held, strict=True)], dtype=bool)
        beyond = np.array([item.label == outside for item in held], dtype=bool)
        self._trust = Decliner.fit(np.array([[one.confidence] for one in said]).reshape(-1, 1), right)
        self._threshold = None
        if len(held):
            distance = np.array([self._distance(one) for one in said])
            self._threshold = fit_threshold(distance, right, beyond)
        # Validation rows join the examples once nothing more is chosen on them.
        self._remember([*rows, *(item for item in validation if item.label)])
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `probability` is that of the label given.

        Raises:
            GeneratorError, StoppedError: the model did not answer.
        """
        del scope  # a router reads the message only
        self._check_ready()
        asking = Asking(self._tools, self.name)
        with metered() as meter:
            said = self._said_of(asking, [request.text])[0]
        return self._output(said, asking.usage(meter), asking.notes)

    @property
    def made_with(self) -> dict[str, str]:
        """See `prompting.made_with`."""
        return made_with(load_prompt("classify"), Asking(self._tools, self.name).generator)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`. Writes the prompt's version and the generator's name, never a key."""
        self._check_ready()
        arrays, examples = self._examples()
        meta = {
            "candidate": self.name,
            "prompt": load_prompt("classify").label,
            "generator": Asking(self._tools, self.name).generator.name,
            "labels": self._labels,
            "out_of_scope_label": self._tools.out_of_scope_label,
            "threshold": self._threshold,
            "decline_below": self._trust.threshold,
        }
        save_artefact(folder, {"trust": self._trust.coefficients, **arrays}, {"router": meta, "examples": examples})

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, of another candidate, or was made with another prompt or generator.
        """
        arrays, meta = load_artefact(folder)
        common = meta["router"]
        same_making(common, self.name, load_prompt("classify"), Asking(self._tools, self.name).generator, str(folder))
        self._labels = list(common["labels"])
        self._threshold = common["threshold"]
        self._trust = Decliner(arrays["trust"], float(common["decline_below"]))
        self._restore(arrays, meta["examples"])
        return self

    def _remember(self, _rows: Sequence[Item]) -> None:
        """Keep what prompts show of the rows; the label list alone needs none."""

    def _shots(self, _texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        """The examples, text and label, that the prompt of each text shows."""
        return [[] for _ in _texts]

    def _examples(self) -> tuple[Arrays, Mapping[str, Any]]:
        return {}, {}

    def _restore(self, _arrays: Arrays, _meta: Mapping[str, Any]) -> None: ...

    def _said_of(self, asking: Asking, texts: Sequence[str]) -> list[_Said]:
        prompts = self._prompts(texts)
        choices = [*self._labels, self._tools.out_of_scope_label]
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": choices}, "confidence": {"type": "integer"}},
            "required": ["label", "confidence"],
            "additionalProperties": False,
        }
        found: list[_Said] = []
        for part in batches(prompts, ANSWERS_AT_ONCE):
            found += (_read(text, choices) for text in asking.texts(part, max_tokens=LABEL_TOKENS, schema=schema))
            if len(prompts) > 1:
                self._tools.progress(len(found), len(prompts))
        return found

    def _prompts(self, texts: Sequence[str]) -> list[tuple[Message, ...]]:
        cut = [text[:LONGEST_MESSAGE] for text in texts]
        return [self._prompt(text, shots) for text, shots in zip(cut, self._shots(texts), strict=True)]

    def _prompt(self, text: str, shots: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
        return load_prompt("classify").messages(
            labels=self._labels,
            outside=self._tools.out_of_scope_label,
            shots=[{"text": said, "label": label} for said, label in shots],
            # Of what every request shares, so that a provider's cache holds it; of the message too where examples differ anyway.
            fence=fence(text, *(said for said, _ in shots), *self._labels),
            message=text,
        )

    def _distance(self, said: _Said) -> float:
        """How far outside all labels: 0 to 1 for a label the surer it is, 1 to 2 for "none of them"."""
        # What it says itself, not what that is worth: few rows give every confidence the same worth, and it still ranks.
        beyond = said.label in (None, self._tools.out_of_scope_label)
        return 1.0 + said.confidence if beyond else 1.0 - said.confidence

    def _output(self, said: _Said, usage: Any, notes: tuple[str, ...]) -> Output:
        outside = self._tools.out_of_scope_label
        threshold = EVEN if self._threshold is None else self._threshold
        distance = self._distance(said)
        trace = (
            ("prompt", load_prompt("classify").label),
            ("said", "(malformed)" if said.label is None else said.label),
            ("confidence", f"{said.confidence:.2f}"),
            ("distance", f"{distance:.4f}"),
            ("threshold", f"{threshold:.4f}"),
            *(("generator", note) for note in notes),
        )
        sure = self._trust.confidence(np.array([said.confidence]))
        well_formed = said.label is not None
        if distance > threshold or said.label in (None, outside):
            probability = sure if said.label == outside else 1.0 - sure
            return Output(
                label=outside,
                probability=probability,
                out_of_scope=True,
                trace=trace,
                usage=usage,
                well_formed=well_formed,
            )
        return Output(label=said.label, probability=sure, trace=trace, usage=usage, well_formed=well_formed)

    def _check_ready(self) -> None:
        if not self._labels:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )


class ZeroShot(PromptedRouter):
    """The label list in a prompt."""

    name = "zero-shot"


class FewShot(PromptedRouter):
    """A fixed set of labelled examples in the prompt: of each label those nearest to its middle, the commonest labels first."""

    name = "few-shot"

    def _remember(self, rows: Sequence[Item]) -> None:
        self._fixed = _typical(rows, self._tools.encoder.encode([item.text for item in rows]))

    def _shots(self, texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        return [self._fixed for _ in texts]

    def _examples(self) -> tuple[Arrays, Mapping[str, Any]]:
        return {}, {"fixed": [list(one) for one in self._fixed]}

    def _restore(self, _arrays: Arrays, meta: Mapping[str, Any]) -> None:
        self._fixed = [(str(text), str(label)) for text, label in meta["fixed"]]


class RetrievedFewShot(PromptedRouter):
    """The nearest labelled examples in the prompt; mending an example takes effect at once."""

    name = "retrieved-few-shot"

    def _remember(self, rows: Sequence[Item]) -> None:
        self._known = [(item.text[:LONGEST_MESSAGE], item.label or "") for item in rows]
        self._vectors: Vectors = self._tools.encoder.encode([item.text for item in rows])

    def _shots(self, texts: Sequence[str]) -> list[list[tuple[str, str]]]:
        similar = self._tools.encoder.encode(list(texts)) @ self._vectors.T
        # The nearest stands last, right before the message: models weigh what they read last most.
        order = np.argsort(-similar, axis=1, kind="stable")[:, :RETRIEVED_SHOTS][:, ::-1]
        return [[self._known[at] for at in row] for row in order.tolist()]

    def _examples(self) -> tuple[Arrays, Mapping[str, Any]]:
        known = [list(one) for one in self._known]
        return {"vectors": self._vectors}, {"known": known, "encoder": self._tools.encoder.name}

    def _restore(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        self._known = [(str(text), str(label)) for text, label in meta["known"]]
        # Vectors of another encoder would find strangers: the texts are kept, so they are embedded again.
        same = meta["encoder"] == self._tools.encoder.name
        self._vectors = arrays["vectors"] if same else self._tools.encoder.encode([text for text, _ in self._known])


def _read(text: str | None, choices: Sequence[str]) -> _Said:
    found = None if text is None else read_object(text)
    label = None if found is None else found.get("label")
    if found is None or label not in choices:
        return _Said(label=None, confidence=0.0)
    stated = found.get("confidence")
    percent = float(stated) if isinstance(stated, int | float) else 0.0
    return _Said(label=str(label), confidence=min(max(percent, 0.0), 100.0) / 100.0)


def _spread(rows: Sequence[Item], outside: str) -> list[Item]:
    """Up to CALIBRATION_ROWS of the rows at even steps, those beyond all labels first, up to a third of them."""
    beyond = [item for item in rows if item.label == outside]
    inside = [item for item in rows if item.label != outside]
    some = stepped(beyond, CALIBRATION_ROWS // 3)
    return [*some, *stepped(inside, CALIBRATION_ROWS - len(some))]


def _typical(rows: Sequence[Item], vectors: Vectors) -> list[tuple[str, str]]:
    """FEW_SHOTS rows: of each label in turn the one nearest to the label's middle that is not taken, the commonest label first."""
    labels = [item.label or "" for item in rows]
    queues = []
    for label, _ in sorted(Counter(labels).items(), key=lambda one: (-one[1], one[0])):
        places = [at for at, own in enumerate(labels) if own == label]
        near = vectors[places] @ vectors[places].mean(axis=0)
        queues.append([places[at] for at in np.argsort(-near, kind="stable").tolist()])
    chosen: list[int] = []
    for depth in range(max(len(queue) for queue in queues)):
        chosen += [queue[depth] for queue in queues if depth < len(queue)]
    return [(rows[at].text[:LONGEST_MESSAGE], labels[at]) for at in chosen[:FEW_SHOTS]]
