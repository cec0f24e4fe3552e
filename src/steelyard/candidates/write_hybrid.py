"""The fourth cell of writing: tuned weights choose what to say, retrieval finds the wording nearest to the message."""

from __future__ import annotations

from typing import Any

import numpy as np

from steelyard.candidates.write_approved import Arrays, Scores, TunedSelector
from steelyard.components.slots import situation
from steelyard.schema.items import Item


class TunedExemplar(TunedSelector):
    """A tuned head chooses the act; of its approved replies the one to the nearest past message is sent.

    An act whose replies are worded for different situations keeps them apart, which the most usual wording cannot.
    """

    name = "tuned-exemplar"

    def _learn(self, rows: list[Item], held: list[Item]) -> None:
        super()._learn(rows, held)
        self._inputs = self._encode([situation(item.text, item.slots) for item in [*rows, *held]])

    def _scores(self, text: str, fits: list[int]) -> Scores:
        vector = self._encode([text])
        likely = self._head.log_probabilities([text], vector)[0]
        rank = dict(zip(self._head.labels_, np.argsort(np.argsort(likely)).tolist(), strict=True))
        similar = (self._inputs[fits] @ vector[0]).astype(np.float64)
        # The act decides; half a cosine stays below 1, so it only orders the replies of one act.
        acts = np.array([rank.get(self._acts[at], -1) for at in fits], dtype=np.float64)
        return np.asarray(acts + 0.49 * similar)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        arrays, meta = super()._state()
        return {**arrays, "inputs": self._inputs}, meta

    def _restore(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        super()._restore(arrays, meta)
        self._inputs = arrays["inputs"]
