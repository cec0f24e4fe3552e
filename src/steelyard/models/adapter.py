"""A low-rank adapter: a few weights beside a frozen base, on disk as safetensors with hashes; put on, merged, handed to other servers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.models.artefact import MANIFEST, Arrays, file_sha256, load_artefact, replace_file, save_artefact
from steelyard.models.causal_files import base_key, read_causal, read_tokenizer
from steelyard.models.convert import quiet
from steelyard.schema.errors import ModelError

PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""The files of an adapter as PEFT, vLLM and others read them."""

WEIGHTS_PREFIX = "lora_weights/"


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What tuning learned. `arrays` are float32 by PEFT's names, `config` its LoRA settings (JSON), `base` the `base_key` it belongs to."""

    arrays: Arrays
    config: Mapping[str, Any]
    base: str

    @property
    def name(self) -> str:
        """Names the adapter by its content, so that two never mix: `lora_` and 12 hex digits."""
        digest = hashlib.sha256(json.dumps([dict(self.config), self.base], sort_keys=True).encode())
        for name in sorted(self.arrays):
            digest.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        return f"lora_{digest.hexdigest()[:12]}"

    def check_base(self, base: str, where: str) -> None:
        """Nothing, when it was trained on the base of that key.

        Raises:
            ModelError: it was not: on other weights it would say something else without a word.
        """
        if base != self.base:
            raise ModelError(
                f"this adapter was trained on base model {self.base}, not {base}.",
                where=where,
                remedy="Set [models] generator to the model it was trained on, or train it again.",
                code="models.other_base",
            )


def save_adapter(folder: Path, adapter: Adapter, meta: Mapping[str, Any]) -> None:
    """Write an adapter and `meta` (JSON) into `folder`; see `save_artefact`."""
    arrays = {WEIGHTS_PREFIX + name: array for name, array in adapter.arrays.items()}
    save_artefact(folder, arrays, {**meta, "lora": {"config": dict(adapter.config), "base": adapter.base}})


def load_adapter(folder: Path) -> tuple[Adapter, dict[str, Any]]:
    """The adapter and the meta that `save_adapter` wrote.

    Raises:
        ModelError: files are missing or damaged, or there is no adapter.
    """
    arrays, meta = load_artefact(folder)
    lora = meta.pop("lora", None)
    if not isinstance(lora, dict):
        raise ModelError(
            "the saved model is no adapter.",
            where=str(folder),
            remedy="Train it again.",
            code="candidate.other_artefact",
        )
    own = {
        name.removeprefix(WEIGHTS_PREFIX): array for name, array in arrays.items() if name.startswith(WEIGHTS_PREFIX)
    }
    return Adapter(arrays=own, config=lora["config"], base=str(lora["base"])), meta


def put_on(model: Any, adapter: Adapter) -> Any:
    """Put an adapter on a base or on one that carries adapters already; returns the model that carries it.

    Raises:
        ModelError: its weights do not fit the model.
    """
    import torch
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    config = LoraConfig(**{**adapter.config, "inference_mode": True})
    with quiet():
        if isinstance(model, PeftModel):
            model.add_adapter(adapter.name, config)
        else:
            model = PeftModel(model, config, adapter_name=adapter.name)
        state = {name: torch.from_numpy(np.array(array)) for name, array in adapter.arrays.items()}
        found = set_peft_model_state_dict(model, state, adapter_name=adapter.name)
    lacking = [name for name in found.missing_keys if "lora_" in name and f".{adapter.name}." in name]
    if found.unexpected_keys or lacking:
        raise ModelError(
            f"the adapter does not fit the model: {len(found.unexpected_keys)} weights too many, {len(lacking)} missing.",
            remedy="Train it again with this base model.",
            code="models.other_base",
        )
    device = next(model.get_base_model().parameters()).device
    return model.to(device).eval()


def export_peft(adapter: Adapter, base: Path, target: Path) -> Path:
    """Write the adapter as PEFT's own two files, which vLLM, llama.cpp's converter and others read; returns `target`."""
    from safetensors.numpy import save_file

    target.mkdir(parents=True, exist_ok=True)
    ordered = {name: np.ascontiguousarray(adapter.arrays[name]) for name in sorted(adapter.arrays)}
    save_file(ordered, target / PEFT_WEIGHTS, metadata={"format": "pt"})
    config = {**adapter.config, "base_model_name_or_path": str(base), "inference_mode": True, "peft_type": "LORA"}
    replace_file(target / PEFT_CONFIG, json.dumps(config, indent=1, sort_keys=True).encode())
    return target


def merge_adapter(base: Path, adapter: Adapter, target: Path) -> Path:
    """Write the base with the adapter folded into its weights, as a model of its own in `target`; fp32 safetensors, tokenizer, manifest.

    What it says is what base and adapter say together, up to rounding; it needs no PEFT to be served, and it takes the room of the base.

    Raises:
        ModelError: the adapter was trained on another base.
    """
    adapter.check_base(base_key(base), str(base))
    merged = put_on(read_causal(base, "cpu"), adapter).merge_and_unload(safe_merge=True)
    with quiet():
        merged.save_pretrained(target)
        read_tokenizer(base).save_pretrained(target)
    files = {path.name: file_sha256(path) for path in sorted(target.iterdir()) if path.name != MANIFEST}
    manifest = {"format": 1, "merged": {"base": adapter.base, "adapter": adapter.name}, "sha256": files}
    replace_file(target / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
    return target
