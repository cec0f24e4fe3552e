"""Learns how to read from the team's questions, and how much of it pays: nothing, a weight, all weights, a cross-encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.interface import Tools
from steelyard.components.nearness import by_tokens
from steelyard.components.quotes import Quote
from steelyard.components.reader import FEATURES, RESCORED_QUOTES, UNTUNED, Matrix, Reader
from steelyard.components.tuning import fit_weights
from steelyard.metrics.answers import contains_answer
from steelyard.models.fitting_plan import Plan
from steelyard.models.loading import torch_source
from steelyard.schema.corpus import Hit
from steelyard.schema.items import Item

Find = Callable[[Item], list[Hit]]
Note = str | int | float

TOKENS = FEATURES.index("tokens")
TOKEN_WEIGHTS = (0.0, 4.0, 8.0, 16.0)
"""Weights of the feature `tokens` that are tried, 0 first: on the development halves 16 raised containment from .81 to .84 on
xquad_en and lowered it from .76 to .50 on postgresql15_docs, so none is right everywhere."""

FOLDS = 4
"""Parts of the questions: each is read with weights tuned on the others, to learn how often a tuned reader is wrong."""

CROSS_PLAN = Plan(
    epochs=3, batch=4, learning_rate=1e-4, head_factor=20.0, warm_up=0.1, patience=3, checkpoint_s=15.0, device="auto"
)
"""Of rates from 7e-5 to 2e-4 by cross-validation on the example's train and validation rows: 2e-4 lost what 1e-4 gained."""

FEWEST_TO_TUNE, FEWEST_TO_CHOOSE = 60, 30
"""Train and validation questions with right and wrong quotes below which no cross-encoder is tried: it would learn by heart."""

TRAINED_QUOTES, TRAINED_RIGHT = 6, 2
"""Quotes of a train question that the cross-encoder learns from, and how many of them may be right: the hardest wrong ones, those
that the weights prefer. Each costs as much as the next, and the last ones teach little."""

EXPORT_S = 20.0
"""Seconds kept back of the budget for loading the model, the export and its check."""

LEAST_S = 15.0
"""Seconds of training below which it is not begun: an epoch would not fit."""

TOGETHER = 50
"""Questions whose quotes are encoded together."""

STEPS = 100
"""What the cross-encoder's training counts in the progress of a fit, as much as so many questions."""


@dataclass(frozen=True)
class Asked:
    """A question with its hits and what a reader made of them."""

    item: Item
    hits: list[Hit]
    quotes: list[Quote]
    features: Matrix

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which quotes answer the question, and from the right document where it names one."""
        return np.array([self.answers(quote) for quote in self.quotes], dtype=np.bool_)

    def answers(self, quote: Quote) -> bool:
        """Whether a quote answers the question, and from the right document where it names one."""
        item, document = self.item, quote.hit.passage.document
        right_page = item.answerable and item.source in (None, document)
        return right_page and contains_answer(quote.text, item.answers) > 0


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A reader, and questions each with a reader that did not learn from it: what declining is learned from.

    `level` says how much was learned: `untuned`, `tokens`, `weights`, `close weights`, `cross-encoder`. `notes` say what was
    compared, and why no more was learned.
    """

    reader: Reader
    readings: Sequence[tuple[Asked, Reader]]
    level: str
    notes: Mapping[str, Note] = field(default_factory=dict)


class Learner:
    """Asks each question once for each way of reading. `find` gives a question's hits."""

    def __init__(self, tools: Tools, find: Find, train: Sequence[Item], validation: Sequence[Item]) -> None:
        self._tools = tools
        self._find = find
        self._train, self._validation = train, validation
        self._begun = perf_counter()
        self._hits: dict[str, list[Hit]] = {}
        self._done = 0
        self._total = len(train) + len(validation)

    def untuned(self) -> Learned:
        """The reader as it comes."""
        reader = Reader(self._tools.encoder)
        return Learned(reader=reader, readings=[(one, reader) for one in self._ask(reader)], level="untuned")

    def reranked(self) -> Learned:
        """Quotes scored token by token as well, with the weight that answered most; as it comes, where that is 0."""
        self._total *= 2
        plain = self.untuned()
        close, asked = self._close()
        if close is None:
            return Learned(**{**vars(plain), "notes": {"tokens": "the encoder gives no token vectors"}})
        weight = token_weight(asked, close, answered(plain.readings))
        notes: dict[str, Note] = {"token_weight": weight}
        if weight == 0.0:
            return Learned(**{**vars(plain), "notes": notes})
        reader = close.reweighted(_with_tokens(weight))
        return Learned(reader=reader, readings=[(one, reader) for one in asked], level="tokens", notes=notes)

    def tuned(self) -> Learned:
        """The least that is learned of what answers more questions: see `_better`.

        Weights are judged on train and validation questions, each read with weights of other questions; a cross-encoder, which
        learns from train questions, on validation questions alone.
        """
        self._total = 2 * self._total + STEPS
        best = base = self.untuned()
        marks = untuned = answered(best.readings)
        notes: dict[str, Note] = {"untuned": _share(best.readings, marks)}
        tuned = _tuned_weights(base.reader, [one for one, _ in base.readings], len(self._train), UNTUNED, "weights")
        close, asked = self._close()
        candidates = [tuned]
        if close is not None:
            prior = _with_tokens(token_weight(asked, close, untuned))
            candidates.append(_tuned_weights(close, asked, len(self._train), prior, "close weights"))
        for one in candidates:
            found = answered(one.readings)
            notes[one.level] = _share(one.readings, found)
            if _better(found, marks):
                best, marks = one, found
        crossed = self._crossed(candidates[-1], marks, notes)
        self._tell(self._total)
        chosen = crossed or best
        return Learned(**{**vars(chosen), "notes": notes})

    def _crossed(self, base: Learned, best: NDArray[np.float64], notes: dict[str, Note]) -> Learned | None:
        """The cross-encoder over the quotes that `base` prefers, when it answers more than `best` (rows,); adds to `notes`."""
        from steelyard.models.pair_fitting import PairGroup, fit_pairs

        count = len(self._train)
        groups: list[PairGroup] = []
        for one, reader in base.readings:
            # By weights of other questions, as new ones will be: the model must learn to mend what those leave wrong.
            scores = one.features @ reader.weights if one.quotes else np.zeros(0)
            first = np.argsort(-scores, kind="stable")[:RESCORED_QUOTES]
            if len(groups) < count:
                first = _hardest(first, one.right)
            texts = tuple(reader.in_context(one.quotes[place]) for place in first)
            groups.append(PairGroup(question=one.item.text, texts=texts, base=scores[first], right=one.right[first]))
        teaching = [sum(group.teaches for group in part) for part in (groups[:count], groups[count:])]
        source, why = self._may_tune(teaching)
        if source is None:
            notes["cross-encoder"] = why
            return None
        plan = _planned(self._tools, self._left_s())
        work = None if self._tools.work is None else self._tools.work / "cross-encoder"
        found = fit_pairs(source, groups[:count], groups[count:], plan, work, self._training)
        if found is None:
            notes["cross-encoder"] = "no step of its training did better on validation questions"
            return None
        notes |= {
            "cross_encoder_gain": round(float(found.gain.mean()), 4),
            "cross_encoder_steps": found.fitted.best_step,
            "cross_encoder_stopped": found.fitted.stopped,
            "cross_encoder_precision": found.scorer.precision,
            "int8_agreement": round(found.agreement, 4),
        }
        reader = base.reader.reweighted(base.reader.weights, found.scorer)
        readings = [(one, reader) for one, _ in base.readings[count:]]
        marks = answered(readings)
        notes["validation"] = _share(readings, best[count:])
        notes["validation with cross-encoder"] = _share(readings, marks)
        if not (_above_noise(found.gain) and _better(marks, best[count:])):
            notes["cross-encoder"] = "it answered no more validation questions than chance would give"
            return None
        return Learned(reader=reader, readings=readings, level="cross-encoder")

    def _may_tune(self, teaching: Sequence[int]) -> tuple[Path | None, str]:
        """The encoder's files to tune from, or why not."""
        source = torch_source(self._tools.encoder)
        if teaching[0] < FEWEST_TO_TUNE or teaching[1] < FEWEST_TO_CHOOSE:
            return None, f"{teaching[0]} train and {teaching[1]} validation questions are too few for it"
        if source is None:
            return None, "the files that the encoder was converted from are not here"
        left = self._left_s()
        if left is not None and left <= LEAST_S:
            return None, "the time budget left too little for it; raise --budget-s"
        return source, ""

    def _left_s(self) -> float | None:
        """Seconds left to train in; None without a budget."""
        budget = self._tools.budget_s
        return None if budget is None else budget - EXPORT_S - (perf_counter() - self._begun)

    def _close(self) -> tuple[Reader | None, list[Asked]]:
        tokens = by_tokens(self._tools.encoder)
        if tokens is None:
            return None, []
        reader = Reader(self._tools.encoder, tokens=tokens)
        return reader, self._ask(reader)

    def _ask(self, reader: Reader) -> list[Asked]:
        found = []
        items = [*self._train, *self._validation]
        for first in range(0, len(items), TOGETHER):
            part = items[first : first + TOGETHER]
            for item in part:
                if item.id not in self._hits:
                    self._hits[item.id] = self._find(item)
            reader.prepare([(item.text, self._hits[item.id]) for item in part])
            for item in part:
                hits = self._hits[item.id]
                found.append(Asked(item, hits, *reader.describe(item.text, hits)))
            self._done += len(part)
            self._tell(self._done)
        return found

    def _training(self, done: int, planned: int) -> None:
        self._tell(self._total - STEPS + STEPS * done // max(1, planned))

    def _tell(self, done: int) -> None:
        self._tools.progress(done, self._total)


def token_weight(asked: Sequence[Asked], reader: Reader, plain: NDArray[np.float64]) -> float:
    """The weight of TOKEN_WEIGHTS with which `reader` answers most questions; 0 unless it beats `plain`, (rows,), see `_better`."""
    found = {
        weight: answered([(one, other) for one in asked])
        for weight in TOKEN_WEIGHTS[1:]
        for other in [reader.reweighted(_with_tokens(weight))]
    }
    best = max(found, key=lambda weight: (float(found[weight].sum()), -weight))
    return best if _better(found[best], plain) else 0.0


def answered(readings: Sequence[tuple[Asked, Reader]]) -> NDArray[np.float64]:
    """1.0 for each question whose quote, as it would be given, answers it from the right document; else 0.0. Nothing is declined."""
    marks = []
    for one, reader in readings:
        reading = reader.choose(one.item.text, one.quotes, one.features)
        marks.append(float(reading is not None and one.answers(reading.best)))
    return np.array(marks)


def _share(readings: Sequence[tuple[Asked, Reader]], marks: NDArray[np.float64]) -> float:
    found = [mark for (one, _), mark in zip(readings, marks, strict=True) if one.item.answerable]
    return round(float(np.mean(found)), 4) if found else 0.0


def _better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return _above_noise(one - other)


def _above_noise(gains: NDArray[np.float64]) -> bool:
    """Whether the mean gain is above its own standard error: more is learned only where it pays.

    Source: the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984.
    """
    if len(gains) < 2:
        return False
    return bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


def _with_tokens(weight: float) -> Matrix:
    weights = UNTUNED.copy()
    weights[TOKENS] = weight
    return weights


def _tuned_weights(untuned: Reader, asked: Sequence[Asked], count: int, prior: Matrix, level: str) -> Learned:
    """Weights of the first `count` questions; those are judged with weights of the other parts, the rest with these."""
    train = asked[:count]
    reader = untuned.reweighted(_weights(train, prior))
    by_item = {
        one.item.id: fold
        for part, rest in _folds(train)
        for fold in [untuned.reweighted(_weights(rest, prior))]
        for one in part
    }
    readings = [(one, by_item.get(one.item.id, reader)) for one in asked]
    return Learned(reader=reader, readings=readings, level=level)


def _weights(asked: Sequence[Asked], prior: Matrix) -> Matrix:
    return fit_weights([one.features for one in asked], [one.right for one in asked], prior=prior)


def _folds(asked: Sequence[Asked]) -> list[tuple[list[Asked], list[Asked]]]:
    """Parts of the questions, each with all others. Questions of one group (one fact in several wordings) stay together."""
    groups = {name: place for place, name in enumerate(dict.fromkeys(_group(one) for one in asked))}
    parts = [[one for one in asked if groups[_group(one)] % FOLDS == fold] for fold in range(FOLDS)]
    return [(part, [one for other in parts if other is not part for one in other]) for part in parts if part]


def _hardest(order: NDArray[np.int64], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of quotes in order of preference the first right ones and the first wrong ones, TRAINED_QUOTES in all, order kept."""
    good = [place for place in order.tolist() if right[place]][:TRAINED_RIGHT]
    wrong = [place for place in order.tolist() if not right[place]][: TRAINED_QUOTES - len(good)]
    return np.array([place for place in order.tolist() if place in {*good, *wrong}], dtype=np.int64)


def _group(asked: Asked) -> str:
    return asked.item.group or asked.item.id


def _planned(tools: Tools, left_s: float | None) -> Plan:
    return Plan(**{**vars(CROSS_PLAN), "seed": tools.seed, "budget_s": left_s})
