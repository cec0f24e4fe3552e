"""A cross-encoder as it serves: reads a question and a text together and says how well the text answers; ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import Arrays
from steelyard.models.encoder import usable_threads
from steelyard.models.metering import record
from steelyard.schema.errors import ModelError
from steelyard.schema.outputs import Usage

QUESTION_TOKENS = 48
PAIR_TOKENS = 160
"""Tokens of a question, and of a pair, that are read: quotes are short, and attention grows with the square."""

Ids = list[int]


class PairTokenizer:
    """Turns question and text into the token ids of a pair. `file` is the content of a `tokenizer.json`."""

    def __init__(self, file: bytes) -> None:
        from tokenizers import Tokenizer

        self.file = file
        self._asking, self._telling = (Tokenizer.from_buffer(file) for _ in range(2))
        for one in (self._asking, self._telling):
            one.no_padding()
        self._asking.enable_truncation(max_length=QUESTION_TOKENS)
        self._telling.enable_truncation(max_length=PAIR_TOKENS)

    def pairs(self, question: str, texts: Sequence[str]) -> list[Ids]:
        """Ids of the question with each text: [CLS] question [SEP] text [SEP], cut at the end of the text."""
        asked: Ids = self._asking.encode(question).ids
        # The text without the mark it begins with; this needs no template for pairs, which some tokenizers lack.
        told = [encoding.ids for encoding in self._telling.encode_batch(list(texts))]
        room = PAIR_TOKENS - len(asked)
        return [asked + (ids[1:] if len(ids) - 1 <= room else [*ids[1:room], ids[-1]]) for ids in told]


class PairScorer:
    """Scores pairs with an exported encoder and a head on the mean of its tokens.

    `onnx` is the exported encoder, `head` float32, (dim + 1,): weights, then the intercept. With int8 weights every pair runs
    alone: dynamic quantisation scales by the whole batch, and a score would depend on its neighbours. Safe for several threads.

    Raises:
        ModelError: ONNX Runtime cannot load `onnx`.
    """

    def __init__(
        self, onnx: bytes, tokenizer: bytes, head: NDArray[np.float32], precision: Literal["fp32", "int8"]
    ) -> None:
        self.onnx, self.head, self.precision = onnx, np.asarray(head, dtype=np.float32), precision
        self._tokenizer = PairTokenizer(tokenizer)
        self._session = _session(onnx)
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def score(self, question: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """How well each text answers, a logit, float64, (texts,); comparable between texts of one question."""
        begun = perf_counter()
        rows = self._tokenizer.pairs(question, texts)
        scores = np.zeros(len(rows))
        for batch in [[place] for place in range(len(rows))] if self.precision == "int8" else [list(range(len(rows)))]:
            if batch:
                scores[batch] = self._run([rows[place] for place in batch])
        record(Usage(encoder_tokens=sum(map(len, rows)), seconds=perf_counter() - begun))
        return scores

    def arrays(self) -> Arrays:
        """Everything it is made from, as arrays of an artefact; see `from_arrays`."""
        return {
            "pairs_onnx": np.frombuffer(self.onnx, dtype=np.uint8),
            "pairs_tokenizer": np.frombuffer(self._tokenizer.file, dtype=np.uint8),
            "pairs_head": self.head,
            "pairs_int8": np.array(self.precision == "int8"),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> PairScorer | None:
        """The scorer whose `arrays` these are; None where the artefact has none.

        Raises:
            ModelError: ONNX Runtime cannot load it.
        """
        if "pairs_onnx" not in arrays:
            return None
        return cls(
            arrays["pairs_onnx"].tobytes(),
            arrays["pairs_tokenizer"].tobytes(),
            arrays["pairs_head"],
            "int8" if bool(arrays["pairs_int8"]) else "fp32",
        )

    def _run(self, rows: Sequence[Ids]) -> NDArray[np.float64]:
        ids, mask = padded(rows)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        means = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        found: NDArray[np.float64] = (means @ self.head[:-1] + self.head[-1]).astype(np.float64)
        return found


def padded(rows: Sequence[Ids]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask, int64, (rows, longest) each, filled up with 0."""
    width = max(map(len, rows))
    ids, mask = np.zeros((len(rows), width), dtype=np.int64), np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def _session(onnx: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unrelated classes, one per status
        raise ModelError(
            f"ONNX Runtime cannot load the cross-encoder: {error}",
            remedy="Train it again.",
            code="models.pairs_damaged",
        ) from error
