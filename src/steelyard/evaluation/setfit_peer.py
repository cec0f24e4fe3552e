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

from steelyard.candidates.classify_router import LinearRouter
from steelyard.candidates.interface import Tools
from steelyard.dataset.split import split_items
from steelyard.evaluation.bench_router import OUTSIDE, SHOTS, few_of_each, read_intents
from steelyard.metrics.classify import decided_label
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.models.loading import load_encoder, minilm_source
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item

PEERS_VARIABLE, ITERATIONS_VARIABLE = "STEELYARD_PEERS", "STEELYARD_SETFIT_ITERATIONS"
ITERATIONS = 20  # SetFit's own default for few rows
PEER = "SetFit"

SCRIPT = """
import json, sys, time
import torch
torch.set_num_threads(1)
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
task = json.load(open(sys.argv[1]))
labels = sorted({label for _, label in task["train"]})
rows = Dataset.from_dict({"text": [text for text, _ in task["train"]], "label": [labels.index(label) for _, label in task["train"]]})
begun, used = time.perf_counter(), time.process_time()
model = SetFitModel.from_pretrained(task["source"], local_files_only=True)
arguments = TrainingArguments(output_dir=task["out"], batch_size=16, num_epochs=1, num_iterations=task["iterations"], seed=0,
                              report_to="none", save_strategy="no")
Trainer(model=model, args=arguments, train_dataset=rows).train()
seconds, cpu = time.perf_counter() - begun, time.process_time() - used
said = [labels[int(at)] for at in model.predict(task["test"], batch_size=32)]
json.dump({"seconds": seconds, "cpu_s": cpu, "said": said}, open(task["result"], "w"))
"""


def setfit_beside(data_root: Path, _tools: Tools) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Seconds to a ready router and accuracy of both, the ratio of the seconds, and the paired difference.

    Ours counts the embedding: nothing is cached. STEELYARD_PEERS names a Python with setfit; STEELYARD_SETFIT_ITERATIONS another
    number of iterations than 20, for a quick look.

    Raises:
        UserError: the peer's Python has no setfit, or it failed.
    """
    train, test = (read_intents(data_root / "banking77" / f"{part}.jsonl.gz") for part in ("train", "test"))
    drawn = few_of_each(train, SHOTS, 0)
    split = split_items(drawn, fractions=(0.8, 0.2, 0.0))
    router = LinearRouter(
        Tools(encoder=load_encoder("minilm", precision="fp32", threads=1), out_of_scope_label=OUTSIDE)
    )
    begun = perf_counter()
    router.fit(split.train, split.validation)
    ours = perf_counter() - begun
    mine = [decided_label(out, OUTSIDE) for out in router.predict_many([item.text for item in test])]
    peer = _train_peer(drawn, test)
    right = {
        LinearRouter.name: [float(label == item.label) for label, item in zip(mine, test, strict=True)],
        PEER: [float(label == item.label) for label, item in zip(peer["said"], test, strict=True)],
    }
    base = {"dataset": "banking77", "setting": f"{SHOTS}-shot, first draw, one thread"}
    rows: list[dict[str, Any]] = []
    for name, seconds in ((LinearRouter.name, ours), (PEER, peer["seconds"])):
        interval = {key: round(value, 4) for key, value in mean_interval(right[name]).to_json().items()}
        rows.append({**base, "candidate": name, "metric": "accuracy", **interval, "fit_s": round(seconds, 1)})
    rows.append(
        {
            **base,
            "candidate": f"{PEER} / {LinearRouter.name}",
            "metric": "fit_ratio",
            "mean": round(peer["seconds"] / ours, 1),
        }
    )
    return rows, [base | {"metric": "accuracy"} | one.to_json() for one in compare_all(right)]


def _train_peer(drawn: Sequence[Item], test: Sequence[Item]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        task, result = Path(folder) / "task.json", Path(folder) / "result.json"
        rows = {
            "train": [[item.text, item.label] for item in drawn],
            "test": [item.text for item in test],
            "source": str(minilm_source()),
            "iterations": int(os.environ.get(ITERATIONS_VARIABLE, str(ITERATIONS))),
            "out": str(Path(folder) / "out"),
            "result": str(result),
        }
        task.write_text(json.dumps(rows), encoding="utf-8")
        done = subprocess.run(
            [os.environ[PEERS_VARIABLE], "-c", SCRIPT, str(task)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        if done.returncode or not result.is_file():
            raise UserError(
                f"the peer failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'it said nothing'}",
                where=PEERS_VARIABLE,
                remedy="Name the Python of an environment with: pip install torch==2.13.0, then setfit==1.2.0.",
                code="bench.peer_failed",
            )
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
