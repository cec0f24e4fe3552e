"""A writer whose weights make the sentence: places for slots by constraint, values inserted verbatim, the exemplar where that fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from steelyard.candidates.interface import Tools
from steelyard.candidates.system import PAGE_SLOT
from steelyard.candidates.write_approved import ExemplarWriter
from steelyard.components.carriers import carriers_of, complete
from steelyard.components.linear_head import LinearHead
from steelyard.components.slots import fill, given, situation
from steelyard.dataset.places import PLACE, places_of
from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.fitting_plan import Fitted, Plan
from steelyard.models.loading import torch_source
from steelyard.models.metering import metered
from steelyard.models.reply_generator import ReplyGenerator, Told, read_messages
from steelyard.models.reply_words import Wording, states_number
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Scope

PLAN = Plan(
    epochs=12,
    batch=16,
    learning_rate=1e-3,
    head_factor=2.0,
    warm_up=0.05,
    patience=3,
    threads=1,
    checkpoint_s=15.0,
    device="auto",
)

LEAST_STEPS = 400
"""Steps that few rows get by more epochs: a decoder learns to speak from steps, not from epochs."""

SCORE_STEPS = 20  # at least between two scores: three in a row that are no better must mean something
ALONE_RATE = 5e-3  # where there is no encoder layer to start from

MOST_TOKENS = 320
"""Replies longer than this are not learned from: positions so late are seen too seldom."""

FEWEST_ROWS = 8
EXPORT_S = 5.0
"""Replies below which nothing is learned, and seconds kept back of a budget for what is not training."""

EXEMPLAR = "exemplar"


class TunedWriter:
    """A small decoder on the frozen encoder, trained on the approved replies. Knowledge is in the weights; facts are not.

    Of labelled rows a tuned head chooses the label first and the decoder says it. Each value given is placed exactly once, by the
    search and not by the weights; a number outside slots must stand in the exemplar's reply to the same message. What comes out is
    checked again, and where it fails an approved reply is sent, which the trace says (`fallback`): the exemplar's, where that places
    each value once, else the nearest that places most of them once, with a sentence for each value left out (`completed`).
    """

    name = "tuned-writer"

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._exemplar = ExemplarWriter(tools)
        self._generator: ReplyGenerator | None = None
        self._head: LinearHead | None = None
        self._acts: list[str] = []
        self._parity = 0.0
        self._training: dict[str, Any] = {}

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. Validation rows choose when training stops and join what the exemplar knows.

        Raises:
            UserError: too few rows have an approved reply to learn from.
            ModelError: training diverged, or the export disagrees with torch.
        """
        from steelyard.models.reply_fitting import ReplyTask, fit_replies

        rows, held = _learnable(train), _learnable(validation)
        if len(rows) < FEWEST_ROWS:
            raise UserError(
                f"{len(rows)} approved replies that can be learned from are too few for weights.",
                where=self.name,
                remedy=f"Add rows with an output (each place at most once) until there are {FEWEST_ROWS}, or take exemplar.",
                code="candidate.no_rows",
            )
        self._exemplar.fit(train, validation)
        self._learn_acts(rows, held)
        wording = Wording.of([item.output or "" for item in rows])
        told = self._told(rows), self._told(held)
        task = ReplyTask(torch_source(self._tools.encoder), wording, len(self._acts), *told)
        budget = self._tools.budget_s
        left = None if budget is None else max(1.0, budget - EXPORT_S)
        plan = _planned(len(rows), task.starts, self._tools.seed, left)
        work = None if self._tools.work is None else self._tools.work / "writer"
        found = fit_replies(task, told[1] or told[0], plan, work, self._tools.progress)
        self._generator, self._parity = found.generator, found.parity
        self._training = _training(found.fitted)
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        """See `Candidate.predict`. `template` is the reply before its slots were filled, `label` what it was to say."""
        if self._generator is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        names = tuple(
            name
            for name in request.slots
            if name in given(request.slots) and self._takes(name, self._generator.wording)
        )
        text = situation(request.text, request.slots)
        with metered() as meter:
            like = self._exemplar.predict(request, scope)
            label, act = self._act(text, request.label)
            source = like.template or ""
            vectors = read_messages(self._tools.encoder, [text])[0]
            written = self._generator.write(Told(vectors=vectors, slots=names, act=act), source)
        template = self._generator.wording.text(written.ids, [one for one in names if self._is_other(one)])
        why = "it came to no end" if written.forced else fault(template, names, source)
        if why is not None:
            return self._instead(request, names, like, meter.usage, f"the tuned reply was not used: {why}")
        unused = sorted(given(request.slots) - set(names))
        trace: tuple[tuple[str, str], ...] = (
            ("written", f"{len(written.ids)} words"),
            ("score", f"{written.score:.4f}"),
        )
        if unused:
            trace = (*trace, ("unused", ", ".join(unused)))
        filled = fill(template, request.slots)
        return Output(text=filled, label=label or like.label, template=template, usage=meter.usage, trace=trace)

    def save(self, folder: Path) -> None:
        """See `Candidate.save`."""
        if self._generator is None:
            raise NotFittedError(
                f"'{self.name}' is not fitted.", remedy="Call fit or load first.", code="candidate.not_fitted"
            )
        arrays, head = self._head.state() if self._head is not None else ({}, None)
        writer = {
            "candidate": self.name,
            "encoder": self._tools.encoder.name,
            "wording": self._generator.wording.to_json(),
            "acts": self._acts,
            "head": head,
            "parity": self._parity,
            "training": self._training,
        }
        self._exemplar.save(folder / EXEMPLAR)
        save_artefact(folder, {**arrays, **self._generator.arrays()}, {"writer": writer})

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`.

        Raises:
            ModelError: the artefact is damaged, of another candidate, or made with another encoder.
        """
        arrays, meta = load_artefact(folder)
        writer = meta["writer"]
        if (writer["candidate"], writer["encoder"]) != (self.name, self._tools.encoder.name):
            raise ModelError(
                f"this is '{writer['candidate']}' made with encoder {writer['encoder']}.",
                where=str(folder),
                remedy="Train it again with this encoder.",
                code="candidate.other_artefact",
            )
        self._exemplar.load(folder / EXEMPLAR)
        self._acts, self._parity, self._training = list(writer["acts"]), writer["parity"], writer["training"]
        self._head = LinearHead.from_state(arrays, writer["head"]) if writer["head"] is not None else None
        self._generator = ReplyGenerator.from_arrays(arrays, Wording.from_json(writer["wording"]))
        return self

    @property
    def training(self) -> dict[str, Any]:
        """How the training went: steps, the best step and its validation score, why it stopped, seconds; {} before."""
        return dict(self._training)

    def _instead(self, request: Request, names: Sequence[str], like: Output, usage: Usage, why: str) -> Output:
        """An approved reply that places each of `names` once, with sentences of approved replies for those it leaves out."""
        fine = not like.abstained and sorted(places_of(like.template or "")) == sorted(names)
        reply = like if fine else self._exemplar.predict_once(request, names)
        trace = (*reply.trace, ("fallback", why))
        if reply.abstained:
            return Output(abstained=True, usage=usage, trace=trace)
        left = [name for name in names if name not in places_of(reply.template or "")]
        if not left:
            return Output(**{**vars(reply), "usage": usage, "trace": trace})
        template = complete(reply.template or "", left, carriers_of(self._exemplar.approved))
        trace = (*trace, ("completed", ", ".join(left)))
        text = fill(template, request.slots)
        return Output(text=text, label=reply.label, template=template, usage=usage, trace=trace)

    def _learn_acts(self, rows: Sequence[Item], held: Sequence[Item]) -> None:
        self._acts, self._head = [], None
        if not all(item.label for item in (*rows, *held)) or len({item.label for item in rows}) < 2:
            return
        parts = []
        for part in (rows, held):
            texts = [situation(item.text, item.slots) for item in part]
            parts.append((texts, self._tools.encoder.encode(texts), [item.label or "" for item in part]))
        self._head = LinearHead(seed=self._tools.seed).fit(parts[0], parts[1])
        self._acts = sorted({item.label or "" for item in rows})

    def _act(self, text: str, routed: str | None) -> tuple[str | None, int]:
        """What to say, and its number; the routed kind where the replies have it."""
        if self._head is None:
            return None, 0
        if routed in self._acts:
            return routed, 1 + self._acts.index(str(routed))
        likely = self._head.log_probabilities([text], self._tools.encoder.encode([text]))[0]
        label = self._head.labels_[int(likely.argmax())]
        return label, 1 + self._acts.index(label) if label in self._acts else 0

    def _told(self, rows: Sequence[Item]) -> list[Any]:
        from steelyard.models.reply_fitting import ReplyRow

        read = read_messages(self._tools.encoder, [situation(item.text, item.slots) for item in rows])
        return [
            ReplyRow(
                told=Told(
                    vectors=vectors,
                    slots=places_of(item.output or ""),
                    act=1 + self._acts.index(item.label or "") if (item.label or "") in self._acts else 0,
                ),
                reply=item.output or "",
            )
            for item, vectors in zip(rows, read, strict=True)
        ]

    def _takes(self, name: str, wording: Wording) -> bool:
        # The title of the page that answered is offered to every reply; it is placed only where approved replies place it.
        # A name that no place can have is needed by no reply.
        return (name != PAGE_SLOT or name in wording.slots) and PLACE.fullmatch(f"{{{name}}}") is not None

    def _is_other(self, name: str) -> bool:
        assert self._generator is not None
        return name not in self._generator.wording.slots


def fault(template: str, names: Sequence[str], source: str) -> str | None:
    """Why a reply may not be sent, or None: its places must be `names`, each once, and its numbers those of `source`."""
    places = places_of(template)
    if sorted(places) != sorted(names):
        return "its slots are not those given"
    if not template.strip() or "{" in _without(template, places) or "}" in _without(template, places):
        return "it is empty or has a brace of its own"
    said = source.split()
    strange = [
        word
        for word in template.split()
        if states_number(word) and not any(word.strip(".,;:!?") in own for own in said)
    ]
    first = [line.split()[0] for line in template.split("\n") if line.split()]
    strange = [word for word in strange if word not in first]
    return f"it states {strange[0]}, which no like reply does" if strange else None


def _without(template: str, places: Sequence[str]) -> str:
    for place in places:
        template = template.replace(f"{{{place}}}", "")
    return template


def _learnable(items: Sequence[Item]) -> list[Item]:
    """Rows whose reply has each place at most once and is no longer than can be learned."""
    found = []
    for item in items:
        places = places_of(item.output or "")
        if item.output and item.output.strip() and len(set(places)) == len(places) and _short(item.output):
            found.append(item)
    return found


def _short(reply: str) -> bool:
    from steelyard.models.reply_words import pieces_of

    return len(pieces_of(reply)) <= MOST_TOKENS


def _planned(rows: int, starts: bool, seed: int, budget_s: float | None) -> Plan:
    epoch_steps = math.ceil(rows / PLAN.batch)
    return replace(
        PLAN,
        epochs=max(PLAN.epochs, LEAST_STEPS / epoch_steps),
        learning_rate=PLAN.learning_rate if starts else ALONE_RATE,
        evaluate_every=max(epoch_steps, SCORE_STEPS),
        seed=seed,
        budget_s=budget_s,
    )


def _training(fitted: Fitted) -> dict[str, Any]:
    return {
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "best_score": round(fitted.best_score, 4),
        "stopped": fitted.stopped,
        "seconds": round(fitted.seconds, 1),
    }
