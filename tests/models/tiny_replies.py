"""A writer's training small enough for a test: three kinds of replies over hashed word vectors, no encoder layers to start from."""

import sys
from pathlib import Path

from steelyard.models.fake import FakeEncoder
from steelyard.models.fitting_plan import Plan
from steelyard.models.reply_fitting import ReplyRow, ReplyTask
from steelyard.models.reply_generator import Told, read_messages
from steelyard.models.reply_words import Wording

PLAN = Plan(
    epochs=30,
    batch=6,
    learning_rate=0.01,
    patience=99,
    seed=2,
    threads=1,
    checkpoint_s=0.0,
    evaluate_every=10,
    device="cpu",
)
WORDS = ("today", "please", "again", "now", "monday", "urgent", "still", "hello", "sir", "then")
KINDS = {
    "where is order": ("Hi {name}, order {order} is late. Sorry!", ("name", "order")),
    "thank you": ("Any time, {name}!", ("name",)),
    "are you open": ("We open at nine.", ()),
}


def rows(words):
    texts = [(f"{message} {word}", reply, slots) for message, (reply, slots) in KINDS.items() for word in words]
    read = read_messages(FakeEncoder(32), [text for text, _, _ in texts])
    return [
        ReplyRow(told=Told(vectors=vectors, slots=slots, act=0), reply=reply)
        for vectors, (_, reply, slots) in zip(read, texts, strict=True)
    ]


def task():
    train = rows(WORDS[:7])
    return ReplyTask(None, Wording.of([row.reply for row in train]), 0, train, rows(WORDS[7:]))


if __name__ == "__main__":
    from steelyard.models.fitting import fit

    def told(done, total):
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    fit(task(), PLAN, Path(sys.argv[1]), told)
