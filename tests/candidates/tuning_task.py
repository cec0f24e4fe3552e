"""A routing task for the tiny encoder, and a process that fits one candidate on it, to be killed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from steelyard.candidates.classify_tuned import ContrastiveRouter, FullRouter
from steelyard.candidates.interface import Tools
from steelyard.models.loading import load_encoder
from steelyard.schema.items import Item

FILLERS = ("how do i", "please", "my", "where is the", "i need", "can you", "when", "it was", "i want to")
MEANT = {
    "refund": ("refund", "money back"),
    "address": ("address change", "move address", "new address"),
    "card_lost": ("card lost", "card stolen"),
    "parcel": ("parcel late", "order still not here", "when arrive order"),
}
ROUTERS = {"contrastive": ContrastiveRouter, "full": FullRouter}


def rows(count: int, seed: int) -> list[Item]:
    """`count` messages over four labels, each drowned in words that say nothing: what tuning has to learn to look past."""
    rng = np.random.default_rng(seed)
    found = []
    for at in range(count):
        label = sorted(MEANT)[at % len(MEANT)]
        words = [str(rng.choice(FILLERS)) for _ in range(6)]
        words.insert(int(rng.integers(0, 7)), str(rng.choice(MEANT[label])))
        found.append(Item(id=f"{seed}-{at}", task="classify", text=" ".join(words), label=label))
    return found


EPOCHS = 6


class Quick:
    """A plan that a random encoder learns by in seconds, a checkpoint after every step."""

    @staticmethod
    def of(kind):
        plan = replace(
            kind.plan,
            learning_rate=2e-3,
            epochs=EPOCHS,
            batch=16,
            head_factor=5.0,
            patience=9,
            checkpoint_s=0.0,
            threads=1,
        )
        return type(kind.__name__, (kind,), {"plan": plan, "lexical": False})


def fitted(name: str, source: Path, cache: Path, work: Path | None, progress=lambda done, total: None, **more):
    """The candidate `name`, fitted on the task."""
    tools = Tools(
        encoder=load_encoder(str(source), cache, "fp32", threads=1), work=work, progress=progress, seed=3, **more
    )
    return Quick.of(ROUTERS[name])(tools).fit(rows(96, 1), rows(40, 2))


if __name__ == "__main__":

    def told(done, total):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    kind, source, cache, work, out = sys.argv[1], *map(Path, sys.argv[2:6])
    fitted(kind, source, cache, work, told).save(out)
