"""A local model tuned from the command to the answer: a version like any other, and its adapter for other servers."""

import json

import pytest

from steelyard.models.planted_causal import make_planted_causal
from steelyard.schema.errors import UserError
from steelyard.workspace import Workspace
from workspace.tiny import lay_out, replace_in, slimmed

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("steelyard.candidates.speaking.LEAST_STEPS", 6)
        patch.setattr("steelyard.candidates.write_spoken.REPLY_TOKENS", 16)
        folder = slimmed(lay_out(tmp_path_factory.mktemp("lora")))
        make_planted_causal(folder / "model", 64, 1, 4200)
        generator = 'generator = {kind = "transformers", path = "model"}\n'
        replace_in(folder / "steelyard.toml", 'encoder = "fake"\n', f'encoder = "fake"\n{generator}')
        workspace = Workspace(folder)
        workspace.ingest()
        yield workspace, workspace.train("reply/lora-writer")


def test_a_tuned_writer_is_a_version_whose_served_form_says_the_same(trained):
    workspace, found = trained
    (version,) = found.versions
    assert version.parity["agreement"] == 1.0
    files = [path for path in (workspace.state.root / version.folder).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert [one.version for one in workspace.train("reply/lora-writer").skipped] == [version.version]


@pytest.mark.parametrize("sampling", [False, True])
def test_the_minutes_of_a_tuning_are_foreseen_and_nothing_is_kept_of_it(trained, sampling):
    workspace, _ = trained
    before = sorted(path for path in workspace.folder.rglob("*") if path.is_file())
    (row,) = workspace.foresee_training("answer/lora-closed-book", sampling=sampling).rows
    assert (row.local, row.calls, row.usd) == (True, 0, 0.0)
    assert row.seconds > 0
    assert ("as a few steps took just now" if sampling else "a guess") in row.basis
    assert sorted(path for path in workspace.folder.rglob("*") if path.is_file()) == before
    # What is trained has nothing left to learn.
    (known,) = workspace.foresee_training("reply/lora-writer", sampling=sampling).rows
    assert (known.local, known.seconds) == (False, 0.0)


def test_its_adapter_goes_to_other_servers(trained, tmp_path):
    workspace, _ = trained
    made = workspace.export_adapter("reply/lora-writer", tmp_path / "adapter")
    assert sorted(path.name for path in made.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert json.loads((made / "adapter_config.json").read_text())["peft_type"] == "LORA"
    whole = workspace.export_adapter("reply/lora-writer", tmp_path / "whole", merge=True)
    assert {"config.json", "manifest.json", "model.safetensors"} <= {path.name for path in whole.iterdir()}
    with pytest.raises(UserError) as caught:
        workspace.export_adapter("reply/lora-writer", tmp_path / "whole")
    assert caught.value.code == "tuning.not_empty"
