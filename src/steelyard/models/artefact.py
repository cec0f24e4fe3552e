"""Fitted state on disk: a manifest with hashes, one safetensors file and one JSON file; never pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.schema.errors import ModelError

MANIFEST = "manifest.json"
FORMAT = 1

Arrays = dict[str, NDArray[Any]]


def save_artefact(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write `arrays` (numeric or bool, any shape) and `meta` (JSON) into `folder`, made if missing.

    Atomic: data files are named by their hash and the manifest, which names them, is replaced last; a crash leaves the
    state before or after, never between. An artefact already in `folder` is replaced; other files and subfolders are
    left alone. The same content gives the same bytes.

    Raises:
        TypeError: `meta` is not JSON, or an array holds objects or text.
    """
    from safetensors.numpy import save

    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"array '{name}' has dtype {array.dtype}; only numbers and bools are stored, texts go into meta"
            )
    # safetensors writes the buffer as it lies in memory: a transposed view would come back scrambled.
    tensors = save({name: np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape) for name in sorted(arrays)})
    text = json.dumps(dict(meta), ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False).encode()
    folder.mkdir(parents=True, exist_ok=True)
    files = {"arrays": _write(folder, "arrays", ".safetensors", tensors), "meta": _write(folder, "meta", ".json", text)}
    manifest = json.dumps({"format": FORMAT, "files": files}, sort_keys=True, indent=1).encode()
    replace_file(folder / MANIFEST, manifest)
    kept = {entry["name"] for entry in files.values()}
    for old in (*folder.glob("arrays-*.safetensors"), *folder.glob("meta-*.json")):
        if old.name not in kept:
            old.unlink(missing_ok=True)


def load_artefact(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and meta that `save_artefact` wrote, after checking the hash of every file. Arrays are writable copies.

    Raises:
        ModelError: the manifest or a file is missing, of an unknown format, or not what was written.
    """
    from safetensors.numpy import load

    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        known = manifest["format"] == FORMAT
        files = manifest["files"]
        entries = {kind: (str(files[kind]["name"]), str(files[kind]["sha256"])) for kind in ("arrays", "meta")}
    except FileNotFoundError as error:
        raise ModelError(
            "there is no saved model here.", where=str(path), remedy="Train it again.", code="models.artefact_missing"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if not known:
        raise ModelError(
            f"the saved model has format {manifest['format']}; this version reads {FORMAT}.",
            where=str(path),
            remedy="Train it again with this version.",
            code="models.artefact_format",
        )
    data = {kind: _checked(folder, name, digest) for kind, (name, digest) in entries.items()}
    meta: dict[str, Any] = json.loads(data["meta"])
    return {name: np.array(array) for name, array in load(data["arrays"]).items()}, meta


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a crash, sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, stem: str, suffix: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    name = f"{stem}-{digest[:12]}{suffix}"
    replace_file(folder / name, data)
    return {"name": name, "sha256": digest, "bytes": len(data)}


def _checked(folder: Path, name: str, digest: str) -> bytes:
    path = folder / name
    # The manifest is data too: a name with folders in it could read anywhere.
    if Path(name).name != name or not path.is_file():
        raise _damaged(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise _damaged(path)
    return data


def _damaged(path: Path) -> ModelError:
    return ModelError(
        "the saved model is damaged: the file is not what was written.",
        where=str(path),
        remedy="Restore it from a backup, or train it again.",
        code="models.artefact_damaged",
    )
