"""What the routers of `steelyard bench finetune` said on test rows, kept run by run: a run that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any, Self

from steelyard.candidates.classify_router import Router
from steelyard.candidates.classify_tuned import TunedRouter
from steelyard.candidates.interface import Tools
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output

LEARNING_ROOMS = ("candidates", "components", "models")
"""Rooms whose code a run depends on: with another line in one of them a kept run is of no use."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one router said on the test rows, `loss` of the validation labels in nats, and processor seconds of its fit."""

    outputs: tuple[Output, ...]
    loss: float
    fit_s: float
    notes: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON: of each output what scores read."""
        said = [[one.label, one.probability, one.out_of_scope] for one in self.outputs]
        return {"outputs": said, "loss": self.loss, "fit_s": self.fit_s, "notes": self.notes}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """What `to_json` wrote."""
        outputs = (Output(label=label, probability=p, out_of_scope=out) for label, p, out in found["outputs"])
        return cls(outputs=tuple(outputs), loss=found["loss"], fit_s=found["fit_s"], notes=found["notes"])


def run_router(
    kind: type[Router],
    tools: Tools,
    parts: tuple[Sequence[Item], Sequence[Item], Sequence[Item]],
    *,
    kept: Path,
    refit: bool = True,
) -> Ran:
    """Fit `kind` on the train and validation rows of `parts` and ask it the test rows, or read what an equal run kept in `kept`.

    A training that was cut off goes on from its last checkpoint, which lies there too; `fit_s` then counts the last sitting alone.
    Equal is: the same rows, settings and seconds to tune, and the same code of the rooms that learn. The encoder is given by
    `tools` and counts by its name.
    """
    key = _key(kind, tools, parts, refit)
    path = kept / f"{key}.json"
    if path.is_file():
        return Ran.from_json(json.loads(path.read_text(encoding="utf-8")))
    train, held, test = parts
    work = kept / key
    router = kind(replace(tools, work=work), refit=refit)
    begun = process_time()
    router.fit(train, held)
    seconds = process_time() - begun
    notes = router.notes_ if isinstance(router, TunedRouter) else {}
    ran = Ran(
        outputs=tuple(router.predict_many([item.text for item in test])),
        loss=router.validation_loss_,
        fit_s=seconds,
        notes={name: value for name, value in notes.items() if name != "int8_flipped"},
    )
    kept.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(json.dumps(ran.to_json()), encoding="utf-8")
    os.replace(half, path)
    shutil.rmtree(work, ignore_errors=True)
    return ran


def _key(kind: type[Router], tools: Tools, parts: tuple[Sequence[Item], ...], refit: bool) -> str:
    digest = hashlib.sha256(f"{kind.name} {tools.encoder.name} {tools.budget_s} {refit} {_code()}".encode())
    for part in parts:
        for item in part:
            digest.update(f"{item.id}\t{item.text}\t{item.label}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()[:32]


@cache
def _code() -> str:
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for room in LEARNING_ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
