"""A Llama-like model of 0.1 million parameters that tests train in seconds: its answers follow what its context says.

`tiny_generator()` is the folder of one that reads a price from a numbered passage, cites it, and does not know what is not in it (of two
passages it takes the price of either: telling them apart takes minutes of training). It is made once and kept beside the temporary
files, under a lock, so that every test run and every process shares it. `train_tiny_generator` makes others from conversations of your
own.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

THINGS = ("kiln", "lathe", "loom", "press", "easel", "forge", "anvil", "wheel", "bench", "saw", "drill", "oven")
PRICES = ("10", "20", "30", "40", "50", "60", "70", "80", "90")
SYSTEM = "Answer from the passages and cite them."
UNKNOWN = "I do not know."

Conversation = Sequence[tuple[str, str]]
"""Pairs of role and text; what the assistant says is learned."""

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


def question_about(thing: str, facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The conversation that asks for the price of `thing`, with `facts` (thing, price) as numbered passages."""
    passages = "\n".join(f"[{n}] {one} {price} USD." for n, (one, price) in enumerate(facts, start=1))
    return [("system", SYSTEM), ("user", f"{passages}\n{_question(thing)}")]


def answer_to(thing: str, facts: Sequence[tuple[str, str]]) -> str:
    """What the model is taught to say."""
    for number, (one, price) in enumerate(facts, start=1):
        if one == thing:
            return f"{thing} {price} USD. [{number}]"
    return UNKNOWN


def price_conversations(count: int, seed: int = 0) -> list[list[tuple[str, str]]]:
    """A question about one passage with its answer; one in eight asks for what is not in it."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        thing, other = draw.sample(THINGS, 2)
        facts = [(thing, draw.choice(PRICES))]
        asked = thing if draw.random() > 1 / 8 else other
        rows.append([*question_about(asked, facts), ("assistant", answer_to(asked, facts))])
    return rows


def _question(thing):
    return f"What does the {thing} cost?"


def train_tiny_generator(
    folder: Path, conversations: Sequence[Conversation], *, steps: int = 700, seed: int = 0, vocabulary: int = 420
) -> Path:
    """Train a tokenizer and a two-layer Llama on `conversations`, and write both into `folder` as Hugging Face files."""
    import torch
    import transformers

    tokenizer = _tokenizer([text for one in conversations for _, text in one], vocabulary)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = transformers.LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=2048, tie_word_embeddings=True, pad_token_id=0,
            bos_token_id=None, eos_token_id=1,
        )  # fmt: skip
        model = transformers.LlamaForCausalLM(config)
        _train(model, [_encoded(tokenizer, one) for one in conversations], steps, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_generator() -> Path:
    """The folder of the model that reads prices; made on the first call (about 20 s on one core), kept for later runs."""
    from filelock import FileLock

    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    root = Path(tempfile.gettempdir()) / "steelyard-tests"
    root.mkdir(exist_ok=True)
    folder = root / f"tiny-generator-{digest}"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            beside = folder.with_name(folder.name + ".new")
            shutil.rmtree(beside, ignore_errors=True)
            train_tiny_generator(beside, price_conversations(4000))
            beside.rename(folder)
    return folder


def _tokenizer(texts, vocabulary):
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token=SPECIAL[0], eos_token=SPECIAL[1])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _encoded(tokenizer, conversation):
    """Tokens of a conversation, and the same as labels where the assistant speaks, -100 elsewhere."""
    tokens, labels = [], []
    for role, text in conversation:
        head = tokenizer.encode(f"<|{role}|>", add_special_tokens=False)
        said = tokenizer.encode(text + SPECIAL[1], add_special_tokens=False)
        tokens += head + said
        labels += [-100] * len(head) + (said if role == "assistant" else [-100] * len(said))
    return tokens, labels


def _train(model, rows, steps, seed, batch=16, rate=2e-3, learned=0.01):
    """Up to `steps` steps; fewer when the mean loss falls below `learned`."""
    import torch

    draw, mean = random.Random(seed), 1.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50, max(0.05, (steps - step) / (0.3 * steps)))
        chosen = draw.sample(rows, min(batch, len(rows)))
        width = max(len(tokens) for tokens, _ in chosen)
        tokens = torch.zeros((len(chosen), width), dtype=torch.long)
        labels = torch.full((len(chosen), width), -100)
        for row, (own, wanted) in enumerate(chosen):
            tokens[row, : len(own)] = torch.tensor(own)
            labels[row, : len(wanted)] = torch.tensor(wanted)
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = 0.95 * mean + 0.05 * loss.item()
        if mean < learned:
            break
    model.eval()
