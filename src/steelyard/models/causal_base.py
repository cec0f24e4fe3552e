"""A local causal language model with its tokenizer: in memory once, read from safetensors alone, adapters put on it by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, RLock
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.adapter import Adapter, put_on
from steelyard.models.causal_files import (
    base_key,
    context_tokens,
    end_ids,
    left_padded,
    pad_id,
    read_causal,
    read_tokenizer,
)
from steelyard.models.convert import quiet
from steelyard.models.metering import record
from steelyard.schema.outputs import Usage

ALIKE_PROMPTS = 8
"""Prompts that are answered together, sorted by length, so that little is padding."""


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What a model said to one prompt: its tokens without the end token, the mean log-probability of each, and whether it ended."""

    ids: tuple[int, ...]
    log_probability: float
    ended: bool


class CausalBase:
    """A base model for answering, alone or with one of several adapters; calls from several threads take turns."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        import torch

        self.folder = folder
        self.key = base_key(folder)
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.tokenizer = read_tokenizer(folder)
        self.context_tokens = context_tokens(folder)
        self._model = read_causal(folder, self.device).to(self.device).eval()
        self._tuned: Any = None
        self._names: set[str] = set()
        self._lock = RLock()

    @property
    def generation_config(self) -> Any:
        """How the model's own files say it generates, e.g. which tokens end an answer."""
        return self._model.generation_config

    def attach(self, adapter: Adapter) -> str:
        """Put an adapter on the model beside those that are there; the name to `generate` with. The same adapter is put on once.

        Raises:
            ModelError: the adapter was trained on another base.
        """
        adapter.check_base(self.key, str(self.folder))
        with self._lock:
            if adapter.name not in self._names:
                self._tuned = put_on(self._tuned if self._tuned is not None else self._model, adapter)
                self._names.add(adapter.name)
        return adapter.name

    @contextmanager
    def bare(self) -> Iterator[Any]:
        """The model as it was before any adapter, for this thread alone while the block runs."""
        with self._lock, _selected(self._tuned, None):
            yield self._model

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        adapter: str | None = None,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        least_tokens: int = 0,
    ) -> list[Spoken]:
        """What the model says to each prompt, in the order given. Temperature 0 takes the likeliest token each time.

        It does not end before `least_tokens`; that is for timing.
        """
        begun = perf_counter()
        order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
        found: dict[int, Spoken] = {}
        with self._lock, _selected(self._tuned, adapter):
            for start in range(0, len(order), ALIKE_PROMPTS):
                places = order[start : start + ALIKE_PROMPTS]
                said = self._generate([prompts[at] for at in places], max_tokens, temperature, seed, least_tokens)
                found.update(zip(places, said, strict=True))
        tokens_in, tokens_out = sum(map(len, prompts)), sum(len(one.ids) + one.ended for one in found.values())
        record(Usage(tokens_in=tokens_in, tokens_out=tokens_out, seconds=perf_counter() - begun))
        return [found[at] for at in range(len(prompts))]

    def text(self, ids: Sequence[int]) -> str:
        """The words of tokens that were said."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _generate(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, temperature: float, seed: int, least_tokens: int
    ) -> list[Spoken]:
        import torch

        model = self._tuned if self._tuned is not None else self._model
        ids, mask = left_padded(prompts, pad_id(self.tokenizer))
        ends = end_ids(self.tokenizer, self._model)
        drawn: dict[str, Any] = {"do_sample": True, "temperature": temperature} if temperature > 0 else {}
        with torch.inference_mode(), torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            out = model.generate(
                input_ids=torch.from_numpy(ids).to(self.device),
                attention_mask=torch.from_numpy(mask).to(self.device),
                max_new_tokens=max_tokens,
                min_new_tokens=least_tokens or None,
                pad_token_id=pad_id(self.tokenizer),
                eos_token_id=sorted(ends),
                return_dict_in_generate=True,
                output_scores=True,
                **({"do_sample": False, "temperature": None, "top_p": None, "top_k": None} | drawn),
            )
            likely = model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        said = out.sequences[:, ids.shape[1] :].cpu().numpy()
        return [_spoken(row, near, ends) for row, near in zip(said, likely.float().cpu().numpy(), strict=True)]


_loading = Lock()


def shared_base(folder: Path, key: str, device: str = "auto") -> CausalBase:
    """The base of a folder, in memory once for the generator and all candidates with adapters.

    `key` is its `base_key`, so that changed files are read anew; the last one asked for is held.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with _loading:  # two that ask together get the same one
        return _shared(folder.resolve(), key, device)


@lru_cache(maxsize=1)
def _shared(folder: Path, key: str, device: str) -> CausalBase:
    del key
    return CausalBase(folder, device)


def _selected(tuned: Any, adapter: str | None) -> Any:
    """The adapter of the block: the one named, or none."""
    if tuned is None:
        return nullcontext()
    if adapter is None:
        return tuned.disable_adapter()
    tuned.set_adapter(adapter, inference_mode=True)
    return nullcontext()


def _spoken(ids: NDArray[np.int64], likely: NDArray[np.float32], ends: frozenset[int]) -> Spoken:
    ended = next((at for at, one in enumerate(ids) if int(one) in ends), None)
    counted = len(ids) if ended is None else ended + 1
    return Spoken(
        ids=tuple(int(one) for one in ids[: len(ids) if ended is None else ended]),
        log_probability=float(likely[:counted].mean()) if counted else 0.0,
        ended=ended is not None,
    )
