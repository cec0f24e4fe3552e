"""A Hugging Face folder with a two-layer encoder of random weights, small enough to tune in a test."""

WORDS = (
    "refund invoice how do i change the billing address ? please a ##s . when what does hiring cost costs usd day kiln lathe loom "
    "press easel forge anvil wheel bench saw drill oven weighs kg yard stands in it 5 6 7 8 9"
)
MAX_TOKENS = 64


def write_tiny_bert(folder, max_tokens=MAX_TOKENS):
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    torch.manual_seed(0)
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(WORDS.split()))
    vocabulary = {word: number for number, word in enumerate(words)}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=max_tokens,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
