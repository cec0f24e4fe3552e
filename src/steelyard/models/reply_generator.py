"""A tuned writer as it serves: reads a message, slots and an act, and writes a reply with its slots in place; ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.models.artefact import Arrays
from steelyard.models.interface import Encoder, TokenEncoder, Vectors
from steelyard.models.metering import record
from steelyard.models.reply_decoding import Logits, Written, write_reply
from steelyard.models.reply_words import Wording
from steelyard.schema.errors import ModelError
from steelyard.schema.outputs import Usage

READ_TOKENS = 48
"""Tokens of a message that the writer looks at, after the vector of the whole."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a reply is written from. `vectors`, float32, (read, width), are the message's; see `read_messages`.

    `slots` are the names of the slots to place; `act` the number of what is to be said, 0 where that is not known.
    """

    vectors: Vectors
    slots: tuple[str, ...]
    act: int


def read_messages(encoder: Encoder, texts: Sequence[str]) -> list[Vectors]:
    """The vector of each text and those of its first tokens, (1 + tokens, dim), half precision in float32, scaled to the width's root.

    An encoder without token vectors gives the first alone. The encoder stays as it is, so this is worked out once for each text.
    """
    found: object = encoder
    while found is not None and not isinstance(found, TokenEncoder):
        found = getattr(found, "inner", None)
    if found is None:
        rows = [vector[None] for vector in encoder.encode(texts)]
    else:
        vectors, tokens = found.encode_with_tokens(texts)
        rows = [np.concatenate([vector[None], own[:READ_TOKENS]]) for vector, own in zip(vectors, tokens, strict=True)]
    # Half precision, as the training keeps them: what is learned from is what is served.
    scale = np.float32(np.sqrt(encoder.dim))
    return [row.astype(np.float16).astype(np.float32) * scale for row in rows]


class ReplyGenerator:
    """Writes replies with exported weights. `memory` and `step` are the graphs of `models.reply_graph`. Safe for several threads.

    Raises:
        ModelError: ONNX Runtime cannot load a graph.
    """

    def __init__(self, memory: bytes, step: bytes, wording: Wording) -> None:
        self.memory, self.step = memory, step
        self.wording = wording
        self._memory, self._step = _session(memory), _session(step)
        self._said = [(entry.name, entry.shape[-1]) for entry in self._step.get_inputs() if "said" in entry.name]

    def write(self, told: Told, source: str, beams: int | None = None) -> Written:
        """A reply with each slot of `told` exactly once; numbers outside slots come from `source`. See `write_reply`."""
        begun = perf_counter()
        saying = self.saying(told)
        writable = self.wording.writable(source)
        found = (
            write_reply(saying, self.wording, told.slots, writable)
            if beams is None
            else write_reply(saying, self.wording, told.slots, writable, beams)
        )
        record(Usage(tokens_out=len(found.ids), seconds=perf_counter() - begun))
        return found

    def saying(self, told: Told) -> Saying:
        """The weights with what is told read, ready to say the first word."""
        ids = np.array([self.wording.slot_id(name) for name in told.slots], dtype=np.int64)
        feeds = {"vectors": told.vectors, "slots": ids, "act": np.array([told.act], dtype=np.int64)}
        names = [entry.name for entry in self._memory.get_outputs()]
        return Saying(self._step, dict(zip(names, self._memory.run(names, feeds), strict=True)), self._said)

    def arrays(self) -> Arrays:
        """The graphs as arrays of an artefact; `Wording.to_json` holds the rest."""
        return {
            "writer_memory": np.frombuffer(self.memory, dtype=np.uint8),
            "writer_step": np.frombuffer(self.step, dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, wording: Wording) -> ReplyGenerator:
        """The generator whose `arrays` these are.

        Raises:
            ModelError: ONNX Runtime cannot load it.
        """
        return cls(arrays["writer_memory"].tobytes(), arrays["writer_step"].tobytes(), wording)


class Saying:
    """One reply being written: what was read, and what each beginning has said. A `Stepper`."""

    def __init__(self, session: Any, read: Arrays, said: Sequence[tuple[str, int]]) -> None:
        self._session = session
        self._read = read
        self._said: Arrays = {name: np.zeros((1, 0, width), dtype=np.float32) for name, width in said}
        self._names = [entry.name for entry in session.get_outputs()]
        self._position = 0

    def step(self, last: Sequence[int], parents: Sequence[int]) -> Logits:
        """See `Stepper.step`."""
        order = np.array(parents, dtype=np.int64)
        feeds = {
            **self._read,
            **{name: array[order] for name, array in self._said.items()},
            "last": np.array(last, dtype=np.int64),
            "position": np.array([self._position], dtype=np.int64),
        }
        found = dict(zip(self._names, self._session.run(self._names, feeds), strict=True))
        self._said = {name: found[name.replace("said", "now", 1)] for name in self._said}
        self._position += 1
        logits: Logits = found["logits"]
        return logits


def logits_of(generator: ReplyGenerator, told: Told, ids: Sequence[int]) -> NDArray[np.float32]:
    """What the served form makes of a whole reply, step by step: the logits before each of `ids`, (ids, vocabulary)."""
    saying = generator.saying(told)
    return np.concatenate([saying.step([one], [0]) for one in ids])


def _session(onnx: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A step is a few small products: threads would wait for each other longer than they work.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unrelated classes, one per status
        raise ModelError(
            f"ONNX Runtime cannot load the writer: {error}",
            remedy="Train it again.",
            code="models.writer_damaged",
        ) from error
