"""Reads a local causal language model and its tokenizer, from safetensors alone, and turns conversations into tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import file_sha256, replace_file
from steelyard.models.convert import quiet
from steelyard.models.loading import cache_folder
from steelyard.schema.errors import ModelError
from steelyard.schema.generation import Message

DEFAULT_CONTEXT = 2048
"""Tokens that a model whose settings name no limit is given."""


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder.

    Raises:
        ModelError: the folder has none.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _no_model(folder, error) from error


def read_causal(folder: Path, device: str) -> Any:
    """The model of a folder on the CPU: fp32 for a CPU, bf16 for CUDA. Safetensors alone are read and no code of the folder is run.

    Raises:
        ModelError: there is no causal language model, or only pickled weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with quiet():
            return AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.bfloat16 if device == "cuda" else torch.float32,
            )
    except (OSError, ValueError) as error:
        raise _no_model(folder, error) from error


def base_key(folder: Path) -> str:
    """16 hex digits naming what a model's folder holds: settings, tokenizer and weights.

    Weights are gigabytes: their hash is kept in the user's cache until a file's size or time changes.

    Raises:
        ModelError: the folder has no model in safetensors.
    """
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    if len(files) < 2 or not files[0].is_file():
        raise _no_model(folder, None)
    files += [
        path
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
        if (path := folder / name).is_file()
    ]
    seen = [[path.name, (stat := path.stat()).st_size, stat.st_mtime_ns] for path in files]
    known = hashlib.sha256(json.dumps([str(folder.resolve()), seen]).encode()).hexdigest()[:32]
    kept = cache_folder() / "bases" / known
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    hashes = [[path.name, file_sha256(path)] for path in files]
    key = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_file(kept, key.encode())
    return key


def context_tokens(folder: Path) -> int:
    """Tokens that a model can see at once, by its settings."""
    settings: Mapping[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(settings.get("max_position_embeddings") or settings.get("n_positions") or DEFAULT_CONTEXT)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The tokens of a conversation up to where the answer begins: by the model's chat template, or plainly where it has none."""
    if tokenizer.chat_template:
        turns = [message.to_json() for message in messages]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
    text = "".join(f"{message.role}: {message.content}\n" for message in messages) + "assistant:"
    plain: list[int] = tokenizer(text)["input_ids"]
    end = tokenizer.eos_token_id
    return plain[:-1] if plain and plain[-1] == end else plain


def completion_ids(tokenizer: Any, messages: Sequence[Message], text: str) -> list[int]:
    """The tokens of an answer with what ends it, to follow `prompt_ids`: the template's own end of turn where it has one."""
    if tokenizer.chat_template:
        turns = [message.to_json() for message in messages]
        before = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": text}], tokenize=False)
        if whole.startswith(before):
            ids: list[int] = tokenizer(whole[len(before) :].rstrip("\n"), add_special_tokens=False)["input_ids"]
            return ids
    plain: list[int] = tokenizer(text if tokenizer.chat_template else f" {text}", add_special_tokens=False)["input_ids"]
    return [*plain, tokenizer.eos_token_id]


def end_ids(tokenizer: Any, model: Any) -> frozenset[int]:
    """The tokens that end an answer: the tokenizer's, the model's own, and the end of turn of the chat template."""
    own = model.generation_config.eos_token_id
    found = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])}
    if tokenizer.chat_template:
        found.add(completion_ids(tokenizer, [Message(role="user", content="-")], "-")[-1])
    return frozenset(one for one in found if one is not None)


def pad_id(tokenizer: Any) -> int:
    """The token that fills up short rows; which one it is does not matter, for it is masked."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)


def left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token numbers and mask, int64, (rows, longest row): rows end together, so that answers begin together."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for at, row in enumerate(rows):
        ids[at, longest - len(row) :] = row
        mask[at, longest - len(row) :] = 1
    return ids, mask


def _no_model(folder: Path, error: Exception | None) -> ModelError:
    why = f": {str(error).splitlines()[0]}" if error is not None and str(error) else ""
    return ModelError(
        f"there is no causal language model in safetensors here{why}",
        where=str(folder),
        remedy="Give a folder with config.json, tokenizer.json and *.safetensors (pickled weights are not read).",
        code="models.not_a_language_model",
    )
