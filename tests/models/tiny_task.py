"""A training small enough for a test: dropout, an embedding, a frozen part and a head, so that every kind of state matters."""

import sys
import time
from pathlib import Path

import numpy as np

from steelyard.models.fitting import fit
from steelyard.models.fitting_plan import Plan

ROWS = 40
PLAN = Plan(epochs=6, batch=8, learning_rate=0.02, head_factor=2.0, patience=99, seed=3, threads=1, checkpoint_s=0.0)


class TinyTask:
    """Tells even from odd sums of two words; the score is taken on rows of its own."""

    key = "tiny"
    rows = ROWS

    def __init__(self):
        draw = np.random.default_rng(0)
        self.words = draw.integers(0, 12, size=(2 * ROWS, 2))
        self.labels = self.words.sum(axis=1) % 2

    def module(self):
        import torch

        class Tiny(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.words = torch.nn.Embedding(12, 8)
                self.frozen = torch.nn.Linear(16, 16).requires_grad_(False)
                self.drop = torch.nn.Dropout(0.2)
                self.head = torch.nn.Linear(16, 2)

            def forward(self, words):
                return self.head(self.drop(torch.tanh(self.frozen(self.words(words).flatten(1)))))

        return Tiny()

    def _said(self, module, rows):
        import torch

        return module(torch.from_numpy(self.words[rows]))

    def loss(self, module, batch):
        import torch

        # The step's own generator takes part: an augmentation must be the same after a crash.
        swapped = batch.generator.random(len(batch.rows)) < 0.5
        words = self.words[batch.rows].copy()
        words[swapped] = words[swapped][:, ::-1]
        return torch.nn.functional.cross_entropy(
            module(torch.from_numpy(words)), torch.from_numpy(self.labels[batch.rows])
        )

    def score(self, module):
        rows = np.arange(ROWS, 2 * ROWS)
        return float((self._said(module, rows).argmax(dim=1).numpy() == self.labels[rows]).mean())


if __name__ == "__main__":
    hold = int(sys.argv[2])

    def told(done, total):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()
        if done == hold:
            time.sleep(3600)  # killed by then

    fit(TinyTask(), PLAN, Path(sys.argv[1]), told)
