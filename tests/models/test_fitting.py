import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_task import PLAN, ROWS, TinyTask

from steelyard.models.artefact import file_sha256
from steelyard.models.fitting import CURVE, fit, load_weights
from steelyard.schema.errors import ModelError

torch = pytest.importorskip("torch")

STEPS = 30  # 6 epochs of 40 rows in batches of 8
STARTS = 6  # processes killed in the crash test; the last one is left to end


class CrashError(Exception):
    """Stands for whatever stops a process."""


def crashing_at(step):
    def told(done, total):
        if done == step:
            raise CrashError

    return told


def same(one, other):
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


def without_seconds(curve):
    return [replace(point, seconds=0.0) for point in curve]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return fit(TinyTask(), PLAN, folder), folder


def test_training_learns_and_logs_its_curve(whole):
    fitted, folder = whole
    assert (fitted.steps, fitted.planned, fitted.stopped) == (STEPS, STEPS, "done")
    assert fitted.best_score > fitted.curve[0].score
    lines = [json.loads(line) for line in (folder / CURVE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 5, 10, 15, 20, 25, 30]
    assert lines[0]["loss"] is None
    assert lines[-1]["loss"] < lines[1]["loss"]
    assert lines[-1]["learning_rate"] == 0.0
    assert max(line["score"] for line in lines) == fitted.best_score


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(whole):
    fitted, _ = whole
    assert same(fit(TinyTask(), PLAN).weights, fitted.weights)
    assert not same(fit(TinyTask(), replace(PLAN, seed=4)).weights, fitted.weights)


@pytest.mark.parametrize("step", [0, 1, 4, 5, 17, 29, 30])
def test_a_training_cut_off_anywhere_ends_with_the_same_bytes(whole, tmp_path, step):
    fitted, folder = whole
    with pytest.raises(CrashError):
        fit(TinyTask(), PLAN, tmp_path, crashing_at(step))
    again = fit(TinyTask(), PLAN, tmp_path)
    assert same(again.weights, fitted.weights)
    assert without_seconds(again.curve) == without_seconds(fitted.curve)
    assert (again.resumed_at or 0) == max(0, step - 1)
    assert not (tmp_path / "checkpoint").exists()
    assert file_sha256(tmp_path / "weights/manifest.json") == file_sha256(folder / "weights/manifest.json")


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(whole, tmp_path):
    _, folder = whole
    draw = random.Random(11)
    resumed = 0
    for start in range(STARTS):
        # A quick machine ends the whole training within the moment before the kill, so a child holds after its own five steps.
        hold = STEPS // STARTS * (start + 1) if start < STARTS - 1 else -1
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("tiny_task.py")), str(tmp_path), str(hold)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        if start < STARTS - 1:
            # A checkpoint after every step: most of the time is writing, so most kills fall into a half-written one.
            for _ in range(draw.randrange(2, 6)):
                assert child.stdout.readline().strip().isdigit()
            time.sleep(draw.random() * 0.02)
            child.kill()
        said = [int(line) for line in child.stdout.read().split()]
        child.stdout.close()
        assert child.wait() == (-9 if start < STARTS - 1 else 0)
        resumed += bool(said and said[0] > 0)
    assert said[-1] == STEPS
    assert resumed
    assert file_sha256(tmp_path / "weights/manifest.json") == file_sha256(folder / "weights/manifest.json")


def test_a_finished_training_is_read_and_not_repeated(whole):
    fitted, folder = whole
    steps = []
    again = fit(TinyTask(), PLAN, folder, lambda done, total: steps.append(done))
    assert steps == []
    assert same(again.weights, fitted.weights)
    assert again.curve == fitted.curve


def test_a_checkpoint_of_another_plan_is_not_taken_up(tmp_path):
    with pytest.raises(CrashError):
        fit(TinyTask(), PLAN, tmp_path, crashing_at(9))
    other = fit(TinyTask(), replace(PLAN, learning_rate=0.01), tmp_path)
    assert other.resumed_at is None
    assert same(other.weights, fit(TinyTask(), replace(PLAN, learning_rate=0.01)).weights)


def test_a_damaged_checkpoint_costs_the_work_and_nothing_else(whole, tmp_path):
    fitted, _ = whole
    with pytest.raises(CrashError):
        fit(TinyTask(), PLAN, tmp_path, crashing_at(9))
    arrays = next((tmp_path / "checkpoint").glob("arrays-*"))
    arrays.write_bytes(arrays.read_bytes()[:-7])
    again = fit(TinyTask(), PLAN, tmp_path)
    assert again.resumed_at is None
    assert same(again.weights, fitted.weights)


def test_it_stops_early_and_keeps_the_best():
    class Falling(TinyTask):
        def __init__(self):
            super().__init__()
            self.scores = iter([0.1, 0.5, 0.4, 0.5, 0.2])

        def score(self, module):
            return next(self.scores)

    fitted = fit(Falling(), replace(PLAN, patience=2))
    assert (fitted.stopped, fitted.steps, fitted.best_step, fitted.best_score) == ("early", 15, 5, 0.5)


def test_when_no_step_helps_the_first_weights_are_kept():
    class Worse(TinyTask):
        def score(self, module):
            return -float(module.head.weight.detach().abs().sum() > 0) * len(self.seen)

        seen: tuple = ()

        def loss(self, module, batch):
            self.seen = (*self.seen, batch.step)
            return super().loss(module, batch)

    fitted = fit(Worse(), replace(PLAN, patience=2))
    assert (fitted.best_step, fitted.stopped) == (0, "early")


def test_a_budget_ends_it_and_a_larger_one_goes_on(whole, tmp_path):
    fitted, _ = whole
    short = fit(TinyTask(), replace(PLAN, budget_s=0.0), tmp_path)
    assert (short.stopped, short.steps) == ("budget", 0)

    def slow(done, total):
        if done == 7:
            time.sleep(1.2)

    some = fit(TinyTask(), replace(PLAN, budget_s=1.0, checkpoint_s=9.0), tmp_path, slow)
    assert some.stopped == "budget"
    assert 0 < some.steps < STEPS
    assert fit(TinyTask(), replace(PLAN, budget_s=1.0), tmp_path).steps == some.steps
    rest = fit(TinyTask(), PLAN, tmp_path)
    assert (rest.stopped, rest.resumed_at) == ("done", some.steps)
    assert same(rest.weights, fitted.weights)


def test_fewer_steps_are_planned_where_the_budget_does_not_do_for_all(whole, tmp_path):
    fitted, _ = whole

    def slow(done, total):
        time.sleep(0.06)

    short = fit(TinyTask(), replace(PLAN, budget_s=1.0, checkpoint_s=9.0), tmp_path, slow)
    assert short.stopped == "budget"
    assert 4 < short.steps <= short.planned < STEPS
    assert short.curve[-1].learning_rate == 0.0
    assert short.curve[-1].step == short.steps
    assert fit(TinyTask(), replace(PLAN, budget_s=1.0), tmp_path).steps == short.steps
    assert same(fit(TinyTask(), PLAN, tmp_path).weights, fitted.weights)


def test_weights_of_frozen_parts_are_not_stored_and_the_rest_goes_back(whole):
    fitted, _ = whole
    assert set(fitted.weights) == {"words.weight", "head.weight", "head.bias"}
    torch.manual_seed(0)
    module = load_weights(TinyTask().module(), fitted.weights)
    np.testing.assert_array_equal(module.head.weight.detach().numpy(), fitted.weights["head.weight"])
    assert not module.training


def test_the_global_state_of_torch_is_left_as_it_was():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    fit(TinyTask(), replace(PLAN, epochs=0.2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_diverged_training_is_an_error_with_a_remedy():
    class Broken(TinyTask):
        def loss(self, module, batch):
            return super().loss(module, batch) * float("nan")

    with pytest.raises(ModelError, match="learning rate") as caught:
        fit(Broken(), PLAN)
    assert caught.value.code == "models.diverged"


def test_every_row_is_taken_once_an_epoch_in_an_order_of_its_own():
    class Watching(TinyTask):
        def __init__(self):
            super().__init__()
            self.taken = []

        def loss(self, module, batch):
            self.taken.append((batch.epoch, batch.rows.tolist()))
            return super().loss(module, batch)

    task = Watching()
    fit(task, replace(PLAN, epochs=2, batch=7))
    orders = [[row for epoch, rows in task.taken if epoch == wanted for row in rows] for wanted in (0, 1)]
    assert [sorted(order) for order in orders] == [list(range(ROWS))] * 2
    assert orders[0] != orders[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_training_runs_on_a_gpu():
    class OnDevice(TinyTask):
        def loss(self, module, batch):
            place = module.head.weight.device
            words = torch.from_numpy(self.words[batch.rows]).to(place)
            labels = torch.from_numpy(self.labels[batch.rows]).to(place)
            return torch.nn.functional.cross_entropy(module(words), labels)

        def score(self, module):
            words = torch.from_numpy(self.words[ROWS:]).to(module.head.weight.device)
            return float((module(words).argmax(dim=1).cpu().numpy() == self.labels[ROWS:]).mean())

    fitted = fit(OnDevice(), replace(PLAN, device="cuda"))
    assert fitted.best_score > fitted.curve[0].score
