"""LoRA of a local model: tuning, saving, loading, merging and resuming, with a real model and the real PEFT."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.tiny_base import make_tiny_base
from models.tiny_lora import PLAN, SETTINGS, SHORT, SHORT_STEPS, STEPS, THINGS, asked, make_base, pairs, tune
from steelyard.config import GeneratorSettings
from steelyard.models.adapter import export_peft, load_adapter, merge_adapter, save_adapter
from steelyard.models.causal_base import CausalBase, shared_base
from steelyard.models.causal_files import base_key, completion_ids, prompt_ids, read_causal, read_tokenizer
from steelyard.models.local_generator import LocalGenerator
from steelyard.models.lora_fitting import LoraTask, count_training_tokens, fit_lora
from steelyard.schema.errors import ModelError, UserError
from steelyard.schema.generation import Message
from steelyard.schema.tuning import ChatPair

torch = pytest.importorskip("torch")
pytest.importorskip("peft")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def codes(base):
    return tune(base, 0)


@pytest.fixture(scope="module")
def shifted(base):
    return tune(base, 5)


def answers(model, adapter=None, things=THINGS):
    prompts = [prompt_ids(model.tokenizer, asked(thing)) for thing in things]
    return [model.text(one.ids) for one in model.generate(prompts, adapter=adapter, max_tokens=8)]


def told(offset):
    return [pair.completion for pair in pairs(offset)]


def same(one, other):
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_an_adapter_learns_what_its_base_does_not_know(base, codes):
    model = CausalBase(base)
    assert sum(said == wanted for said, wanted in zip(answers(model), told(0), strict=True)) == 0
    assert answers(model, model.attach(codes.adapter)) == told(0)
    assert codes.fitted.curve[0].score < codes.fitted.best_score
    assert codes.fitted.steps == STEPS


def test_two_adapters_on_one_base_do_not_mix(base, codes, shifted):
    model = CausalBase(base)
    plain = answers(model)
    first, second = model.attach(codes.adapter), model.attach(shifted.adapter)
    for _ in range(2):
        assert answers(model, first) == told(0)
        assert answers(model, second) == told(5)
        assert answers(model) == plain
    assert model.attach(codes.adapter) == first


def test_the_generator_and_all_adapters_share_one_base_and_do_not_mix(base, codes, shifted):
    generator = LocalGenerator(GeneratorSettings(kind="transformers", path=str(base), device="cpu"))
    prompts = [asked(thing) for thing in THINGS]
    before = [one.text for one in generator.complete_many(prompts, max_tokens=8)]
    assert before == told(3)
    shared = shared_base(base, base_key(base), "cpu")
    assert generator._loaded.base is shared
    first, second = shared.attach(codes.adapter), shared.attach(shifted.adapter)
    assert answers(shared, first) == told(0)
    assert [one.text for one in generator.complete_many(prompts, max_tokens=8)] == before
    *pieces, whole = generator.stream(prompts[0], max_tokens=8)
    assert "".join(pieces) == whole.text == before[0]
    assert answers(shared, second) == told(5)


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(base):
    short = replace(PLAN, epochs=4)
    one, again = tune(base, 0, plan=short), tune(base, 0, plan=short)
    assert same(one.adapter.arrays, again.adapter.arrays)
    assert one.adapter.name == again.adapter.name
    assert tune(base, 0, plan=replace(short, seed=1)).adapter.name != one.adapter.name


def test_an_adapter_comes_back_from_disk_as_it_was(base, codes, tmp_path):
    save_adapter(tmp_path, codes.adapter, {"remark": "kept"})
    found, meta = load_adapter(tmp_path)
    assert (found.name, found.base, meta) == (codes.adapter.name, base_key(base), {"remark": "kept"})
    assert same(found.arrays, codes.adapter.arrays)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError) as caught:
        load_adapter(tmp_path)
    assert caught.value.code == "models.artefact_damaged"


def test_merged_weights_say_what_base_and_adapter_say(base, codes, tmp_path):
    merged = merge_adapter(base, codes.adapter, tmp_path / "merged")
    assert answers(CausalBase(merged)) == told(0)
    model = CausalBase(base)
    name = model.attach(codes.adapter)
    ids = torch.tensor([prompt_ids(model.tokenizer, asked("loom"))])
    with torch.no_grad():
        model._tuned.set_adapter(name, inference_mode=True)
        one = model._tuned(ids).logits
        other = read_causal(merged, "cpu")(ids).logits
    assert torch.allclose(one, other, atol=1e-4)
    manifest = json.loads((merged / "manifest.json").read_text())
    assert manifest["merged"] == {"adapter": codes.adapter.name, "base": base_key(base)}
    assert "model.safetensors" in manifest["sha256"]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks for it by its old name
def test_peft_itself_reads_what_is_exported(base, codes, tmp_path):
    from peft import PeftModel

    folder = export_peft(codes.adapter, base, tmp_path / "peft")
    tokenizer = read_tokenizer(base)
    model = PeftModel.from_pretrained(read_causal(base, "cpu"), folder).eval()
    ids = torch.tensor([prompt_ids(tokenizer, asked("kiln"))])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, pad_token_id=0
    )
    assert tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True) == told(0)[0]


def test_an_adapter_of_another_base_is_refused(base, codes, tmp_path):
    other = tmp_path / "other"
    make_tiny_base(other, pairs(3)[:2])
    with pytest.raises(ModelError) as caught:
        CausalBase(other).attach(codes.adapter)
    assert caught.value.code == "models.other_base"
    with pytest.raises(ModelError, match="not"):
        merge_adapter(other, codes.adapter, tmp_path / "merged")


@pytest.mark.slow
def test_a_training_killed_hard_ends_with_the_same_adapter(base, tmp_path):
    """A real process, killed with SIGKILL in the middle, then the same call again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])}
    script = [sys.executable, str(Path(__file__).with_name("tiny_lora.py")), str(base), str(tmp_path)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if int(line) >= SHORT_STEPS // 2:
                process.kill()
                break
    again = tune(base, 0, tmp_path, plan=SHORT)
    assert SHORT_STEPS // 2 - 1 <= again.fitted.resumed_at < SHORT_STEPS
    assert again.adapter.name == tune(base, 0, plan=SHORT).adapter.name
    # A finished training is read, not repeated.
    assert tune(base, 0, tmp_path, plan=SHORT).adapter.name == again.adapter.name


def test_parts_of_a_step_add_up_to_its_loss(base):
    task = LoraTask(base, pairs(0), (), replace(SETTINGS, dropout=0.0), "cpu")
    from steelyard.models.fitting_plan import Batch

    module = task.module().eval()
    batch = Batch(step=0, epoch=0, rows=np.arange(7), generator=np.random.default_rng(0))
    parts = task.parts(batch)
    assert sorted(int(row) for part in parts for row in part.rows) == list(range(7))
    with torch.no_grad():
        whole, added = task.loss(module, batch), sum(task.loss(module, part) for part in parts)
    assert len(parts) == 2
    assert float(added) == pytest.approx(float(whole), rel=1e-5)


def test_the_loss_is_of_the_answer_alone(base):
    """Checked against the model's own loss with the prompt's labels masked."""
    pair = pairs(0)[0]
    task = LoraTask(base, [pair], (), replace(SETTINGS, dropout=0.0), "cpu")
    module, tokenizer = task.module().eval(), read_tokenizer(base)
    prompt, answer = prompt_ids(tokenizer, pair.messages), completion_ids(tokenizer, pair.messages, pair.completion)
    ids = torch.tensor([[*prompt, *answer]])
    labels = torch.tensor([[*[-100] * len(prompt), *answer]])
    from steelyard.models.fitting_plan import Batch

    batch = Batch(step=0, epoch=0, rows=np.arange(1), generator=np.random.default_rng(0))
    with torch.no_grad():
        wanted = float(module(input_ids=ids, labels=labels).loss)
        assert float(task.loss(module, batch)) == pytest.approx(wanted, rel=1e-5)
    assert tokenizer.decode(answer) == "code 0 <end>"
    assert count_training_tokens(base, [pair]) == len(prompt) + len(answer)


def test_without_validation_rows_the_last_weights_are_kept(base):
    found = fit_lora(base, pairs(0), (), plan=replace(PLAN, epochs=1), settings=SETTINGS)
    assert found.fitted.best_step == found.fitted.steps == 2


def test_rows_that_do_not_fit_are_left_out_and_none_is_an_error(base):
    long = ChatPair(messages=(Message(role="user", content="kiln " * 1100),), completion="code 1")
    few = replace(SETTINGS, longest=100)
    found = fit_lora(base, [*pairs(0), long], (), plan=replace(PLAN, epochs=1), settings=few)
    assert found.left_out == 1
    with pytest.raises(UserError) as caught:
        fit_lora(base, [long], (), plan=PLAN, settings=few)
    assert caught.value.code == "models.rows_too_long"


def test_pickled_weights_are_not_read(base, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((base / name).read_bytes())
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    for read in (base_key, lambda folder: read_causal(folder, "cpu")):
        with pytest.raises(ModelError) as caught:
            read(tmp_path)
        assert caught.value.code == "models.not_a_language_model"
