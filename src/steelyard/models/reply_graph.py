"""Writes a reply decoder as two ONNX graphs: what is read once for a reply, and one step that keeps what it has said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 20  # the first with GELU as one operator
EPSILON = 1e-12  # BERT's, in every layer norm

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large a decoder is: width, heads, layers, and positions. `scale` multiplies the logits of the tied embeddings."""

    width: int
    heads: int
    layers: int
    positions: int
    scale: float

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class _Graph:
    def __init__(self, shape: Shape, weights: Weights) -> None:
        self.shape = shape
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def constant(self, name: str, array: NDArray[Any] | None = None) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            found = self._weights[name].astype(np.float32) if array is None else array
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(found), name)
        return name

    def node(self, operator: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = name or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def takes(self, name: str, kind: str, axes: list[str | int]) -> str:
        self._inputs.append(self._value(name, kind, axes))
        return name

    def gives(self, source: str, name: str, axes: list[str | int]) -> None:
        self.node("Identity", [source], name)
        self._outputs.append(self._value(name, "FLOAT", axes))

    def dense(self, before: str, name: str) -> str:
        """A linear layer; its matrix is stored as torch has it, (out, in)."""
        matrix = self.constant(f"{name}.weight^T", self._weights[f"{name}.weight"].astype(np.float32).T)
        return self.node("Add", [self.node("MatMul", [before, matrix]), self.constant(f"{name}.bias")])

    def norm(self, before: str, name: str) -> str:
        inputs = [before, self.constant(f"{name}.weight"), self.constant(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, epsilon=EPSILON, axis=-1)

    def heads(self, before: str) -> str:
        """(rows, words, width) to (rows, heads, words, width / heads)."""
        size = self.shape.width // self.shape.heads
        sizes = self.constant("by heads", np.array([0, 0, self.shape.heads, size], dtype=np.int64))
        return self.node("Transpose", [self.node("Reshape", [before, sizes])], perm=[0, 2, 1, 3])

    def attended(self, queries: str, keys: str, values: str) -> str:
        """Attention over all of (rows or 1, words, width) each; back in (rows, words, width)."""
        size = self.shape.width // self.shape.heads
        turned = self.node("Transpose", [self.heads(keys)], perm=[0, 1, 3, 2])
        scores = self.node("MatMul", [self.heads(queries), turned])
        scaled = self.node("Mul", [scores, self.constant("by size", np.array(size**-0.5, dtype=np.float32))])
        mixed = self.node("MatMul", [self.node("Softmax", [scaled], axis=-1), self.heads(values)])
        whole = self.constant("whole", np.array([0, 0, self.shape.width], dtype=np.int64))
        return self.node("Reshape", [self.node("Transpose", [mixed], perm=[0, 2, 1, 3]), whole])

    def model(self, name: str) -> bytes:
        from onnx import helper

        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._constants.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        serialised: bytes = made.SerializeToString(deterministic=True)
        return serialised

    @staticmethod
    def _value(name: str, kind: str, axes: list[str | int]) -> Any:
        from onnx import TensorProto, helper

        return helper.make_tensor_value_info(name, getattr(TensorProto, kind), axes)


def memory_graph(shape: Shape, weights: Weights) -> bytes:
    """The message's vectors (words, width), slot ids (slots,) and the act's id (1,) to keys and values of each layer, (1, read, width)."""
    graph = _Graph(shape, weights)
    read = graph.dense(graph.takes("vectors", "FLOAT", ["words", shape.width]), "head.read")
    slots = graph.node("Gather", [graph.constant("words.weight"), graph.takes("slots", "INT64", ["slots"])])
    slots = graph.node("Add", [slots, graph.constant("head.slot")])
    act = graph.node("Gather", [graph.constant("head.acts.weight"), graph.takes("act", "INT64", [1])])
    memory = graph.norm(graph.node("Concat", [act, slots, read], axis=0), "head.norm")
    memory = graph.node("Unsqueeze", [memory, graph.constant("first", np.array([0], dtype=np.int64))])
    for layer in range(shape.layers):
        for part in ("key", "value"):
            graph.gives(
                graph.dense(memory, f"layer.{layer}.cross.{part}"), f"{part}s_{layer}", [1, "read", shape.width]
            )
    return graph.model("memory")


def step_graph(shape: Shape, weights: Weights) -> bytes:
    """The last id of each beginning, its position, what was read and what was said, to logits and what is said now.

    `last` (beginnings,), `position` (1,), `keys_L` and `values_L` (1, read, width) of `memory_graph`, `said_keys_L` and
    `said_values_L` (beginnings, said, width); out come `logits` (beginnings, ids) and `now_keys_L`, `now_values_L`.
    """
    graph = _Graph(shape, weights)
    last = graph.node("Gather", [graph.constant("words.weight"), graph.takes("last", "INT64", ["beginnings"])])
    furthest = graph.constant("furthest", np.array([shape.positions - 1], dtype=np.int64))
    position = graph.node("Min", [graph.takes("position", "INT64", [1]), furthest])
    place = graph.node("Gather", [graph.constant("places.weight"), position])
    second = graph.constant("second", np.array([1], dtype=np.int64))
    state = graph.node("Unsqueeze", [graph.norm(graph.node("Add", [last, place]), "embedded"), second])
    for layer in range(shape.layers):
        name = f"layer.{layer}"
        kept = {}
        for part in ("key", "value"):
            said = graph.takes(f"said_{part}s_{layer}", "FLOAT", ["beginnings", "said", shape.width])
            own = graph.dense(state, f"{name}.self.{part}")
            kept[part] = graph.node("Concat", [said, own], axis=1)
            graph.gives(kept[part], f"now_{part}s_{layer}", ["beginnings", "now", shape.width])
        mixed = graph.attended(graph.dense(state, f"{name}.self.query"), kept["key"], kept["value"])
        state = graph.norm(graph.node("Add", [state, graph.dense(mixed, f"{name}.self.out")]), f"{name}.self.norm")
        read = [graph.takes(f"{part}s_{layer}", "FLOAT", [1, "read", shape.width]) for part in ("key", "value")]
        mixed = graph.attended(graph.dense(state, f"{name}.cross.query"), *read)
        state = graph.norm(graph.node("Add", [state, graph.dense(mixed, f"{name}.cross.out")]), f"{name}.cross.norm")
        wide = graph.node("Gelu", [graph.dense(state, f"{name}.up")])
        state = graph.norm(graph.node("Add", [state, graph.dense(wide, f"{name}.down")]), f"{name}.norm")
    flat = graph.node("Squeeze", [state, second])
    tied = graph.constant("words.weight^T", weights["words.weight"].astype(np.float32).T * np.float32(shape.scale))
    logits = graph.node("Add", [graph.node("MatMul", [flat, tied]), graph.constant("head.bias")])
    graph.gives(logits, "logits", ["beginnings", len(weights["words.weight"])])
    return graph.model("step")
