"""Trains a small decoder to write replies from the frozen encoder's vectors, starting from the encoder's own words and layers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.fitting import fit, load_weights
from steelyard.models.fitting_plan import Batch, Fitted, Plan
from steelyard.models.reply_generator import ReplyGenerator, Told, logits_of
from steelyard.models.reply_graph import EPSILON, Shape, memory_graph, step_graph
from steelyard.models.reply_module import decoder
from steelyard.models.reply_start import started
from steelyard.models.reply_words import BEGIN, END, OTHER_SLOT, UNKNOWN, Wording
from steelyard.schema.errors import ModelError

LAYERS = 1
HEAD_WIDTH = 32  # that of MiniLM
NAMELESS = 0.05
"""How often a row's slot is shown without its name, so that a slot of a name never seen can be placed as well."""

SMOOTHING = 0.1  # label smoothing: Szegedy et al., CVPR 2016
PARITY_ROWS = 16
PARITY_TOLERANCE = 1e-3
"""Validation replies that the exported form reads step by step, and how far a logit may be from torch's."""

SCORED_ROWS = 128
"""Validation replies that choose when training stops: 2,000 words say as much as more would, and every epoch waits for them."""

TOGETHER = 8  # rows of a batch that are padded to one length

IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class ReplyRow:
    """What is told, and the approved reply to it, a template."""

    told: Told
    reply: str


@dataclass(frozen=True, kw_only=True)
class TunedReplies:
    """A writer in the form that serves, how its training went, and how far its logits are from torch's at most."""

    generator: ReplyGenerator
    fitted: Fitted
    parity: float


class ReplyTask:
    """See `Trainable`: the likelihood of approved replies, word by word. `source` None: there are no layers to start from."""

    def __init__(
        self,
        source: Path | None,
        wording: Wording,
        acts: int,
        train: Sequence[ReplyRow],
        validation: Sequence[ReplyRow],
    ) -> None:
        self._source = source
        self.wording = wording
        self._acts = acts
        self._train, self._validation = list(train), (list(validation) or list(train))[:SCORED_ROWS]
        longest = max(len(wording.ids(row.reply)) for row in (*self._train, *self._validation))
        width = int(self._train[0].told.vectors.shape[1])
        # Room for what the search may add, and no more: positions beyond were never trained.
        positions = 2 * longest + 64
        heads = max(1, width // HEAD_WIDTH)
        self.shape = Shape(width=width, heads=heads, layers=LAYERS, positions=positions, scale=1.0)

    @property
    def key(self) -> str:
        """See `Trainable.key`."""
        digest = hashlib.sha256(repr((self.shape, self._acts, LAYERS, NAMELESS, SMOOTHING)).encode())
        digest.update(json.dumps(self.wording.to_json(), sort_keys=True).encode())
        if self._source is not None:
            from steelyard.models.convert import source_key

            digest.update(source_key(self._source).encode())
        for row in (*self._train, *self._validation):
            digest.update(repr((row.told.slots, row.told.act, row.reply)).encode() + row.told.vectors.tobytes())
        return f"replies {digest.hexdigest()}"

    @property
    def starts(self) -> bool:
        """Whether there are layers to start from."""
        return self._source is not None

    @property
    def rows(self) -> int:
        """Approved replies."""
        return len(self._train)

    def module(self) -> Any:
        """See `Trainable.module`."""
        made = decoder(self.shape, len(self.wording), self._acts, EPSILON)
        if self._source is not None:
            started(made, self._source, self.wording)
        return made

    def loss(self, module: Any, batch: Batch) -> Any:
        """See `Trainable.loss`."""
        rows = [self._train[row] for row in batch.rows.tolist()]
        hidden = [
            int(batch.generator.integers(len(row.told.slots)))
            if row.told.slots and batch.generator.random() < NAMELESS
            else None
            for row in rows
        ]
        return self._loss(module, rows, hidden, SMOOTHING)

    def score(self, module: Any) -> float:
        """Minus the mean loss of a word of the validation replies, in nats."""
        return -float(self._loss(module, self._validation, [None] * len(self._validation), 0.0))

    def logits(self, module: Any, row: ReplyRow) -> NDArray[np.float32]:
        """What torch makes of one reply: the logits before each of its words and its end, (words + 1, ids)."""
        read, mask, said, _ = self._tensors([row], [None])
        found: NDArray[np.float32] = module(*read, mask, said)[0].detach().numpy()
        return found

    def _loss(self, module: Any, rows: Sequence[ReplyRow], hidden: Sequence[int | None], smoothing: float) -> Any:
        """The mean loss of a word, in nats. Rows of like length go together: padding would cost more than the words."""
        import torch

        order = sorted(range(len(rows)), key=lambda at: (len(rows[at].reply), at))
        total, words = torch.zeros(()), 0
        for at in range(0, len(order), TOGETHER):
            part = order[at : at + TOGETHER]
            device = module.words.weight.device
            read, mask, said, wanted = self._tensors([rows[one] for one in part], [hidden[one] for one in part])
            logits = module(*(one.to(device) for one in read), mask.to(device), said.to(device))
            total = total.to(device) + torch.nn.functional.cross_entropy(
                logits.flatten(0, 1),
                wanted.to(device).flatten(),
                ignore_index=IGNORED,
                label_smoothing=smoothing,
                reduction="sum",
            )
            words += int((wanted != IGNORED).sum())
        return total / words

    def _tensors(self, rows: Sequence[ReplyRow], hidden: Sequence[int | None]) -> tuple[tuple[Any, ...], Any, Any, Any]:
        """Vectors, slot ids and acts; what of them is there; the words read and the words wanted. `hidden`: the slot without its name."""
        import torch

        cut = [self._ids(row, place) for row, place in zip(rows, hidden, strict=True)]
        tokens, slots, words = (
            max((len(part) for part in parts), default=0)
            for parts in (
                [row.told.vectors for row in rows],
                [own for own, _ in cut],
                [ids for _, ids in cut],
            )
        )
        count = len(rows)
        vectors = np.zeros((count, tokens, self.shape.width), dtype=np.float32)
        names = np.zeros((count, slots), dtype=np.int64)
        mask = np.zeros((count, 1 + slots + tokens), dtype=np.bool_)
        said = np.full((count, words + 1), END, dtype=np.int64)
        wanted = np.full((count, words + 1), IGNORED, dtype=np.int64)
        for at, (row, (own, ids)) in enumerate(zip(rows, cut, strict=True)):
            vectors[at, : len(row.told.vectors)] = row.told.vectors
            names[at, : len(own)] = own
            mask[at, : 1 + len(own)] = True
            mask[at, 1 + slots : 1 + slots + len(row.told.vectors)] = True
            said[at, 0], said[at, 1 : 1 + len(ids)] = BEGIN, ids
            # A word outside the vocabulary is read, never learned: it will not be written.
            wanted[at, : len(ids)] = np.where(np.array(ids, dtype=np.int64) == UNKNOWN, IGNORED, ids)
            wanted[at, len(ids)] = END
        acts = np.array([row.told.act for row in rows], dtype=np.int64)
        read = tuple(torch.from_numpy(part) for part in (vectors, names, acts))
        return read, torch.from_numpy(mask), torch.from_numpy(said), torch.from_numpy(wanted)

    def _ids(self, row: ReplyRow, hidden: int | None) -> tuple[list[int], list[int]]:
        own = [self.wording.slot_id(name) for name in row.told.slots]
        ids = self.wording.ids(row.reply)
        if hidden is None:
            return own, ids
        gone = own[hidden]
        return [OTHER_SLOT if one == gone else one for one in own], [OTHER_SLOT if one == gone else one for one in ids]


def fit_replies(
    task: ReplyTask,
    check: Sequence[ReplyRow],
    plan: Plan,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TunedReplies:
    """Train, export, and compare the exported form with torch on the first rows of `check`. See `fit` for `plan` and `folder`.

    Raises:
        ModelError: training diverged, or the export disagrees with torch.
    """
    fitted = fit(task, plan, folder, progress)
    module = load_weights(task.module(), fitted.weights)
    weights = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    generator = ReplyGenerator(memory_graph(task.shape, weights), step_graph(task.shape, weights), task.wording)
    apart = 0.0
    for row in check[:PARITY_ROWS]:
        ids = [BEGIN, *task.wording.ids(row.reply)]
        apart = max(apart, float(np.abs(task.logits(module, row) - logits_of(generator, row.told, ids)).max()))
    if apart > PARITY_TOLERANCE:
        raise ModelError(
            f"the exported writer disagrees with torch: a logit is {apart:.4f} off.",
            remedy="Train again with the library versions that this release names; weigh without tuned-writer meanwhile.",
            code="models.export_disagrees",
        )
    return TunedReplies(generator=generator, fitted=fitted, parity=apart)
