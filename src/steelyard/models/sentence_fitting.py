"""Tunes a sentence encoder on labelled texts: texts of one label towards each other, or end to end with a head."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.convert import max_tokens, quiet, source_key, torch_model
from steelyard.models.fitting import layer_of
from steelyard.models.fitting_plan import Batch
from steelyard.models.interface import Vectors

Tokens = list[NDArray[np.int64]]

JudgeVectors = Callable[[Vectors, Vectors], float]
"""How good an encoder is, higher is better, by its vectors of the judged training rows and of the validation rows."""

JudgeLogits = Callable[[NDArray[np.float64]], float]
"""How good a whole model is, higher is better, by its logits of the validation rows, (rows, labels)."""

ALIKE_TEXTS = 16
"""Texts that are read together, sorted by length: half of a mixed batch of 64 short messages is padding, and twice the time."""

CONTRAST_TEMPERATURE = 0.07  # Khosla et al. 2020 found .1 best on pictures, and less with small batches
LABEL_SMOOTHING = 0.1  # Szegedy et al., CVPR 2016; keeps few rows from being learned by heart


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """Texts with the number of their label from 0, int64, (texts,)."""

    texts: Sequence[str]
    labels: NDArray[np.int64]


class _SentenceTask:
    """What both ways share: the encoder with its lowest part frozen, the tokens, a vector for each text."""

    def __init__(self, source: Path, train: LabelledTexts, held: Sequence[str], frozen_layers: int) -> None:
        self._source = source
        self._train = train
        self._frozen = frozen_layers
        self._held_texts = list(held)
        self._tokens = tokenised(source, train.texts)
        self._held = tokenised(source, held)

    @property
    def rows(self) -> int:
        """See `Trainable.rows`."""
        return len(self._tokens)

    def _digest(self, kind: str, *more: object) -> str:
        digest = hashlib.sha256(f"{source_key(self._source)} {self._frozen}".encode())
        for part in (list(self._train.texts), self._train.labels.tolist(), self._held_texts, *more):
            digest.update(part if isinstance(part, bytes) else repr(part).encode())
        return f"{kind} {digest.hexdigest()}"

    def _encoder(self) -> Any:
        """Word vectors stay as they are: they are half of the weights, and few rows touch few words."""
        with quiet():
            encoder = torch_model(self._source)
        for name, parameter in encoder.named_parameters():
            layer = layer_of(name)
            if layer is None or layer < self._frozen:
                parameter.requires_grad_(False)
        return encoder

    def _vectors_of(self, encoder: Any, tokens: Sequence[NDArray[np.int64]]) -> Any:
        """Vectors of length 1, (texts, dim), in the order given, with their gradient."""
        import torch

        order = sorted(range(len(tokens)), key=lambda at: (-len(tokens[at]), at))
        groups = [order[start : start + ALIKE_TEXTS] for start in range(0, len(order), ALIKE_TEXTS)]
        read = torch.cat([_read(encoder, [tokens[at] for at in group]) for group in groups])
        return read[torch.from_numpy(np.argsort(order)).to(read.device)]

    def _all_vectors(self, encoder: Any, tokens: Sequence[NDArray[np.int64]]) -> Vectors:
        vectors: Vectors = self._vectors_of(encoder, tokens).detach().cpu().numpy()
        return vectors


class ContrastiveTask(_SentenceTask):
    """See `Trainable`: texts of one label move towards each other, texts of different labels apart.

    Each step draws its texts anew, of each label as many as of the others, and compares all of them in pairs; no list of pairs is
    ever made, so memory does not grow with their number. The loss is the supervised contrastive one over the texts of a step.
    Source: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020. `judged` are the places of training rows whose vectors
    `judge` gets; `judge` is part of the training by its results alone, so a caller with another judge takes another folder. Without
    `held` texts the score is 0.
    """

    def __init__(
        self,
        source: Path,
        train: LabelledTexts,
        held: Sequence[str],
        judged: NDArray[np.int64],
        judge: JudgeVectors,
        *,
        frozen_layers: int = 0,
    ) -> None:
        super().__init__(source, train, held, frozen_layers)
        self._judged, self._judge = judged, judge
        self._of_label = [np.flatnonzero(train.labels == label) for label in np.unique(train.labels)]

    @property
    def key(self) -> str:
        """See `Trainable.key`."""
        return self._digest("contrastive", self._judged.tobytes())

    def module(self) -> Any:
        """See `Trainable.module`."""
        return self._encoder()

    def loss(self, module: Any, batch: Batch) -> Any:
        """See `Trainable.loss`."""
        import torch

        rows = self.draw(len(batch.rows), batch.generator)
        vectors = self._vectors_of(module, [self._tokens[row] for row in rows])
        labels = torch.from_numpy(self._train.labels[rows]).to(vectors.device)
        itself = torch.eye(len(rows), dtype=torch.bool, device=vectors.device)
        near = (vectors @ vectors.T / CONTRAST_TEMPERATURE).masked_fill(itself, float("-inf"))
        shares = torch.log_softmax(near, dim=1).masked_fill(itself, 0.0)
        same = (labels[:, None] == labels[None, :]) & ~itself
        partners = same.sum(1)
        # A label with one row has no partner; its text still pushes the others away. The sum over nothing keeps the gradient's graph.
        return -((shares * same).sum(1) / partners.clamp(min=1)).sum() / (partners > 0).sum().clamp(min=1)

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Places of about `count` training rows: labels alike often, at least two rows of each where it has two, none twice."""
        labels = len(self._of_label)
        each = max(2, count // labels)
        chosen = generator.choice(labels, size=min(labels, max(2, count // each)), replace=False)
        parts = [
            generator.choice(self._of_label[at], size=min(each, len(self._of_label[at])), replace=False)
            for at in chosen.tolist()
        ]
        return np.concatenate(parts).astype(np.int64)

    def score(self, module: Any) -> float:
        """See `Trainable.score`."""
        if not self._held:
            return 0.0
        known = self._all_vectors(module, [self._tokens[row] for row in self._judged.tolist()])
        return self._judge(known, self._all_vectors(module, self._held))


class FullTask(_SentenceTask):
    """See `Trainable`: encoder and head learn together, by cross-entropy.

    The head begins as `start`, float32, (dim + 1, labels), the last row the intercepts: a head that starts from nothing would first
    spoil the encoder. Without `held` texts the score is 0.
    """

    def __init__(
        self,
        source: Path,
        train: LabelledTexts,
        held: Sequence[str],
        judge: JudgeLogits,
        start: NDArray[np.float32],
        *,
        frozen_layers: int = 0,
    ) -> None:
        super().__init__(source, train, held, frozen_layers)
        self._judge, self._start = judge, start

    @property
    def key(self) -> str:
        """See `Trainable.key`."""
        return self._digest("full", self._start.tobytes())

    def module(self) -> Any:
        """See `Trainable.module`."""
        import torch

        whole = torch.nn.Module()
        whole.encoder = self._encoder()
        whole.head = torch.nn.Linear(self._start.shape[0] - 1, self._start.shape[1])
        with torch.no_grad():
            whole.head.weight.copy_(torch.from_numpy(np.ascontiguousarray(self._start[:-1].T)))
            whole.head.bias.copy_(torch.from_numpy(np.ascontiguousarray(self._start[-1])))
        return whole

    def loss(self, module: Any, batch: Batch) -> Any:
        """See `Trainable.loss`."""
        import torch

        vectors = self._vectors_of(module.encoder, [self._tokens[row] for row in batch.rows.tolist()])
        truth = torch.from_numpy(self._train.labels[batch.rows]).to(vectors.device)
        return torch.nn.functional.cross_entropy(module.head(vectors), truth, label_smoothing=LABEL_SMOOTHING)

    def score(self, module: Any) -> float:
        """See `Trainable.score`."""
        if not self._held:
            return 0.0
        vectors = self._all_vectors(module.encoder, self._held)
        weights, bias = (part.detach().cpu().numpy() for part in (module.head.weight, module.head.bias))
        return self._judge(np.asarray(vectors @ weights.T + bias, dtype=np.float64))


def split_full(weights: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]]:
    """What a `FullTask` learned: the encoder's weights by their own names, and the head, (dim + 1, labels)."""
    encoder = {name.removeprefix("encoder."): array for name, array in weights.items() if name.startswith("encoder.")}
    head = np.vstack([weights["head.weight"].T, weights["head.bias"][None, :]])
    return encoder, np.ascontiguousarray(head, dtype=np.float32)


def tokenised(source: Path, texts: Sequence[str]) -> Tokens:
    """Token ids of each text, int64, the special ones included, cut where the encoder cuts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=max_tokens(source))
    return [np.array(one.ids, dtype=np.int64) for one in tokenizer.encode_batch(list(texts))]


def _read(encoder: Any, tokens: Sequence[NDArray[np.int64]]) -> Any:
    """Mean of the token vectors, length 1, (texts, dim); see `models.encoder.mean_pool`, which serves."""
    import torch

    width = max(1, *map(len, tokens), 1)
    ids = torch.zeros((len(tokens), width), dtype=torch.long)
    mask = torch.zeros((len(tokens), width), dtype=torch.long)
    for at, row in enumerate(tokens):
        ids[at, : len(row)] = torch.from_numpy(row)
        mask[at, : len(row)] = 1
    device = next(encoder.parameters()).device
    ids, mask = ids.to(device), mask.to(device)
    hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    seen = mask[:, :, None].to(hidden.dtype)
    means = (hidden * seen).sum(1) / seen.sum(1)
    return torch.nn.functional.normalize(means, dim=1)
