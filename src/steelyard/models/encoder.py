"""The embedded encoder: ONNX Runtime, tokenizers and numpy; no torch."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import file_sha256
from steelyard.models.interface import Vectors
from steelyard.models.metering import record
from steelyard.schema.errors import ModelError
from steelyard.schema.outputs import Usage

Precision = Literal["auto", "fp32", "int8"]

MANIFEST = "encoder.json"
FORMAT = 1
BATCH_TEXTS = 64
BATCH_TOKENS = 768
"""A batch's padded size: its activations stay in a core's cache. Passages of 190 tokens on one core: 15.7 a second alone, 15.5 by four,
13.9 by sixteen; short questions gain from being read together."""
SPREAD_TEXTS = 16  # texts from which a call is shared out over the threads, batch by batch
SMALLEST_NORM = 1e-12


class OnnxEncoder:
    """A converted sentence encoder: mean pooling over the tokens, then length 1.

    `folder` holds `encoder.json` with the hash of every file, `tokenizer.json` and `model.fp32.onnx`, maybe
    `model.int8.onnx`. `precision` `auto` takes int8 when the parity measured at conversion allows it, else fp32. int8
    runs one text a call: dynamic quantisation scales by the whole batch, so a batched vector would depend on its
    neighbours. `threads` None takes OMP_NUM_THREADS when set, else the usable cores, at most 4.

    Raises:
        ModelError: a file is missing or not what was written, or the precision asked for was not converted.
    """

    def __init__(self, folder: Path, precision: Precision = "auto", threads: int | None = None) -> None:
        self._manifest = read_manifest(folder)
        self._precision = self._choose(precision)
        model = self._manifest["models"][self._precision]
        for entry in (model, self._manifest["tokenizer"]):
            _check(folder / entry["name"], entry["sha256"])
        self._tokenizer, self._counter = _tokenizers(
            folder / self._manifest["tokenizer"]["name"], self._manifest["max_tokens"]
        )
        self._threads = usable_threads() if threads is None else threads
        self.folder = folder
        self._path = folder / model["name"]
        self._session = _session(self._path, self._threads)
        # For many texts each thread takes whole batches: threads that share one product wait for each other at every step.
        self._alone_session = self._session if self._threads == 1 else None
        self._guard = Lock()
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._alone = self._precision == "int8"
        self.source: Path | None = None  # the files it was converted from, set by `load_encoder` where it knows them

    @property
    def name(self) -> str:
        """See `Encoder.name`."""
        return f"{self._manifest['name']}-{self._precision}-{self._manifest['models'][self._precision]['id'][:8]}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._manifest["dim"])

    @property
    def precision(self) -> str:
        """`fp32` or `int8`: what runs."""
        return self._precision

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, the two special ones included; the rest is cut."""
        return int(self._manifest["max_tokens"])

    @property
    def parity(self) -> dict[str, Any]:
        """What conversion measured: each precision's agreement with the model it was made from."""
        return dict(self._manifest["parity"])

    @property
    def reads_together(self) -> bool:
        """See `TogetherEncoder.reads_together`: in fp32, four questions of 16 tokens take 4.6 ms each, and one alone takes 6.5."""
        return not self._alone

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        vectors, shares = self.encode_unmetered(texts)
        if shares:
            record(sum(shares, Usage()))
        return vectors

    def encode_unmetered(self, texts: Sequence[str]) -> tuple[Vectors, list[Usage]]:
        """See `TogetherEncoder.encode_unmetered`; a share is by tokens."""
        begun = perf_counter()
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors, []
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

        def run(session: Any, batch: list[int]) -> None:
            vectors[batch] = self._run(session, [ids[index] for index in batch])

        self._spread(run, [len(row) for row in ids])
        each = (perf_counter() - begun) / max(1, sum(map(len, ids)))
        return vectors, [Usage(encoder_tokens=len(row), seconds=each * len(row)) for row in ids]

    def encode_with_tokens(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """See `TokenEncoder.encode_with_tokens`."""
        begun = perf_counter()
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        tokens: list[Vectors] = [np.zeros((0, self.dim), dtype=np.float32)] * len(texts)
        encodings = self._tokenizer.encode_batch(list(texts)) if texts else []

        def run(session: Any, batch: list[int]) -> None:
            hidden, mask = self._hidden(session, [encodings[index].ids for index in batch])
            vectors[batch] = mean_pool(hidden, mask)
            for place, index in enumerate(batch):
                own = np.flatnonzero(np.array(encodings[index].special_tokens_mask) == 0)
                tokens[index] = unit_rows(hidden[place, own])

        self._spread(run, [len(encoding.ids) for encoding in encodings])
        spent = sum(len(encoding.ids) for encoding in encodings)
        record(Usage(encoder_tokens=spent, seconds=perf_counter() - begun))
        return vectors, tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`; the two special tokens are counted."""
        return [len(encoding.ids) for encoding in self._counter.encode_batch(list(texts))]

    def _choose(self, precision: Precision) -> str:
        allowed = self._manifest["parity"].get("int8", {}).get("allowed", False)
        chosen = ("int8" if allowed else "fp32") if precision == "auto" else precision
        if chosen not in self._manifest["models"]:
            raise ModelError(
                f"encoder '{self._manifest['name']}' was converted without {chosen}.",
                remedy=f"Take one of {', '.join(self._manifest['models'])}, or convert it again.",
                code="models.precision_missing",
            )
        return chosen

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        # Longest first: the padding inside a batch is small, and a batch that is too big for memory fails at the start.
        order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
        at = 0
        while at < len(order):
            size = 1 if self._alone else max(1, min(BATCH_TEXTS, BATCH_TOKENS // max(1, lengths[order[at]])))
            yield order[at : at + size]
            at += size

    def _spread(self, run: Callable[[Any, list[int]], None], lengths: Sequence[int]) -> None:
        """Run all batches of texts of these lengths, shared out over the threads where there are many texts."""
        batches = self._batches(lengths)
        if len(lengths) < SPREAD_TEXTS or self._threads == 1:
            for batch in batches:
                run(self._session, batch)
        else:
            session = self._single()
            with ThreadPoolExecutor(self._threads) as pool:
                deque(pool.map(lambda batch: run(session, batch), list(batches)), maxlen=0)

    def _single(self) -> Any:
        """The session that runs in the calling thread alone; made when first needed."""
        with self._guard:
            if self._alone_session is None:
                self._alone_session = _session(self._path, 1)
            return self._alone_session

    def _run(self, session: Any, rows: Sequence[Sequence[int]]) -> Vectors:
        return mean_pool(*self._hidden(session, rows))

    def _hidden(self, session: Any, rows: Sequence[Sequence[int]]) -> tuple[Vectors, NDArray[np.int64]]:
        width = max(1, *map(len, rows)) if len(rows) > 1 else max(1, len(rows[0]))
        ids = np.full((len(rows), width), self._manifest["pad_id"], dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return session.run(None, {name: feeds[name] for name in self._inputs})[0], mask


def mean_pool(hidden: NDArray[np.float32], mask: NDArray[np.int64]) -> Vectors:
    """Mean of the token vectors where `mask` is 1, scaled to length 1: (texts, tokens, dim) to (texts, dim), float32.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
    """
    weights = mask.astype(np.float32)[:, :, None]
    means = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    pooled: Vectors = (means / np.maximum(norms, SMALLEST_NORM)).astype(np.float32)
    return pooled


def unit_rows(rows: NDArray[np.float32]) -> Vectors:
    """Rows scaled to length 1: (rows, dim), float32; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Vectors = (rows / np.maximum(norms, SMALLEST_NORM)).astype(np.float32)
    return scaled


def usable_threads() -> int:
    """OMP_NUM_THREADS when it is a number, else the cores this process may use, at most 4."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return max(1, min(4, usable_cores()))


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a converted encoder.

    Raises:
        ModelError: there is none, or it is of an unknown format.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ModelError(
            "there is no converted encoder here.",
            where=str(path),
            remedy="Convert it again.",
            code="models.encoder_missing",
        ) from error
    if manifest.get("format") != FORMAT:
        raise ModelError(
            f"the encoder has format {manifest.get('format')}; this version reads {FORMAT}.",
            where=str(path),
            remedy="Delete the folder; it is converted again at the next use.",
            code="models.encoder_format",
        )
    return manifest


def _check(path: Path, digest: str) -> None:
    if not path.is_file() or file_sha256(path) != digest:
        raise ModelError(
            "the encoder's file is missing or damaged.",
            where=str(path),
            remedy="Delete the folder; the encoder is converted again at the next use.",
            code="models.encoder_damaged",
        )


def _tokenizers(path: Path, max_tokens: int) -> tuple[Any, Any]:
    # Otherwise every later subprocess prints a warning about a forked thread pool; tokenising is a small part of the
    # work.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    # The file's own settings pad to 128 and cut at 128, while the model reads more: both are replaced.
    reading = Tokenizer.from_file(str(path))
    reading.no_padding()
    reading.enable_truncation(max_length=max_tokens)
    counting = Tokenizer.from_file(str(path))
    counting.no_padding()
    counting.no_truncation()
    return reading, counting


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unrelated classes, one per status
        raise ModelError(
            f"ONNX Runtime cannot load the encoder: {error}",
            where=str(path),
            remedy="Delete the folder; the encoder is converted again at the next use.",
            code="models.encoder_damaged",
        ) from error
