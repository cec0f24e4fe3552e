"""What `train --dry-run` tells of tunings, beside what they took: at a provider by its bill, on this machine by the clock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.request import urlopen

from steelyard.evaluation.tuning_simulator import BASE, tuning_simulator
from steelyard.example.layout import lay_out
from steelyard.models.planted_causal import make_planted_causal
from steelyard.schema.spending import Foreseen

HOSTED = ("intent/hosted-classifier", "reply/hosted-writer")
LOCAL = "reply/lora-writer"
HIDDEN, LAYERS, VOCABULARY = 64, 1, 8_000
"""A model of random weights that a laptop tunes in a minute."""

TRAINING_USD, INPUT_USD, OUTPUT_USD = 25.0, 0.4, 1.6
"""USD of a million tokens at the simulated provider."""


def hosted_rows(folder: Path, tokenizer: Path) -> Iterator[dict[str, Any]]:
    """Calls and USD of tunings at a simulated provider, foreseen without and with its tokenizer, and what its bill says."""
    from steelyard.workspace import Workspace

    for forecast in ("guessed", "tokenizer"):
        for target in HOSTED:
            with tuning_simulator(tokenizer) as url:
                place = _laid_out(folder / f"{forecast}-{target.replace('/', '-')}", _hosted(url, forecast, tokenizer))
                (row,) = Workspace(place).foresee_training(target).rows
                Workspace(place).train(target)
                with urlopen(url.removesuffix("/v1") + "/bill") as answer:
                    bill = json.load(answer)
            usd = (TRAINING_USD * bill["trained"] + INPUT_USD * bill["input"] + OUTPUT_USD * bill["output"]) / 1_000_000
            yield {
                "job": f"{target}, tuned at a provider",
                "forecast": forecast,
                "trained_tokens_actual": bill["trained"],
                "usd_foreseen": round(row.usd, 5),
                "usd_actual": round(usd, 5),
                "usd_off": round(row.usd / usd - 1, 4),
            }


def local_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Minutes of a local tuning by the size of the weights and by a few steps, and how long `train` then took."""
    from steelyard.workspace import Workspace

    place = _laid_out(folder / "local", 'kind = "transformers"\npath = "model"\n')
    make_planted_causal(place / "model", HIDDEN, LAYERS, VOCABULARY)
    foreseen: dict[str, Foreseen] = {}
    for forecast in ("guessed", "sample"):
        (foreseen[forecast],) = Workspace(place).foresee_training(LOCAL, sampling=forecast == "sample").rows
    begun = perf_counter()
    Workspace(place).train(LOCAL)
    taken = perf_counter() - begun
    for forecast, row in foreseen.items():
        yield {
            "job": f"{LOCAL}, tuned here",
            "forecast": forecast,
            "seconds_foreseen": round(row.seconds, 2),
            "seconds_actual": round(taken, 2),
            "seconds_off": round(row.seconds / taken - 1, 4),
        }


def _hosted(url: str, forecast: str, tokenizer: Path) -> str:
    named = f'tokenizer = "{tokenizer.as_posix()}"\n' if forecast == "tokenizer" else ""
    return (
        f'kind = "openai"\nbase_url = "{url}"\nmodel = "{BASE}"\n{named}'
        f"input_usd = {INPUT_USD}\noutput_usd = {OUTPUT_USD}\n"
        f"\n[models.tuning]\npoll_s = 0.05\ncap_usd = 1000.0\ntraining_usd = {TRAINING_USD}\n"
    )


def _laid_out(place: Path, generator: str) -> Path:
    """The example workspace with a generator; what is tuned here reads no document, so none is ingested."""
    lay_out(place)
    file = place / "steelyard.toml"
    text = re.sub(r"\[models\]\n", '[models]\nencoder = "fake"\n', file.read_text(encoding="utf-8"), count=1)
    file.write_text(f"{text}\n[models.generator]\n{generator}", encoding="utf-8")
    return place
