"""One run of a LoRA tuning in a process of its own, ours or TRL's: the same model, rows, batch and steps. Prints its seconds as JSON.

Each side runs alone in its process, so that neither pays for what the other loaded; loading is not timed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.models.fitting_plan import Plan
from steelyard.models.lora_fitting import LoraSettings, count_training_tokens, fit_lora
from steelyard.models.planted_causal import planted_pairs
from steelyard.schema.tuning import ChatPair

RANK, ALPHA = 16, 32
MICRO_ROWS, PARTS = 4, 4
RATE = 2e-4


def ours(model: Path, pairs: Sequence[ChatPair]) -> dict[str, Any]:
    """One pass over the rows with our tuning."""
    plan = Plan(
        epochs=1, batch=MICRO_ROWS * PARTS, learning_rate=RATE, schedule="cosine", warm_up=0.05, weight_decay=0.0
    )
    settings = LoraSettings(rank=RANK, alpha=ALPHA, dropout=0.0, micro_rows=MICRO_ROWS)
    found = fit_lora(model, pairs, (), plan=plan, settings=settings)
    losses = [point.loss for point in found.fitted.curve if point.loss is not None]
    return {"seconds": found.fitted.seconds, "loss": losses[-1], "steps": found.fitted.steps}


def trl(model: Path, pairs: Sequence[ChatPair]) -> dict[str, Any]:
    """One pass over the rows with TRL's SFTTrainer and PEFT as their pages show them, at the same settings."""
    import datasets
    import peft
    from trl import SFTConfig, SFTTrainer

    rows = datasets.Dataset.from_list(
        [
            {
                "prompt": [message.to_json() for message in one.messages],
                "completion": [{"role": "assistant", "content": one.completion}],
            }
            for one in pairs
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=MICRO_ROWS,
            gradient_accumulation_steps=PARTS,
            num_train_epochs=1,
            learning_rate=RATE,
            lr_scheduler_type="cosine",
            completion_only_loss=True,
            gradient_checkpointing=False,
            max_length=None,
            bf16=_cuda(),
            use_cpu=not _cuda(),
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_steps=1,
            model_init_kwargs={"dtype": "bfloat16" if _cuda() else "float32"},
        )
        adapter = peft.LoraConfig(
            task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear"
        )
        trainer = SFTTrainer(model=str(model), args=config, train_dataset=rows, peft_config=adapter)
        begun = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begun
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return {"seconds": seconds, "loss": sum(losses) / len(losses), "steps": len(losses)}


def _cuda() -> bool:
    from accelerate.utils import is_cuda_available

    return bool(is_cuda_available())


def main(side: str, model: Path, rows: int) -> None:
    """Run one side and print what it took."""
    pairs = planted_pairs(rows)
    found = {"ours": ours, "trl": trl}[side](model, pairs)
    told = {**found, "tokens": count_training_tokens(model, pairs), "device": "cuda" if _cuda() else "cpu"}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
