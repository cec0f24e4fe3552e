"""The encoder as it was before the export, in torch: what the served forms are held against. For benchmarks; never for serving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.models.encoder import mean_pool
from steelyard.models.interface import Vectors


class TorchEncoder:
    """A Hugging Face encoder in fp32, one text a call, mean pooling, length 1.

    `name` is what the caller likes it to be called. Needs torch, transformers and the weights in `source`.
    """

    def __init__(self, source: Path, max_tokens: int, name: str) -> None:
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModel

        self._torch: Any = torch
        self._model = AutoModel.from_pretrained(
            str(source), attn_implementation="eager", dtype=torch.float32, local_files_only=True, use_safetensors=True
        ).eval()
        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=max_tokens)
        self._name = name

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._name

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        with self._torch.inference_mode():
            for row, text in zip(rows, texts, strict=True):
                ids = self._torch.tensor([self._tokenizer.encode(text).ids])
                hidden = self._model(input_ids=ids, attention_mask=self._torch.ones_like(ids)).last_hidden_state
                row[:] = mean_pool(hidden.numpy(), np.ones(tuple(ids.shape), dtype=np.int64))[0]
        return rows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, cut where the model cuts."""
        return [len(self._tokenizer.encode(text).ids) for text in texts]


def minilm_reference(max_tokens: int, name: str) -> TorchEncoder:
    """The embedded encoder before its export.

    Raises:
        MissingExtraError: its weights are not installed.
    """
    from steelyard.models.loading import minilm_source

    return TorchEncoder(minilm_source(), max_tokens, name)
