"""Starts a reply decoder from the encoder: each word from the pieces that the encoder reads it as, each layer from one of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from steelyard.models.reply_words import SPECIAL, Wording

START_LAYER = 0
"""The layer of the encoder that the decoder's first starts from."""

APART = 0.3
"""Spread, as a share of the words' own, that tells words of the same pieces apart: `Order`, ` Order` and `\\n\\nOrder`."""


def started(module: Any, source: Path, wording: Wording) -> None:
    """Put the encoder's embeddings and layers into a fresh decoder, as far as the encoder is BERT's kind and of the same width."""
    import torch
    from safetensors.torch import load_file

    found = {
        name.removeprefix("bert."): tensor for name, tensor in load_file(str(source / "model.safetensors")).items()
    }
    table = found.get("embeddings.word_embeddings.weight")
    if table is None or table.shape[1] != module.words.weight.shape[1]:
        return
    with torch.no_grad():
        _words(torch, module.words.weight, table.float(), source, wording)
        places = found["embeddings.position_embeddings.weight"].float()
        count = min(len(places), len(module.places.weight))
        module.places.weight[:count] = places[:count]
        _copied(module.embedded, found, "embeddings.LayerNorm")
        for place, layer in enumerate(module.layer):
            prefix = f"encoder.layer.{START_LAYER + place}"
            if f"{prefix}.attention.self.query.weight" not in found:
                continue
            for attention in (layer.self, layer.cross):
                for part in ("query", "key", "value"):
                    _copied(getattr(attention, part), found, f"{prefix}.attention.self.{part}")
                _copied(attention.out, found, f"{prefix}.attention.output.dense")
                _copied(attention.norm, found, f"{prefix}.attention.output.LayerNorm")
            _copied(layer.up, found, f"{prefix}.intermediate.dense")
            _copied(layer.down, found, f"{prefix}.output.dense")
            _copied(layer.norm, found, f"{prefix}.output.LayerNorm")


def _words(torch: Any, into: Any, table: Any, source: Path, wording: Wording) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = ["[CLS]", "[SEP]", "[UNK]", "value", *(name.replace("_", " ") for name in wording.slots), *wording.words]
    assert len(texts) == len(into) == SPECIAL + len(wording.slots) + len(wording.words)
    spread = float(table.std()) * APART
    noise = torch.randn(into.shape) * spread
    for at, text in enumerate(texts):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if ids:
            into[at] = table[ids].mean(0) + noise[at]


def _copied(part: Any, found: dict[str, Any], name: str) -> None:
    weight = found[f"{name}.weight"].float()
    # An encoder may widen otherwise than the decoder does: that part then starts from nothing.
    if weight.shape == part.weight.shape:
        part.weight.copy_(weight)
        part.bias.copy_(found[f"{name}.bias"].float())
