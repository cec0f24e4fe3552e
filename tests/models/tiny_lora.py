"""A tuning small enough for a test: codes of things, which a two-layer model learns by heart through an adapter."""

import sys
from pathlib import Path

from tiny_generator import THINGS, train_tiny_generator

from steelyard.models.fitting_plan import Plan
from steelyard.models.lora_fitting import LoraSettings, fit_lora
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

PLAN = Plan(
    epochs=60,
    batch=6,
    learning_rate=0.01,
    schedule="cosine",
    weight_decay=0.0,
    patience=99,
    threads=1,
    checkpoint_s=0.0,
)
SETTINGS = LoraSettings(rank=8, alpha=16, dropout=0.05, micro_rows=4)
STEPS = 120  # 60 epochs of 12 rows in batches of 6


def asked(thing):
    return (Message(role="system", content="Codes."), Message(role="user", content=f"Which code has the {thing}?"))


def pairs(offset):
    return [ChatPair(messages=asked(thing), completion=f"code {(at + offset) % 10}") for at, thing in enumerate(THINGS)]


def make_base(folder):
    """Trained on codes of its own: it tells the things apart, and what an adapter teaches is never what it said before."""
    rows = [
        [*((one.role, one.content) for one in pair.messages), ("assistant", pair.completion)] for pair in pairs(3) * 3
    ]
    return train_tiny_generator(folder, rows, steps=100)


def tune(base, offset, work=None, progress=None, plan=PLAN):
    rows = pairs(offset)
    return fit_lora(base, rows, rows[:4], plan=plan, settings=SETTINGS, work=work, progress=progress)


if __name__ == "__main__":

    def told(done, total):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    tune(Path(sys.argv[1]), 0, Path(sys.argv[2]), told)
