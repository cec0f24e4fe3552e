"""A Llama-like model of 0.1 million weights, trained until it says what it was given, so that what an adapter changes shows."""

from pathlib import Path

SPECIAL = ("<pad>", "<end>", "<unk>", "<system>", "<user>", "<assistant>")
TEMPLATE = (
    "{% for message in messages %}{{ '<' + message['role'] + '> ' + message['content'] + ' <end> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)
ENOUGH = 0.01
MOST_STEPS = 2000


def make_tiny_base(folder: Path, pairs) -> Path:
    """Teach a two-layer model `pairs` (`ChatPair`), all of them in every step, until the mean loss of their answers is below `ENOUGH`."""
    import torch
    import transformers

    from steelyard.models.causal_files import completion_ids, left_padded, prompt_ids

    tokenizer = _tokenizer([text for one in pairs for text in (*(m.content for m in one.messages), one.completion)])
    rows = [
        (prompt_ids(tokenizer, one.messages), completion_ids(tokenizer, one.messages, one.completion)) for one in pairs
    ]
    ids, mask = (torch.from_numpy(one) for one in left_padded([[*prompt, *answer] for prompt, answer in rows], 0))
    labels = ids.clone()
    for at, (_, answer) in enumerate(rows):
        labels[at, : -len(answer)] = -100
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=False, pad_token_id=0,
            bos_token_id=None, eos_token_id=1,
        )  # fmt: skip
        model = transformers.LlamaForCausalLM(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(MOST_STEPS):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if float(loss.detach()) < ENOUGH:
                break
    assert float(loss.detach()) < ENOUGH
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(texts):
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.WordLevel(unk_token=SPECIAL[2]))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=list(SPECIAL), show_progress=False))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=SPECIAL[0], eos_token=SPECIAL[1], unk_token=SPECIAL[2]
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer
