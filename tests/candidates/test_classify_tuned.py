"""Routers whose encoder is tuned: they learn, keep what was better, resume to the same bytes, and serve without torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

import tuning_task
from tiny_encoder import write_tiny_encoder
from tuning_task import ROUTERS, Quick, fitted, rows

from steelyard.candidates.interface import Tools
from steelyard.models.fake import FakeEncoder
from steelyard.registry.artefacts import file_hashes
from steelyard.schema.errors import UserError
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow  # torch and two exports take ten seconds and more

NAMES = sorted(ROUTERS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("hf") / "tiny")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=NAMES)
def router(request, source, cache):
    return fitted(request.param, source, cache, None)


def accuracy(router):
    held_out = rows(200, 9)
    return np.mean(
        [
            out.label == item.label
            for out, item in zip(router.predict_many([i.text for i in held_out]), held_out, strict=True)
        ]
    )


def test_tuning_makes_an_encoder_of_random_weights_useful(router):
    assert router.notes_["encoder"] == "tuned"
    assert router.notes_["loss_tuned"] < router.notes_["loss_untouched"]
    assert accuracy(router) >= 0.8


def test_what_is_saved_is_what_was_fitted_and_serves_without_torch(router, tmp_path):
    router.save(tmp_path / "saved")
    kinds = {path.name for path in (tmp_path / "saved/encoder").iterdir()}
    assert kinds == {"encoder.json", "tokenizer.json", "model.fp32.onnx", "model.safetensors", "config.json"}
    script = f"""
import sys, json
from pathlib import Path
from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Tools
from steelyard.models.loading import load_encoder
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
tools = Tools(encoder=load_encoder(sys.argv[1], Path(sys.argv[2]), "fp32", threads=1))
router = CANDIDATES.load({router.name!r})(tools).load(Path(sys.argv[3]))
print(json.dumps([router.predict(Request(text=text), Scope()).label for text in json.loads(sys.argv[4])]))
heavy = {{"sklearn", "torch", "scipy", "transformers", "onnx"}} & {{name.partition(".")[0] for name in sys.modules}}
assert not heavy, heavy
"""
    import json

    texts = [item.text for item in rows(20, 5)]
    encoder = router._tools.encoder
    done = subprocess.run(
        [sys.executable, "-c", script, str(encoder.source), str(encoder.folder.parents[1]), str(tmp_path / "saved"), json.dumps(texts)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [out.label for out in router.predict_many(texts)]


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(name, source, cache, tmp_path):
    whole = fitted(name, source, cache, tmp_path / "whole-work")
    whole.save(tmp_path / "whole")
    draw = np.random.default_rng(5)
    said: list[int] = []
    resumed = False
    for start in range(3):
        child = subprocess.Popen(
            [
                sys.executable,
                tuning_task.__file__,
                name,
                str(source),
                str(cache),
                str(tmp_path / "work"),
                str(tmp_path / "out"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
        assert child.stdout is not None
        if start < 2:
            # The first kill falls into choosing; later ones wherever the rest has got to, the export included.
            for _ in range(int(draw.integers(2, 9))):
                if not child.stdout.readline():
                    break
            child.kill()
        said = [int(line) for line in child.stdout.read().split()]
        child.stdout.close()
        assert child.wait() in (0, -9)
        resumed = resumed or (start > 0 and bool(said) and said[0] > 0)
    assert resumed
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "whole")


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_that_training_only_spoils_is_kept_as_it_is(name, source, cache, tmp_path):
    from steelyard.models.loading import load_encoder

    kind = Quick.of(ROUTERS[name])
    kind.plan = replace(kind.plan, learning_rate=0.5, epochs=2)
    tools = Tools(encoder=load_encoder(str(source), cache, "fp32", threads=1), seed=3)
    router = kind(tools).fit(rows(96, 1), rows(40, 2))
    assert router.notes_["encoder"].startswith("kept as it is")
    router.save(tmp_path)
    assert not (tmp_path / "encoder").exists()
    again = ROUTERS[name](tools).load(tmp_path)
    text = rows(1, 5)[0].text
    assert again.predict(Request(text=text), Scope()).label == router.predict(Request(text=text), Scope()).label


def test_a_budget_that_is_spent_leaves_the_encoder_as_it_is(source, cache, tmp_path):
    router = fitted("contrastive", source, cache, tmp_path, budget_s=1.0)
    assert router.notes_["encoder"].startswith("kept as it is")


def test_an_encoder_without_weights_cannot_be_tuned_and_the_error_says_what_to_do():
    with pytest.raises(UserError, match="encoder's own weights") as caught:
        ROUTERS["full"](Tools(encoder=FakeEncoder())).fit(rows(96, 1), rows(40, 2))
    assert caught.value.code == "candidate.not_tunable"


def test_steps_are_drawn_with_labels_alike_often_and_memory_does_not_grow_with_the_pairs(source):
    from steelyard.models.sentence_fitting import ContrastiveTask, LabelledTexts

    labels = np.array([0] * 20_000 + [1] * 30 + [2] * 2 + [3])
    task = ContrastiveTask(
        source, LabelledTexts(texts=["refund"] * len(labels), labels=labels), [], np.arange(0), lambda *_: 0.0
    )
    generator = np.random.default_rng(0)
    tracemalloc.start()
    drawn = [task.draw(16, generator) for _ in range(200)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counts = np.array([np.bincount(labels[one], minlength=4) for one in drawn])
    assert counts[:, 0].tolist() == counts[:, 1].tolist() == [4] * 200  # 16 texts over 4 labels
    assert set(counts[:, 2].tolist()) == {2}
    assert all(len(set(one.tolist())) == len(one) for one in drawn)
    assert peak < 8_000_000  # 200 million pairs of the first label alone would take gigabytes


def test_the_contrastive_loss_is_that_of_the_formula(source):
    from steelyard.models.fitting_plan import Batch
    from steelyard.models.sentence_fitting import CONTRAST_TEMPERATURE, ContrastiveTask, LabelledTexts

    texts = ["refund", "money back", "card lost", "card stolen", "new address"]
    labels = np.array([0, 0, 1, 1, 2])
    task = ContrastiveTask(source, LabelledTexts(texts=texts, labels=labels), [], np.arange(0), lambda *_: 0.0)
    module = task.module().eval()
    batch = Batch(step=0, epoch=0, rows=np.arange(6), generator=np.random.default_rng(1))
    rows_drawn = task.draw(6, np.random.default_rng(1))
    vectors = task._all_vectors(module, [task._tokens[row] for row in rows_drawn]).astype(np.float64)
    near = np.exp(vectors @ vectors.T / CONTRAST_TEMPERATURE)
    terms = []
    for i, row in enumerate(rows_drawn):
        partners = [j for j, other in enumerate(rows_drawn) if j != i and labels[other] == labels[row]]
        others = sum(near[i, j] for j in range(len(rows_drawn)) if j != i)
        if partners:
            terms.append(-np.mean([np.log(near[i, j] / others) for j in partners]))
    assert float(task.loss(module, batch).detach()) == pytest.approx(np.mean(terms), rel=1e-4)
