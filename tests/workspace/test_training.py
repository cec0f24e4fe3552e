"""`ingest` and `train`: what is fitted, kept, taken again, and never half there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from steelyard.schema.errors import ConfigError, DataError, MissingExtraError, ModelError, UserError
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts
from workspace.tiny import FEW, replace_in


def _models(folder: Path) -> list[Path]:
    return sorted((folder / ".steelyard" / "models").glob("*/*/*"))


def test_every_candidate_of_a_component_is_fitted_and_registered_once(tool_library: Path) -> None:
    workspace = Workspace(tool_library)

    first = workspace.train("intent")
    again = workspace.train("intent")

    assert [(one.candidate, one.version) for one in first.versions] == [(name, 1) for name in FEW["intent"]]
    assert again.versions == ()
    assert again.skipped == first.versions
    assert all(0 <= one.metrics["seen_accuracy"] <= 1 for one in first.versions)
    assert [f"{one.candidate}@{one.version}" for one in workspace.versions()] == [f"{n}@1" for n in FEW["intent"]]


def test_a_fit_stopped_before_it_was_registered_is_done_again_and_nothing_half_is_loaded(
    tool_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steelyard.candidates.classify_router import KnnRouter

    workspace = Workspace(tool_library)
    whole = KnnRouter.save

    def stopped(self: KnnRouter, folder: Path) -> None:
        whole(self, folder)
        next(path for path in folder.iterdir() if path.suffix == ".safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(KnnRouter, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        workspace.train("intent/knn")
    monkeypatch.undo()

    assert workspace.versions() == []
    with pytest.raises(UserError, match="no trained candidate"):
        workspace.route("Is the sander free?")

    workspace.train("intent/knn")

    assert workspace.route("Is the sander free?").candidate == "knn"
    assert [path.suffix for path in _models(tool_library)] == [""]


def test_a_fit_stopped_between_its_folder_and_its_registration_is_done_again(
    tool_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steelyard.registry.versions import Registry

    workspace = Workspace(tool_library)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "add", lambda self, record: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            workspace.train("intent/knn")

    done = workspace.train("intent/knn")

    assert [one.version for one in done.versions] == [1]
    assert len(_models(tool_library)) == 1


def test_a_deleted_model_folder_is_fitted_again(tool_library: Path) -> None:
    workspace = Workspace(tool_library)
    workspace.train("intent/knn")
    shutil.rmtree(_models(tool_library)[0])

    again = workspace.train("intent/knn")

    assert [one.version for one in again.versions] == [2]
    assert workspace.route("Is the sander free?").version == 2


def test_a_damaged_model_is_refused_with_its_place(tool_library: Path) -> None:
    workspace = Workspace(tool_library)
    workspace.train("intent/knn")
    arrays = next(_models(tool_library)[0].glob("*.safetensors"))
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"!")

    with pytest.raises(ModelError) as caught:
        workspace.route("Is the sander free?")

    assert caught.value.remedy


def test_another_encoder_is_named_where_a_version_was_made_with_it(
    weighed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steelyard.models import fake

    monkeypatch.setattr(fake.FakeEncoder, "name", property(lambda self: "fake-other"))
    workspace = Workspace(weighed)

    with pytest.raises(ModelError, match="fake-other"):
        workspace.route("Is the sander free?", candidate="knn")
    with pytest.raises(UserError, match="steelyard ingest"):
        workspace.ask("How long is the loan period?", candidate="rag-bm25")
    # A router that reads no vectors goes on working.
    assert workspace.route("Is the sander free?", candidate="majority").candidate == "majority"


def test_wrong_rows_stop_a_fit_with_every_problem(tool_library: Path) -> None:
    replace_in(tool_library / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,")
    replace_in(tool_library / "messages.csv", "tell me a joke,out_of_scope", ",out_of_scope")

    with pytest.raises(DataError) as caught:
        Workspace(tool_library).train("intent")

    assert [one.row for one in caught.value.findings if one.severity == "error"] == [46, 110]


def test_too_few_rows_are_refused_before_anything_is_fitted(tool_library: Path) -> None:
    (tool_library / "messages.csv").write_text("text,label\nCan I borrow a saw,borrow\n", encoding="utf-8")

    with pytest.raises(UserError) as caught:
        Workspace(tool_library).weigh(["intent"])

    assert caught.value.code == "dataset.too_few"


def test_a_missing_training_library_names_the_extra(tool_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "sklearn" or name.startswith("sklearn.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sklearn", None)

    with pytest.raises(MissingExtraError, match=r"steelyard\[train\]"):
        Workspace(tool_library).train("intent/linear")


def test_a_source_that_does_not_exist_stops_the_ingest(tool_library: Path) -> None:
    replace_in(tool_library / "steelyard.toml", 'path = "docs-staff"', 'path = "docs-staf"')

    with pytest.raises(ConfigError) as caught:
        Workspace(tool_library).ingest()

    assert caught.value.code == "corpus.source_missing"


def test_a_second_ingest_reads_nothing_and_keeps_the_generation(tool_library: Path) -> None:
    workspace = Workspace(tool_library)

    first, second = workspace.ingest(), workspace.ingest()

    assert (first.added, first.generation) == (8, 1)
    assert (second.added, second.unchanged, second.parsed, second.embedded, second.generation) == (0, 8, 0, 0, 1)


def test_a_candidate_is_loaded_with_the_encoder_that_serves_not_with_remembered_vectors(tool_library: Path) -> None:
    from steelyard.models.vector_cache import CachedEncoder

    workspace = Workspace(tool_library)
    workspace.train("intent/knn")
    parts = Parts(workspace.folder, workspace.settings, workspace.state)
    text = parts.examples.split("intent").holdout[0].text

    from steelyard.schema.outputs import Request
    from steelyard.schema.scope import Scope

    loaded = parts.training.load(parts.registry.get("intent", "knn"))
    tokens = [loaded.predict(Request(text=text), Scope()).usage.encoder_tokens for _ in range(2)]

    # A remembered vector would cost no tokens the second time, and would make the router look faster than it serves.
    assert not isinstance(parts.toolbox.encoder, CachedEncoder)
    assert tokens[0] == tokens[1] > 0


@pytest.mark.slow
def test_a_lost_index_is_made_again_from_the_library(tool_library: Path) -> None:
    replace_in(tool_library / "steelyard.toml", 'store = "memory"', 'store = "lance"')
    workspace = Workspace(tool_library)
    workspace.ingest()
    workspace.train("answer/rag-bm25")
    before = workspace.ask("How long is the loan period?")
    shutil.rmtree(tool_library / ".steelyard" / "index")

    after = workspace.ask("How long is the loan period?")

    assert "7 days" in before.answer
    assert after.answer == before.answer
