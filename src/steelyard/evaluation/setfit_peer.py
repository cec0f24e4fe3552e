"""SetFit beside our router on the same ten rows a label, the same encoder and test rows, one thread each, in the same run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from steelyard.candidates.classify_router import CascadeRouter, LinearRouter, Router
from steelyard.candidates.interface import Tools
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_router import OUTSIDE, SHOTS, few_of_each, read_intents
from steelyard.metrics.classify import decided_label
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.models.loading import load_encoder, minilm_source
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item

ITERATIONS_VARIABLE, MOST_VARIABLE = "STEELYARD_SETFIT_ITERATIONS", "STEELYARD_SETFIT_S"
"""Iterations (default 20, SetFit's own for few rows), and the seconds after which its training is stopped (default: never)."""

ITERATIONS = 20
PEER = "SetFit"
FASTER = 30.0  # times faster than the peer a router has to be ready
OURS: tuple[type[Router], ...] = (LinearRouter, CascadeRouter)

SCRIPT = """
import json, sys, time
import torch
torch.set_num_threads(1)
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from transformers import TrainerCallback
class Clock(TrainerCallback):
    steps, planned, stopped = 0, 0, False
    def on_step_end(self, args, state, control, **more):
        Clock.steps, Clock.planned = state.global_step, state.max_steps
        if task["most_s"] and time.perf_counter() - begun > task["most_s"]:
            Clock.stopped = control.should_training_stop = True
task = json.load(open(sys.argv[1]))
labels = sorted({label for _, label in task["train"]})
rows = Dataset.from_dict({"text": [text for text, _ in task["train"]], "label": [labels.index(label) for _, label in task["train"]]})
begun, used = time.perf_counter(), time.process_time()
model = SetFitModel.from_pretrained(task["source"], local_files_only=True)
arguments = TrainingArguments(output_dir=task["out"], batch_size=16, num_epochs=1, num_iterations=task["iterations"], seed=0,
                              report_to="none", save_strategy="no")
Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Clock()]).train()
seconds, cpu = time.perf_counter() - begun, time.process_time() - used
said = [labels[int(at)] for at in model.predict(task["test"], batch_size=32)]
found = {"seconds": seconds, "cpu_s": cpu, "said": said, "steps": Clock.steps, "planned": Clock.planned, "stopped": Clock.stopped}
json.dump(found, open(task["result"], "w"))
"""


def setfit_beside(data_root: Path, peers: Path) -> list[dict[str, Any]]:
    """Seconds to a ready router and accuracy of each, the ratio of the seconds, and the paired differences.

    Ours count the loading of the encoder and the embedding: nothing is cached. `peers` is a Python with setfit. Where its training was
    stopped by STEELYARD_SETFIT_S its row says so (`stopped`, `steps` of `planned`), and the ratio is the least that it can be.

    Raises:
        UserError: the peer's Python has no setfit, or it failed.
    """
    train, test = (read_intents(data_root / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    drawn = few_of_each(train, SHOTS, 0)
    split = split_items(drawn, fractions=(0.8, 0.2, 0.0))
    said: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    for kind in OURS:
        begun = perf_counter()
        encoder = load_encoder("minilm", precision="fp32", threads=1)
        router = kind(Tools(encoder=encoder, out_of_scope_label=OUTSIDE)).fit(split.train, split.validation)
        seconds[kind.name] = perf_counter() - begun
        said[kind.name] = [decided_label(out, OUTSIDE) for out in router.predict_many([item.text for item in test])]
    peer = _train_peer(peers, drawn, test)
    seconds[PEER], said[PEER] = peer["seconds"], peer["said"]
    right = {
        name: [float(label == item.label) for label, item in zip(labels, test, strict=True)]
        for name, labels in said.items()
    }
    base = {"dataset": "banking77", "setting": f"{SHOTS}-shot, first draw, one thread"}
    rows: list[dict[str, Any]] = []
    for name, values in right.items():
        interval = {key: round(value, 4) for key, value in mean_interval(values).to_json().items()}
        more = {key: peer[key] for key in ("steps", "planned", "stopped")} if name == PEER else {}
        own = {**base, "candidate": name, "metric": "accuracy", **interval, "fit_s": round(seconds[name], 1)}
        rows.append({**own, "draws": [interval["mean"]], **more})
    for one in compare_all(right):
        difference = {key: round(value, 4) for key, value in one.difference.to_json().items()}
        pair = {**base, "candidate": f"{one.first} - {one.second}", "metric": "accuracy_difference", **difference}
        rows.append({**pair, "p_value": round(one.p_value, 5), "verdict": one.verdict})
    for kind in OURS:
        ratio = {"metric": "fit_ratio", "mean": round(peer["seconds"] / seconds[kind.name], 1)}
        judged = {"target": FASTER, "reached": ratio["mean"] >= FASTER}
        rows.append({**base, "candidate": f"{PEER} / {kind.name}", **ratio, **judged})
    return rows


def _train_peer(peers: Path, drawn: Sequence[Item], test: Sequence[Item]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        task, result = Path(folder) / "task.json", Path(folder) / "result.json"
        rows = {
            "train": [[item.text, item.label] for item in drawn],
            "test": [item.text for item in test],
            "source": str(minilm_source()),
            "iterations": int(os.environ.get(ITERATIONS_VARIABLE, str(ITERATIONS))),
            "most_s": float(os.environ.get(MOST_VARIABLE, "0")),
            "out": str(Path(folder) / "out"),
            "result": str(result),
        }
        task.write_text(json.dumps(rows), encoding="utf-8")
        done = subprocess.run(
            [str(peers), "-c", SCRIPT, str(task)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        if done.returncode or not result.is_file():
            raise UserError(
                f"the peer failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'it said nothing'}",
                where=str(peers),
                remedy="Name the Python of an environment with: pip install torch==2.13.0, then setfit==1.2.0.",
                code="bench.peer_failed",
            )
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
