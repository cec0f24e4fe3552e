"""A tuned encoder on disk: its weights as safetensors, and the ONNX form that serves without torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import replace_file
from steelyard.models.convert import convert, quiet, torch_model
from steelyard.models.encoder import MANIFEST, read_manifest

WEIGHTS = "model.safetensors"


def export_tuned(source: Path, weights: Mapping[str, NDArray[Any]], target: Path, name: str, *, int8: bool) -> None:
    """Write the encoder in `source` with `weights` in the place of its own into the folder `target`: safetensors and ONNX in fp32.

    The conversion holds the ONNX form against torch and refuses one that disagrees. `int8` asks for the int8 form as well, which stays
    only where its measured parity allows it. The folder can be opened by `OnnxEncoder`, and tuned further.

    Raises:
        MissingExtraError: the training libraries are not installed.
        ModelError: the export disagrees with torch.
    """
    beside = target.with_name(target.name + ".torch")
    shutil.rmtree(beside, ignore_errors=True)
    write_tuned(source, weights, beside)
    convert(beside, target, name)
    target.with_name(f".{target.name}.lock").unlink(missing_ok=True)
    manifest = read_manifest(target)
    if not (int8 and manifest["parity"]["int8"]["allowed"]):
        (target / manifest["models"].pop("int8")["name"]).unlink()
        # What is not there is not allowed; the measured figures stay, to be looked at.
        manifest["parity"]["int8"]["allowed"] = False
        replace_file(target / MANIFEST, json.dumps(manifest, sort_keys=True, indent=1).encode())
    for file in (WEIGHTS, "config.json"):
        shutil.copyfile(beside / file, target / file)
    shutil.rmtree(beside)


def write_tuned(source: Path, weights: Mapping[str, NDArray[Any]], target: Path) -> None:
    """A Hugging Face folder in `target` (made here): the encoder in `source` with `weights` in the place of its own, as safetensors."""
    from safetensors.numpy import save_file

    with quiet():
        model = torch_model(source)
    arrays = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    missing = sorted(set(weights) - set(arrays))
    if missing:
        raise ValueError(f"the encoder has no weights named {', '.join(missing)}")
    arrays |= {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
    target.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "sentence_bert_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    whole = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    save_file(whole, target / "model.safetensors", metadata={"format": "pt"})
