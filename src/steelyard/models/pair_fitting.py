"""Tunes a cross-encoder on questions whose right and wrong texts are known, starting from the embedded encoder."""

from __future__ import annotations

import copy
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.convert import export_hidden, quantise, quiet, source_key, torch_model
from steelyard.models.fitting import fit, load_weights
from steelyard.models.fitting_plan import Batch, Fitted, Plan
from steelyard.models.pair_scorer import PairScorer, PairTokenizer, padded
from steelyard.schema.errors import ModelError

FROZEN_LAYERS = 4
"""Lower layers of the embedded encoder's six: what they say of a pair is worked out once and kept, so that an epoch costs a third. Of
the example's train and validation questions (cross-validated; .45 without it) two layers that learn answered .48, three .50 in four
times the time."""

KEPT_PAIRS = 6_000  # of which the frozen half is kept: 60 tokens of 384 dimensions in float16 are 46 KB
EXPORT_TOLERANCE = 0.01  # logits; beyond this the export itself is wrong
INT8_AGREEMENT = 0.99
"""Share of the validation questions on which int8 must choose the text that fp32 chooses, or fp32 serves."""


@dataclass(frozen=True, kw_only=True)
class PairGroup:
    """One question with the texts that were found for it, hard negatives and all.

    `base` is what is known of each text without this model, a logit, float64, (texts,); the model learns what to add to it.
    `right`, bool, (texts,), marks the texts that answer.
    """

    question: str
    texts: tuple[str, ...]
    base: NDArray[np.float64]
    right: NDArray[np.bool_]

    @property
    def teaches(self) -> bool:
        """Whether some texts are right and some wrong."""
        return bool(self.right.any() and not self.right.all())


@dataclass(frozen=True, kw_only=True)
class TunedPairs:
    """A tuned cross-encoder in the form that serves, how its training went, and the parity of its export.

    `gain` is float64, one entry for each validation group that teaches: how much more of the choice falls on right texts than by
    `base` alone. `agreement` is the share of those groups on which int8 chooses as fp32 does, `flipped` the questions where not.
    """

    scorer: PairScorer
    fitted: Fitted
    gain: NDArray[np.float64]
    agreement: float
    flipped: tuple[str, ...]


class PairTask:
    """See `Trainable`: the upper layers and a head, by the likelihood of right texts among those of a question."""

    def __init__(self, source: Path, train: Sequence[PairGroup], validation: Sequence[PairGroup]) -> None:
        self._source = source
        self._train = [group for group in train if group.teaches]
        self._validation = [group for group in validation if group.teaches]
        self._tokenizer = PairTokenizer((source / "tokenizer.json").read_bytes())
        self._whole: Any = None
        self._kept: dict[int, Any] = {}
        self._kept_pairs = 0

    @property
    def key(self) -> str:
        """See `Trainable.key`."""
        digest = hashlib.sha256(f"{source_key(self._source)} {FROZEN_LAYERS}".encode())
        for group in (*self._train, *self._validation):
            digest.update(repr((group.question, group.texts)).encode())
            digest.update(group.base.astype(np.float64).tobytes() + group.right.tobytes())
        return f"pairs {digest.hexdigest()}"

    @property
    def rows(self) -> int:
        """Questions that teach."""
        return len(self._train)

    def module(self) -> Any:
        """See `Trainable.module`."""
        import torch

        class Upper(torch.nn.Module):  # type: ignore[misc]
            """The layers that learn, and the head on the mean of their tokens."""

            def __init__(self, layers: Any, dim: int) -> None:
                super().__init__()
                self.layers = layers
                self.head = torch.nn.Linear(dim, 1)
                # From nothing: before the first step the base alone decides.
                torch.nn.init.zeros_(self.head.weight)
                torch.nn.init.zeros_(self.head.bias)

            def forward(self, hidden: Any, mask: Any) -> Any:
                """(texts, tokens, dim) and (texts, tokens) to (texts,)."""
                hidden = _through(self.layers, hidden, mask)
                means = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
                return self.head(means)[:, 0]

        whole = self.whole()
        layers = copy.deepcopy(whole.encoder.layer[min(FROZEN_LAYERS, len(whole.encoder.layer) - 1) :])
        return Upper(layers, int(whole.config.hidden_size))

    def loss(self, module: Any, batch: Batch) -> Any:
        """See `Trainable.loss`."""
        import torch

        losses = []
        for row in batch.rows.tolist():
            shares = torch.log_softmax(self._logits(module, self._train[row], row), dim=0)
            losses.append(-torch.logsumexp(shares[torch.from_numpy(self._train[row].right)], dim=0))
        return torch.stack(losses).mean()

    def score(self, module: Any) -> float:
        """The mean share of the choice that falls on right texts, 0 to 1: smoother than how often the first is right."""
        return float(np.mean(self.shares(module)))

    def shares(self, module: Any) -> NDArray[np.float64]:
        """That share of each validation question that teaches."""
        import torch

        found = [
            torch.softmax(self._logits(module, group, -1 - place), dim=0)[torch.from_numpy(group.right)].sum()
            for place, group in enumerate(self._validation)
        ]
        return np.array([float(share.detach()) for share in found])

    def whole(self) -> Any:
        """The encoder as it was, in torch.

        Raises:
            ModelError: it is built otherwise than BERT and its kin.
        """
        if self._whole is None:
            with quiet():
                self._whole = torch_model(self._source)
            if not hasattr(getattr(self._whole, "encoder", None), "layer"):
                raise ModelError(
                    "this encoder's layers cannot be tuned: it is built otherwise than BERT and its kin.",
                    where=str(self._source),
                    remedy="Tune with another encoder.",
                    code="models.not_tunable",
                )
        return self._whole

    def _logits(self, module: Any, group: PairGroup, place: int) -> Any:
        """Base and model together, (texts,). `place` names the group: training rows from 0, validation from -1 down."""
        import torch

        device = module.head.weight.device
        hidden, mask = self._lower(group, place)
        base = torch.from_numpy(group.base).float().to(device)
        return (base + module(hidden.float().to(device), mask.to(device))).cpu()

    def _lower(self, group: PairGroup, place: int) -> tuple[Any, Any]:
        import torch

        kept: tuple[Any, Any] | None = self._kept.get(place)
        if kept is not None:
            return kept
        ids, mask = (torch.from_numpy(part) for part in padded(self._tokenizer.pairs(group.question, group.texts)))
        whole = self.whole()
        with torch.no_grad():
            hidden = whole.embeddings(input_ids=ids, token_type_ids=torch.zeros_like(ids))
            frozen = whole.encoder.layer[: min(FROZEN_LAYERS, len(whole.encoder.layer) - 1)]
            # Half precision whether it is kept or not: otherwise a resumed run could differ.
            found = _through(frozen, hidden, mask.float()).half(), mask.float()
        if self._kept_pairs + len(ids) <= KEPT_PAIRS:
            self._kept[place] = found
            self._kept_pairs += len(ids)
        return found


def fit_pairs(
    source: Path,
    train: Sequence[PairGroup],
    validation: Sequence[PairGroup],
    plan: Plan,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TunedPairs | None:
    """Tune on the groups of `train`, choose by those of `validation`, export; None when no step did better than the base alone.

    `source` holds the encoder's Hugging Face files. See `fit` for `plan`, `folder` and `progress`.

    Raises:
        ModelError: training diverged, the encoder is of another build, or the export disagrees with torch.
        ValueError: no group of `train` or of `validation` teaches.
    """
    if not any(group.teaches for group in validation):
        raise ValueError("no validation question has right and wrong texts to choose by")
    task = PairTask(source, train, validation)
    fitted = fit(task, plan, folder, progress)
    if fitted.best_step == 0:
        return None
    groups = [group for group in validation if group.teaches]
    module = load_weights(task.module(), fitted.weights)
    fp32, int8 = _exported(task, module, source)
    exact = [fp32.score(group.question, group.texts) for group in groups]
    _check_export(task, module, groups, exact)
    small = [int8.score(group.question, group.texts) for group in groups]
    flipped = tuple(
        group.question
        for group, one, other in zip(groups, exact, small, strict=True)
        if np.argmax(group.base + one) != np.argmax(group.base + other)
    )
    agreement = 1.0 - len(flipped) / len(groups)
    scorer, scores = (int8, small) if agreement >= INT8_AGREEMENT else (fp32, exact)
    gain = [
        _on_right(group, group.base + added) - _on_right(group, group.base)
        for group, added in zip(groups, scores, strict=True)
    ]
    return TunedPairs(scorer=scorer, fitted=fitted, gain=np.array(gain), agreement=agreement, flipped=flipped)


def _exported(task: PairTask, module: Any, source: Path) -> tuple[PairScorer, PairScorer]:
    from safetensors.torch import save_file

    whole = copy.deepcopy(task.whole())
    first = len(whole.encoder.layer) - len(module.layers)
    for place, layer in enumerate(module.layers):
        whole.encoder.layer[first + place] = layer
    head = np.append(module.head.weight.detach().numpy()[0], module.head.bias.detach().numpy()).astype(np.float32)
    tokenizer = (source / "tokenizer.json").read_bytes()
    with tempfile.TemporaryDirectory() as folder, quiet():
        exact, small, files = (Path(folder) / name for name in ("fp32.onnx", "int8.onnx", "tuned"))
        files.mkdir()
        shutil.copyfile(source / "config.json", files / "config.json")
        save_file(
            {name: tensor.contiguous() for name, tensor in whole.state_dict().items()}, files / "model.safetensors"
        )
        export_hidden(files, whole.eval(), exact)
        quantise(exact, small)
        return (
            PairScorer(exact.read_bytes(), tokenizer, head, "fp32"),
            PairScorer(small.read_bytes(), tokenizer, head, "int8"),
        )


def _check_export(
    task: PairTask, module: Any, groups: Sequence[PairGroup], exact: Sequence[NDArray[np.float64]]
) -> None:
    by_torch = task.shares(module)
    by_onnx = [_on_right(group, group.base + added) for group, added in zip(groups, exact, strict=True)]
    apart = float(np.abs(by_torch - np.array(by_onnx)).max())
    if apart > EXPORT_TOLERANCE:
        raise ModelError(
            f"the exported cross-encoder disagrees with torch: a choice moved by {apart:.4f}.",
            remedy="This architecture cannot be exported; weigh without rag-tuned.",
            code="models.export_disagrees",
        )


def _on_right(group: PairGroup, scores: NDArray[np.float64]) -> float:
    shares = np.exp(scores - scores.max())
    return float(shares[group.right].sum() / shares.sum())


def _through(layers: Any, hidden: Any, mask: Any) -> Any:
    """Through BERT layers; `mask` is float, (texts, tokens), 1 where there is a token."""
    import torch

    unseen = (1.0 - mask[:, None, None, :]) * torch.finfo(torch.float32).min
    for layer in layers:
        out = layer(hidden, unseen)
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden
