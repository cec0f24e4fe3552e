"""A language model of random weights and conversations of made-up words, for measuring how fast a tuning is and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

WORDS = 4_000
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|> ' + message['content'] + ' <|end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|> ' }}{% endif %}"
)
HIDDEN, LAYERS, VOCABULARY = 256, 4, 32_000
"""A small model with the vocabulary of a large one: where most of the time of small models goes."""

SPECIAL = ("<|pad|>", "<|end|>", "<|unknown|>", "<|system|>", "<|user|>", "<|assistant|>")


def planted_pairs(rows: int, seed: int = 0) -> list[ChatPair]:
    """Conversations whose prompts have 20 to 220 words and whose answers 5 to 40: as uneven as retrieved passages make them."""
    draw = random.Random(seed)

    def said(words: int) -> str:
        return " ".join(f"w{draw.randrange(WORDS)}" for _ in range(words))

    return [
        ChatPair(
            messages=(Message(role="user", content=said(draw.randint(20, 220))),),
            completion=said(draw.randint(5, 40)),
        )
        for _ in range(rows)
    ]


def planted_causal(cache: Path, vocabulary: int = VOCABULARY) -> Path:
    """The folder of such a model below `cache`, made on first use."""
    folder = cache / f"planted-causal-{HIDDEN}-{LAYERS}-{vocabulary}"
    if not (folder / "model.safetensors").is_file():
        make_planted_causal(folder, HIDDEN, LAYERS, vocabulary)
    return folder


def make_planted_causal(folder: Path, hidden: int, layers: int, vocabulary: int) -> Path:
    """Write a Llama of random weights with a tokenizer of one token a word into `folder`; of `vocabulary` only WORDS are ever used."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    from steelyard.models.convert import quiet

    numbers = {word: at for at, word in enumerate((*SPECIAL, *(f"w{at}" for at in range(WORDS))))}
    raw = Tokenizer(models.WordLevel(numbers, unk_token=SPECIAL[2]))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=SPECIAL[0], eos_token=SPECIAL[1], unk_token=SPECIAL[2]
    )
    tokenizer.chat_template = TEMPLATE
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 64,
            num_key_value_heads=hidden // 64,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=None,
            eos_token_id=1,
        )
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
