"""A sentence encoder of two layers with random weights in a Hugging Face folder, whose words are those of a small task."""

from __future__ import annotations

from pathlib import Path

TEXT = """refund money back address change move card lost stolen arrive late when how do i my the is please where
need want can you it was to new order parcel still not here"""
MAX_TOKENS = 24


def write_tiny_encoder(folder: Path) -> Path:
    """Write the encoder into `folder`; the same weights every time."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {
        word: number for number, word in enumerate(dict.fromkeys(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *TEXT.split())))
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=48, max_position_embeddings=MAX_TOKENS, initializer_range=0.15,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        transformers.BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
