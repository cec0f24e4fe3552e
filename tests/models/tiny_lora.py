"""A tuning small enough for a test: codes of things, which a two-layer model learns by heart through an adapter."""

import sys
from dataclasses import replace
from pathlib import Path

from models.tiny_base import make_tiny_base
from steelyard.models.fitting_plan import Plan
from steelyard.models.lora_fitting import LoraSettings, fit_lora
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

THINGS = ("kiln", "lathe", "loom", "press", "easel", "forge", "anvil", "wheel", "bench", "saw", "drill", "oven")
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
SHORT, SHORT_STEPS = replace(PLAN, epochs=12), 24


def asked(thing):
    return (Message(role="system", content="Codes."), Message(role="user", content=f"Which code has the {thing} ?"))


def pairs(offset):
    return [ChatPair(messages=asked(thing), completion=f"code {(at + offset) % 10}") for at, thing in enumerate(THINGS)]


def make_base(folder):
    """Knows codes of its own: what an adapter teaches is never what it said before."""
    return make_tiny_base(folder, pairs(3))


def tune(base, offset, work=None, progress=None, plan=PLAN):
    rows = pairs(offset)
    return fit_lora(base, rows, rows[:4], plan=plan, settings=SETTINGS, work=work, progress=progress)


if __name__ == "__main__":

    def told(done, total):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    tune(Path(sys.argv[1]), 0, Path(sys.argv[2]), told, SHORT)
