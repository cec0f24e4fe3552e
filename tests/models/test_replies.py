import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bert import write_tiny_bert
from tiny_replies import KINDS, PLAN, WORDS, rows, task

from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.models.metering import metered
from steelyard.models.reply_generator import ReplyGenerator
from steelyard.models.reply_words import BEGIN, Wording
from steelyard.schema.errors import ModelError

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    from steelyard.models.reply_fitting import fit_replies

    return fit_replies(task(), rows(WORDS[7:]), PLAN, tmp_path_factory.mktemp("work"))


def reply(generator, row):
    return generator.wording.text(generator.write(row.told, row.reply).ids)


def test_replies_are_learned_and_said_to_messages_never_seen(tuned):
    assert [reply(tuned.generator, row) for row in rows(["sunday"])] == [said for said, _ in KINDS.values()]
    assert tuned.fitted.best_score > tuned.fitted.curve[0].score + 1.0
    assert tuned.fitted.curve[0].score < -2.0


def test_the_exported_form_says_what_torch_says(tuned):
    assert tuned.parity < 1e-4


def test_an_export_that_disagrees_is_refused(tuned, monkeypatch, tmp_path):
    from steelyard.models import reply_fitting

    def shifted(shape, weights):
        wrong = {**weights, "head.bias": weights["head.bias"] + np.arange(len(weights["head.bias"])) * 0.01}
        return step_graph(shape, wrong)

    step_graph = reply_fitting.step_graph
    monkeypatch.setattr(reply_fitting, "step_graph", shifted)
    with pytest.raises(ModelError, match="disagrees with torch") as caught:
        reply_fitting.fit_replies(task(), rows(WORDS[7:]), replace(PLAN, epochs=1), tmp_path)
    assert caught.value.code == "models.export_disagrees"


def test_a_training_killed_ends_with_the_same_bytes(tuned, tmp_path):
    from steelyard.models.reply_fitting import fit_replies

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", str(HERE), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "tiny_replies.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 25:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    again = fit_replies(task(), rows(WORDS[7:]), PLAN, tmp_path)
    assert again.fitted.resumed_at is not None
    assert again.fitted.resumed_at >= 24
    assert all(again.fitted.weights[name].tobytes() == one.tobytes() for name, one in tuned.fitted.weights.items())
    assert (again.generator.memory, again.generator.step) == (tuned.generator.memory, tuned.generator.step)


def test_it_serves_from_an_artefact_without_torch(tuned, tmp_path):
    save_artefact(tmp_path, tuned.generator.arrays(), {"wording": tuned.generator.wording.to_json()})
    arrays, meta = load_artefact(tmp_path)
    loaded = ReplyGenerator.from_arrays(arrays, Wording.from_json(meta["wording"]))
    row = rows(["sunday"])[0]
    assert loaded.write(row.told, row.reply) == tuned.generator.write(row.told, row.reply)
    script = f"""
import sys
from pathlib import Path
from steelyard.models.artefact import load_artefact
from steelyard.models.fake import FakeEncoder
from steelyard.models.reply_generator import ReplyGenerator, Told, read_messages
from steelyard.models.reply_words import Wording
arrays, meta = load_artefact(Path({str(tmp_path)!r}))
writer = ReplyGenerator.from_arrays(arrays, Wording.from_json(meta["wording"]))
vectors = read_messages(FakeEncoder(32), ["where is order sunday"])[0]
found = writer.write(Told(vectors=vectors, slots=("name", "order"), act=0), "")
assert writer.wording.text(found.ids).count("{{order}}") == 1
assert not {{"torch", "transformers", "onnx", "sklearn"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_slot_of_unknown_name_is_placed_as_well(tuned):
    row = rows(["sunday"])[0]
    told = replace(row.told, slots=("name", "parcel"))
    text = tuned.generator.wording.text(tuned.generator.write(told, "").ids, ["parcel"])
    assert text.count("{parcel}") == text.count("{name}") == 1
    assert "{order}" not in text


def test_the_words_written_are_metered(tuned):
    with metered() as meter:
        found = tuned.generator.write(rows(["sunday"])[0].told, "")
    assert meter.usage.tokens_out == len(found.ids) > 3


def test_damaged_weights_are_an_error(tuned):
    with pytest.raises(ModelError) as caught:
        ReplyGenerator(tuned.generator.memory, b"no graph", tuned.generator.wording)
    assert caught.value.code == "models.writer_damaged"


def test_it_starts_from_the_encoders_words_and_layers(tmp_path):
    from steelyard.models.reply_fitting import ReplyTask

    source = write_tiny_bert(tmp_path)
    replies = ["Refund the {name} kiln.", "Change the {name} kiln please.", "refund please."]
    told = [replace(row.told, slots=("name",)) for row in rows(["sunday"])]
    data = [replace(rows(["sunday"])[0], told=one, reply=reply) for one, reply in zip(told, replies, strict=True)]
    wording = Wording.of(replies)
    started = ReplyTask(source, wording, 0, data, []).module()
    state = started.state_dict()
    bert = __import__("transformers").BertModel.from_pretrained(source).state_dict()
    query = "attention.self.query.weight"
    assert torch.equal(state["layer.0.self.query.weight"], bert[f"encoder.layer.0.{query}"])
    assert torch.equal(state["layer.0.cross.query.weight"], bert[f"encoder.layer.0.{query}"])
    assert torch.equal(state["places.weight"][:4], bert["embeddings.position_embeddings.weight"][:4])
    word, table = state["words.weight"][wording.ids("the kiln")[1]], bert["embeddings.word_embeddings.weight"]
    near = torch.nn.functional.cosine_similarity(word[None], table).argmax()
    from tokenizers import Tokenizer

    assert int(near) == Tokenizer.from_file(str(source / "tokenizer.json")).token_to_id("kiln")
    assert ReplyTask(source, wording, 0, data, []).key != ReplyTask(None, wording, 0, data, []).key
    assert BEGIN == 0
