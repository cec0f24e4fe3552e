"""Converts a sentence encoder from Hugging Face files to ONNX, once, into a cache; the only place that needs torch to serve."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.models.artefact import file_sha256, replace_file
from steelyard.models.bert_graph import is_bert, write_bert
from steelyard.models.encoder import FORMAT, MANIFEST, OnnxEncoder, mean_pool
from steelyard.models.interface import Vectors
from steelyard.models.probe import PROBE_TEXTS
from steelyard.schema.errors import MissingExtraError, ModelError

CONVERTER = 1  # part of the vectors' name: raise it when the conversion changes what comes out
LAYOUT = 3  # part of the cache folder's name: raise it when the files change, but not the vectors
DEFAULT_MAX_TOKENS = 256
ONNX_OPSET = 18
LOCK_TIMEOUT_S = 600.0

FP32_COSINE = 0.9999  # below this the export itself is wrong
# int8 is allowed when no probe text's vector turns by more than this, no pair's similarity moves by more than that,
# and every text keeps its nearest neighbour: thresholds and fusion weights calibrated on one precision then hold on
# the other.
INT8_COSINE = 0.99
INT8_SIMILARITY_SHIFT = 0.02


def source_key(source: Path) -> str:
    """16 hex digits naming what `source` holds: its weights, settings and tokenizer, and the converter's version.

    Raises:
        ModelError: `source` is not a folder of a Hugging Face encoder.
    """
    digest = hashlib.sha256(f"converter {CONVERTER}".encode())
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        path = source / name
        if not path.is_file():
            raise ModelError(
                f"'{name}' is missing: this is no Hugging Face folder of an encoder.",
                where=str(source),
                remedy="Give a folder with config.json, model.safetensors and tokenizer.json (pickled weights are not read).",
                code="models.not_an_encoder",
            )
        digest.update(f"{name} {file_sha256(path)}".encode())
    digest.update(f"{max_tokens(source)}".encode())
    return digest.hexdigest()[:16]


def convert(source: Path, target: Path, name: str) -> Path:
    """Convert the Hugging Face encoder in `source` into the folder `target` (made here) and return `target`.

    Writes `model.fp32.onnx`, `model.int8.onnx` (QInt8 weights, per channel), `tokenizer.json` and `encoder.json`: the
    hash of each and the parity measured against torch. The folder appears whole or not at all; a second process waits
    and finds it done.

    Raises:
        MissingExtraError: torch, transformers, onnx or onnxscript is not installed.
        ModelError: `source` is no encoder folder, needs pooling other than the mean, or the export disagrees with
        torch.
    """
    key = source_key(source)
    _require_libraries(name)
    _require_mean_pooling(source)
    from filelock import FileLock  # comes with torch

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock"), timeout=LOCK_TIMEOUT_S):
        if (target / MANIFEST).is_file():
            return target
        building = target.with_name(f".{target.name}.{os.getpid()}")
        building.mkdir()
        try:
            _build(source, building, name, key)
            if target.exists():  # left by a crash of an older version: it has no manifest
                shutil.rmtree(target)
            os.replace(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return target


def _build(source: Path, folder: Path, name: str, key: str) -> None:
    with quiet():
        model = torch_model(source)
        shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
        export_hidden(source, model, folder / "model.fp32.onnx")
        quantise(folder / "model.fp32.onnx", folder / "model.int8.onnx")
    config = json.loads((source / "config.json").read_bytes())
    int8_hash = file_sha256(folder / "model.int8.onnx")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "name": name,
        "dim": int(config["hidden_size"]),
        "max_tokens": max_tokens(source),
        "pad_id": int(config.get("pad_token_id") or 0),
        "pooling": "mean",
        "source": key,
        "tokenizer": {"name": "tokenizer.json", "sha256": file_sha256(folder / "tokenizer.json")},
        # The id names the vectors: for fp32 the source's weights (another torch exports other bytes with the same
        # vectors), for int8 the file itself, because quantisation may differ between versions.
        "models": {
            "fp32": {"name": "model.fp32.onnx", "sha256": file_sha256(folder / "model.fp32.onnx"), "id": key},
            "int8": {"name": "model.int8.onnx", "sha256": int8_hash, "id": int8_hash},
        },
        "parity": {},
    }
    _write_manifest(folder, manifest)
    reference = _torch_vectors(model, folder, manifest["max_tokens"], PROBE_TEXTS)
    manifest["parity"] = {
        precision: parity(reference, OnnxEncoder(folder, precision, threads=1).encode(PROBE_TEXTS))
        for precision in ("fp32", "int8")
    }
    if manifest["parity"]["fp32"]["min_cosine"] < FP32_COSINE:
        raise ModelError(
            f"the export disagrees with torch: cosine {manifest['parity']['fp32']['min_cosine']:.5f} on the probe texts.",
            where=str(source),
            remedy="This architecture cannot be converted; use another encoder.",
            code="models.export_disagrees",
        )
    _write_manifest(folder, manifest)


def parity(reference: Vectors, vectors: Vectors) -> dict[str, Any]:
    """How far `vectors` agree with `reference`, both (texts, dim) of length 1, at least two texts.

    `min_cosine` and `mean_cosine` to the reference vector of the same text; `max_similarity_shift`, the largest change
    of any pair's cosine; `same_neighbour`, the share of texts whose nearest other text stays the same; `allowed`,
    whether int8 may be the default.
    """
    own = np.sum(reference * vectors, axis=1)
    before, after = reference @ reference.T, vectors @ vectors.T
    shift = float(np.abs(before - after).max())
    np.fill_diagonal(before, -np.inf)
    np.fill_diagonal(after, -np.inf)
    same = float((before.argmax(axis=1) == after.argmax(axis=1)).mean())
    allowed = bool(own.min() >= INT8_COSINE and shift <= INT8_SIMILARITY_SHIFT and same == 1.0)
    return {
        "min_cosine": float(own.min()),
        "mean_cosine": float(own.mean()),
        "max_similarity_shift": shift,
        "same_neighbour": same,
        "texts": len(own),
        "allowed": allowed,
    }


def _require_libraries(name: str) -> None:
    missing = [library for library in ("torch", "transformers", "onnx", "onnxscript") if find_spec(library) is None]
    if missing:
        raise MissingExtraError(
            f"the encoder '{name}' has not been converted on this machine yet, which needs {', '.join(missing)}.",
            remedy="Install torch, then: pip install 'steelyard[train]'; or copy a converted encoder folder and name its path.",
            code="models.missing_extra",
        )


def max_tokens(source: Path) -> int:
    """The limit sentence-transformers would use; a plain folder has none and takes the default within its positions."""
    path = source / "sentence_bert_config.json"
    if path.is_file():
        limit = json.loads(path.read_bytes()).get("max_seq_length")
        if limit:
            return int(limit)
    positions = int(
        json.loads((source / "config.json").read_bytes()).get("max_position_embeddings", DEFAULT_MAX_TOKENS)
    )
    return min(DEFAULT_MAX_TOKENS, positions)


def _require_mean_pooling(source: Path) -> None:
    path = source / "1_Pooling" / "config.json"
    if not path.is_file():
        return
    config = json.loads(path.read_bytes())
    modes = sorted(key for key, on in config.items() if key.startswith("pooling_mode_") and on is True)
    mode = config.get("pooling_mode", modes[0].removeprefix("pooling_mode_") if len(modes) == 1 else "+".join(modes))
    if mode not in ("mean", "mean_tokens"):
        raise ModelError(
            f"the encoder pools by '{mode}'; only the mean over tokens is supported.",
            where=str(path),
            remedy="Use an encoder with mean pooling.",
            code="models.pooling",
        )


def torch_model(source: Path) -> Any:
    """The encoder in `source` as a torch model in fp32, in evaluation mode."""
    import torch
    from transformers import AutoModel

    # Eager attention exports to plain matrix products that ONNX Runtime fuses itself.
    return AutoModel.from_pretrained(
        str(source), attn_implementation="eager", dtype=torch.float32, local_files_only=True, use_safetensors=True
    ).eval()


def export_hidden(source: Path, model: Any, path: Path) -> None:
    """Write an encoder as ONNX: token ids, mask and types, (texts, tokens) each, to the last layer, (texts, tokens, dim).

    `model` is what `source` holds, in torch.
    """
    if is_bert(source):
        write_bert(source, path)
    else:
        _trace(model, path)


def _trace(model: Any, path: Path) -> None:
    import torch

    class Hidden(torch.nn.Module):  # type: ignore[misc]
        """The last layer's token vectors alone."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            """(texts, tokens) three times to (texts, tokens, dim)."""
            return self.inner(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).last_hidden_state

    # The axes must differ from 1 and from each other, or the exporter takes them for constants.
    ids = torch.ones((2, 8), dtype=torch.long)
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=model.config.max_position_embeddings)}
    program = torch.onnx.export(
        Hidden(model).eval(),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        input_names=["input_ids", "attention_mask", "token_type_ids"],
        output_names=["hidden"],
        dynamic_shapes=(axes, axes, axes),
        opset_version=ONNX_OPSET,
        dynamo=True,
        verbose=False,
    )
    program.save(str(path), external_data=False)


def quantise(source: Path, target: Path) -> None:
    """Write `source` with weights in int8, one scale a channel."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Seven bits a weight: with eight, products overflow on processors without VNNI, and vectors would depend on the machine.
    # The type is that of what fused operators give, which the shape inference of ONNX does not know.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(
        str(source),
        str(target),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options=options,
    )


def _torch_vectors(model: Any, folder: Path, max_tokens: int, texts: Sequence[str]) -> Vectors:
    """The reference: torch in fp32, one text a call."""
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=max_tokens)
    rows = []
    with torch.inference_mode():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(text).ids])
            hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            rows.append(mean_pool(hidden.numpy(), np.ones(tuple(ids.shape), dtype=np.int64)))
    return np.concatenate(rows)


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    replace_file(folder / MANIFEST, json.dumps(manifest, sort_keys=True, indent=1).encode())


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the exporter's notes about its own internals, which a user can do nothing about."""
    from transformers.utils import logging as transformers_logging

    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()
