"""Routers whose encoder is tuned as well: by contrast, or end to end with the head. They cost minutes, and often gain nothing."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates.classify_router import LinearRouter
from steelyard.candidates.classify_votes import Labelled, Votes
from steelyard.candidates.interface import Tools
from steelyard.components.calibration import fit_temperature, negative_log_likelihood
from steelyard.components.linear_head import LinearHead, Weights, logistic_weights
from steelyard.models.encoder import OnnxEncoder, Precision
from steelyard.models.fitting_plan import Fitted, Plan, Trainable
from steelyard.models.interface import Vectors
from steelyard.models.loading import torch_source
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item

FEW_ROWS = 2_000
"""Up to here every row counts: label names are tried as rows, and the encoder is tuned a second time on train and validation rows
together. Beyond, names drown, and the second time would cost as much again for 15 % more rows."""

JUDGED_PER_LABEL = 20  # training rows of a label that an encoder is judged by while it trains: reading all would take longer than training
JUDGE_STRENGTH = 10.0
SCORES = 5  # validation scores of a whole training
EXPORT_S = 20.0  # writing and checking the ONNX form, on a busy core
INT8_AGREEMENT = 0.99  # share of validation rows on which int8 must say what fp32 says, or fp32 serves
ENCODER = "encoder"

CONTRAST = Plan(epochs=10, batch=64, learning_rate=1e-4, patience=2)
WHOLE = Plan(epochs=12, batch=32, learning_rate=1e-4, head_factor=20.0, layer_decay=0.8, patience=2)
MOST_TEXTS = 25_000
"""Texts read in a training: ten times 2,500 rows, or once or twice the rows of a large set."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Texts and labels, row by row."""

    texts: list[str]
    labels: list[str]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A tuned encoder in the form that serves, the head on it, and how the training went."""

    encoder: OnnxEncoder
    head: LinearHead
    fitted: Fitted


class TunedRouter(LinearRouter, ABC):
    """What both ways share: tune, compare with the untouched encoder on validation rows, keep the better, serve as ONNX.

    `notes_` says afterwards what was chosen and why. Where the training did no good the candidate is `linear` under another name.
    """

    plan = CONTRAST

    def __init__(self, tools: Tools, *, refit: bool = True) -> None:
        super().__init__(tools, refit=refit)
        self._encoder: OnnxEncoder | None = None
        self._home: Path | None = None
        self.notes_: dict[str, Any] = {}

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        """See `Candidate.fit`. A training that was cut off goes on where it was, in `tools.work`, to the same weights.

        Raises:
            UserError: no row has a label, or the encoder's own weights are not here to be tuned.
            MissingExtraError: the training libraries are not installed.
        """
        self._begun = perf_counter()
        self._encoder, self.notes_ = None, {}
        return super().fit(train, validation)

    def _temperature_of(self, _items: Sequence[Item], _known: Labelled, _unseen: Labelled) -> float:
        return 1.0  # a training for each fold of the rows would take too long

    def _learn(self, train: Labelled, held: Labelled) -> Votes:
        source = self._source()
        few = len(train.texts) + len(held.texts) <= FEW_ROWS
        train, plain = self._untouched(train, held, few)
        chosen = self._tuned(source, train, held, plain)
        self.notes_["loss_untouched"] = round(plain.validation_loss_, 4)
        if chosen is None or chosen.head.validation_loss_ >= plain.validation_loss_:
            self.notes_["encoder"] = "kept as it is: no tuned one made the validation labels likelier"
            if self._refit:
                plain.fit_again(*_both(train, held))
            self._head = plain
            return _votes(plain)
        votes = _votes(chosen.head)
        self.notes_ |= {
            "encoder": "tuned",
            "loss_tuned": round(chosen.head.validation_loss_, 4),
            "steps": chosen.fitted.best_step,
            "stopped": chosen.fitted.stopped,
        }
        self._encoder, self._head = chosen.encoder, chosen.head
        if self._refit:
            self._again(source, train, held, chosen, few)
        return votes

    def _untouched(self, train: Labelled, held: Labelled, few: bool) -> tuple[Labelled, LinearHead]:
        """Training rows, with the labels' names among them where that helps, and the head on vectors of the encoder as it is."""
        head = self._fresh_head().fit(_parts(train), _parts(held))
        if not few:
            return train, head
        labels = sorted(set(train.labels) - {self._tools.out_of_scope_label})
        names = [label.replace("_", " ").replace("-", " ") for label in labels]
        named = Labelled(
            [*train.texts, *names],
            np.concatenate([train.vectors, self._tools.encoder.encode(names)]),
            [*train.labels, *labels],
        )
        other = self._fresh_head().fit(_parts(named), _parts(held))
        better = other.validation_loss_ < head.validation_loss_
        self.notes_["label_names"] = better
        return (named, other) if better else (train, head)

    def _tuned(self, source: Path, train: Labelled, held: Labelled, plain: LinearHead) -> Chosen | None:
        """Trained on `train` alone, the best step by `held`; None where no step was better than none."""
        index = {label: at for at, label in enumerate(sorted(set(train.labels)))}
        known = [at for at, label in enumerate(held.labels) if label in index]
        if not known:
            return None
        truth = np.array([index[held.labels[at]] for at in known], dtype=np.int64)
        rows = Rows(texts=train.texts, labels=train.labels)
        task = self._task(source, rows, [held.texts[at] for at in known], truth, plain.dense_weights)
        fitted = self._trained(task, self._plan(task.rows, self._first_share()), "choose")
        if fitted.best_step == 0:
            return None
        encoder, weights = self._exported(source, fitted, "choose")
        read = replace(train, vectors=encoder.encode(train.texts)), replace(held, vectors=encoder.encode(held.texts))
        head = self._fresh_head().fit(_parts(read[0]), _parts(read[1]), weights)
        encoder = self._smallest(encoder, head, held)
        return Chosen(encoder=encoder, head=head, fitted=fitted)

    def _again(self, source: Path, train: Labelled, held: Labelled, chosen: Chosen, few: bool) -> None:
        """Learn from validation rows too: the encoder where rows are few and time is left, else the head alone."""
        both = Rows(texts=[*train.texts, *held.texts], labels=[*train.labels, *held.labels])
        plan = self._plan(len(both.texts), 1.0)
        epochs = chosen.fitted.best_step / math.ceil(len(train.texts) / plan.batch)
        plan = replace(plan, epochs=epochs, keep="last", evaluate_every=10**9)
        left = plan.budget_s is None or plan.budget_s > chosen.fitted.seconds
        if few and left:
            start = self._start(both, np.concatenate([train.vectors, held.vectors]), chosen)
            fitted = self._trained(self._task(source, both, [], np.zeros(0, dtype=np.int64), start), plan, "again")
            if fitted.stopped == "done":
                encoder, weights = self._exported(source, fitted, "again", chosen.encoder.precision == "int8")
                self._encoder = encoder
                self._head.fit_again(both.texts, encoder.encode(both.texts), both.labels, weights)
                return
        self.notes_["again"] = "the head alone learned from validation rows"
        self._head_again(both, chosen)

    def _start(self, _rows: Rows, _vectors: Vectors, _chosen: Chosen) -> Weights:
        """The head that a second training starts from."""
        return np.zeros((0, 0), dtype=np.float32)

    def _head_again(self, rows: Rows, chosen: Chosen) -> None:
        """Fit the head again on all rows, on the encoder that was chosen."""
        self._head.fit_again(rows.texts, chosen.encoder.encode(rows.texts), rows.labels)

    @abstractmethod
    def _task(
        self, _source: Path, _rows: Rows, _held: list[str], _truth: NDArray[np.int64], _start: Weights
    ) -> Trainable: ...

    def _weights(self, fitted: Fitted) -> tuple[dict[str, NDArray[Any]], Weights | None]:
        """The encoder's weights, and those of the head where it learned as well."""
        return dict(fitted.weights), None

    def _trained(self, task: Trainable, plan: Plan, stage: str) -> Fitted:
        from steelyard.models.fitting import fit

        folder = None if self._tools.work is None else self._tools.work / stage
        return fit(task, plan, folder, self._tools.progress)

    def _plan(self, rows: int, share: float) -> Plan:
        """The plan for so many rows, within what is left of the budget."""
        epochs = min(self.plan.epochs, max(1.0, MOST_TEXTS / rows))
        steps = math.ceil(epochs * math.ceil(rows / self.plan.batch))
        budget = self._tools.budget_s
        left = None if budget is None else max(0.0, share * (budget - EXPORT_S - (perf_counter() - self._begun)))
        return replace(
            self.plan,
            epochs=epochs,
            evaluate_every=max(1, math.ceil(steps / SCORES)),
            seed=self._tools.seed,
            budget_s=left,
        )

    def _first_share(self) -> float:
        """The share of the time that choosing may take; the rest is for learning again from all rows."""
        return 0.5 if self._refit else 1.0

    def _exported(
        self, source: Path, fitted: Fitted, stage: str, int8: bool = False
    ) -> tuple[OnnxEncoder, Weights | None]:
        from steelyard.models.tuned_encoder import export_tuned

        weights, head = self._weights(fitted)
        folder = self._folder() / stage
        base = self._tools.encoder.name.split("-")[0]
        export_tuned(source, weights, folder, f"{base}-{self.name}", int8=int8 or self._wants_int8())
        encoder = OnnxEncoder(folder, "fp32")
        return OnnxEncoder(folder, "int8") if int8 and encoder.parity["int8"]["allowed"] else encoder, head

    def _wants_int8(self) -> bool:
        """Whether the untouched encoder serves in int8: the tuned one follows where it may."""
        return "-int8-" in self._tools.encoder.name

    def _smallest(self, encoder: OnnxEncoder, head: LinearHead, held: Labelled) -> OnnxEncoder:
        """int8 where it is there and says on validation rows what fp32 says; else fp32. The flipped rows are noted."""
        if not encoder.parity["int8"]["allowed"]:
            return encoder
        small = OnnxEncoder(self._folder() / "choose", "int8")
        exact, quick = (
            head.log_probabilities(held.texts, one.encode(held.texts)).argmax(axis=1) for one in (encoder, small)
        )
        flipped = np.flatnonzero(exact != quick)
        self.notes_["int8_flipped"] = [held.texts[at] for at in flipped.tolist()]
        return small if len(flipped) <= (1 - INT8_AGREEMENT) * len(exact) else encoder

    def _folder(self) -> Path:
        """Where the tuned encoder lies until it is saved; gone with this object."""
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="steelyard-tuned-"))
            weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return self._home

    def _source(self) -> Path:
        source = torch_source(self._tools.encoder)
        if source is None:
            raise UserError(
                f"'{self.name}' tunes the encoder's own weights, and those of {self._tools.encoder.name} are not here.",
                remedy="Name the Hugging Face folder under [models] encoder, or install 'steelyard[train]'.",
                code="candidate.not_tunable",
            )
        return source

    def _fresh_head(self) -> LinearHead:
        return LinearHead(seed=self._tools.seed, refit=False, lexical=self.lexical)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return super()._vectors(texts) if self._encoder is None else self._encoder.encode(list(texts))

    def save(self, folder: Path) -> None:
        """See `Candidate.save`; the tuned encoder is in its subfolder `encoder`, as ONNX and as safetensors."""
        super().save(folder)
        shutil.rmtree(folder / ENCODER, ignore_errors=True)
        if self._encoder is not None:
            shutil.copytree(self._encoder.folder, folder / ENCODER)

    def load(self, folder: Path) -> Self:
        """See `Candidate.load`."""
        super().load(folder)
        precision: Precision | None = self.notes_.get("precision")
        self._encoder = None if precision is None else OnnxEncoder(folder / ENCODER, precision)
        return self

    def _state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        arrays, meta = super()._state()
        notes = dict(self.notes_, precision=None if self._encoder is None else self._encoder.precision)
        return arrays, {**meta, "tuning": notes}

    def _restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        super()._restore(arrays, meta)
        self.notes_ = dict(meta["tuning"])


class ContrastiveRouter(TunedRouter):
    """The encoder tuned so that messages of one label lie together, then the head of `linear` on its vectors."""

    name = "contrastive"
    plan = CONTRAST

    def _task(self, source: Path, rows: Rows, held: list[str], truth: NDArray[np.int64], _start: Weights) -> Trainable:
        from steelyard.models.sentence_fitting import ContrastiveTask, LabelledTexts

        labels = _numbered(rows.labels)
        judged = _first_of_each(labels, JUDGED_PER_LABEL)
        judge = _judge(labels[judged], truth, self._tools.seed)
        return ContrastiveTask(source, LabelledTexts(texts=rows.texts, labels=labels), held, judged, judge)


class FullRouter(TunedRouter):
    """Encoder and head tuned end to end; the head starts as that of `linear`."""

    name = "full"
    plan = WHOLE

    def _task(self, source: Path, rows: Rows, held: list[str], truth: NDArray[np.int64], start: Weights) -> Trainable:
        from steelyard.models.sentence_fitting import FullTask, LabelledTexts

        texts = LabelledTexts(texts=rows.texts, labels=_numbered(rows.labels))
        return FullTask(source, texts, held, lambda logits: _likelihood(logits, truth), start)

    def _weights(self, fitted: Fitted) -> tuple[dict[str, NDArray[Any]], Weights | None]:
        from steelyard.models.sentence_fitting import split_full

        return split_full(fitted.weights)

    def _start(self, rows: Rows, vectors: Vectors, chosen: Chosen) -> Weights:
        labels = _numbered(rows.labels)
        return logistic_weights(vectors, labels, int(labels.max()) + 1, chosen.head.strength_, self._tools.seed)

    def _head_again(self, rows: Rows, chosen: Chosen) -> None:
        # The head learned with the encoder; one fitted afterwards on vectors that already know the labels would be too sure.
        if set(rows.labels) == set(chosen.head.labels_):
            vectors = np.zeros((len(rows.texts), chosen.encoder.dim), dtype=np.float32)
            self._head.fit_again(rows.texts, vectors, rows.labels, chosen.head.dense_weights)


def _judge(known: NDArray[np.int64], truth: NDArray[np.int64], seed: int) -> Callable[[Vectors, Vectors], float]:
    """How likely the labels of validation rows are under a head on the vectors of a few known rows."""

    def judge(vectors: Vectors, held: Vectors) -> float:
        weights = logistic_weights(vectors, known, int(known.max()) + 1, JUDGE_STRENGTH, seed)
        return _likelihood(np.asarray(held @ weights[:-1] + weights[-1], dtype=np.float64), truth)

    return judge


def _likelihood(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    # At its best temperature: how right it is, not how well calibrated it happens to be.
    return -negative_log_likelihood(logits, truth, fit_temperature(logits, truth))


def _numbered(labels: Sequence[str]) -> NDArray[np.int64]:
    index = {label: at for at, label in enumerate(sorted(set(labels)))}
    return np.array([index[label] for label in labels], dtype=np.int64)


def _first_of_each(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return np.sort(np.concatenate([np.flatnonzero(labels == one)[:most] for one in np.unique(labels)]))


def _parts(rows: Labelled) -> tuple[list[str], Vectors, list[str]]:
    return rows.texts, rows.vectors, rows.labels


def _both(train: Labelled, held: Labelled) -> tuple[list[str], Vectors, list[str]]:
    return (
        [*train.texts, *held.texts],
        np.concatenate([train.vectors, held.vectors]),
        [*train.labels, *held.labels],
    )


def _votes(head: LinearHead) -> Votes:
    seen = head.validation_log_probabilities_
    return Votes(seen, head.chosen_labels_, np.zeros(len(seen)))
