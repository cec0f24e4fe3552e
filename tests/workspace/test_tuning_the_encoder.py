"""Tuning the encoder in a workspace: left out unless asked for, and said so; measured when asked; advised against when it gains nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from steelyard.decision import sentences
from steelyard.workspace import Workspace
from workspace.tiny import lay_out, replace_in, weigh

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))


def names(folder: Path) -> list[str]:
    workspace = Workspace(folder)
    return workspace._parts().training.names("intent")


def test_candidates_that_tune_the_encoder_join_only_when_asked_for(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    assert {"contrastive", "full"}.isdisjoint(names(folder))
    replace_in(folder / "steelyard.toml", "[models]\n", "[models]\ntune_encoder = true\n")
    assert {"contrastive", "full", "linear"} <= set(names(folder))
    replace_in(
        folder / "steelyard.toml", "[components.intent]\n", '[components.intent]\ncandidates = ["linear", "full"]\n'
    )
    replace_in(folder / "steelyard.toml", "tune_encoder = true", "tune_encoder = false")
    assert names(folder) == ["linear", "full"]


def test_whoever_names_one_for_training_has_asked_for_it(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    Workspace(folder)._parts().training.check_candidate("intent", "full")


def test_the_report_lists_them_as_not_measured_with_the_reason_and_the_way(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    replace_in(
        folder / "steelyard.toml",
        '[models]\nencoder = "fake"',
        '[models]\nencoder = "fake"\n[corpus]\nstore = "memory"',
    )
    weighed = weigh(folder, ["intent"])
    (intent,) = weighed.components
    found = {one.name: one for one in intent.candidates}
    for name in ("contrastive", "full"):
        assert found[name].quality is None
        assert "takes minutes" in (found[name].not_measured or "")
        assert "tune_encoder = true" in (found[name].not_measured or "")
        assert "[components.intent]" in (found[name].not_measured or "")


@pytest.mark.slow
def test_a_tuned_encoder_that_gains_nothing_brings_the_verdict_and_is_served_like_any_other(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tiny_encoder import write_tiny_encoder

    folder = lay_out(tmp_path / "library")
    source = write_tiny_encoder(tmp_path / "tiny")
    # A second of tuning is too little for anything: the candidate must keep the encoder, and the decision must say so.
    replace_in(
        folder / "steelyard.toml",
        'encoder = "fake"',
        f'encoder = "{source}"\nprecision = "fp32"\nthreads = 1\ntuning_s = 1.0\n[corpus]\nstore = "memory"',
    )
    replace_in(
        folder / "steelyard.toml",
        "[components.intent]\n",
        '[components.intent]\ncandidates = ["tfidf", "linear", "contrastive"]\n',
    )
    (intent,) = weigh(folder, ["intent"]).components
    measured = {one.name for one in intent.candidates if one.quality is not None}
    assert measured == {"tfidf", "linear", "contrastive"}
    assert any(
        said.startswith("Do not tune the encoder: contrastive is not shown")
        for said in sentences.plain_verdicts(intent)
    )
    (record,) = Workspace(folder).train("intent/contrastive").skipped
    assert record.parity["flipped"] == []
    assert not list((folder / ".steelyard/models").rglob("*.work"))
