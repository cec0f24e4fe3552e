"""The adapter benchmark: what it times is a whole tuning of the rows it counts."""

import math

import pytest

from steelyard.evaluation.lora_contest import ours
from steelyard.models.lora_fitting import count_training_tokens
from steelyard.models.planted_causal import make_planted_causal, planted_pairs

pytest.importorskip("peft")


def test_our_side_takes_every_row_once_from_a_model_that_knows_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    model = make_planted_causal(tmp_path / "model", 64, 1, 5000)
    pairs = planted_pairs(17)
    found = ours(model, pairs)
    assert found["steps"] == 2  # 17 rows in steps of 16
    assert found["seconds"] > 0
    assert found["loss"] == pytest.approx(math.log(5000), rel=0.05)  # as likely as any word
    words = sum(len(f"{one.messages[0].content} {one.completion}".split()) for one in pairs)
    # A role, an end and the turn of the assistant for each, and the end of the answer.
    assert count_training_tokens(model, pairs) == words + 4 * len(pairs)
