import json

import numpy as np
import pytest

from steelyard.models.artefact import load_artefact, save_artefact
from steelyard.schema.errors import ModelError


def test_what_is_saved_is_loaded_with_shapes_types_and_values(tmp_path):
    arrays = {
        "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "empty": np.zeros((0, 4), dtype=np.float64),
        "mask": np.array([True, False]),
        "scalar": np.array(2.5),
    }
    meta = {"labels": ["refund", "größer"], "threshold": 0.25, "none": None}
    save_artefact(tmp_path / "deep" / "model", arrays, meta)
    loaded, loaded_meta = load_artefact(tmp_path / "deep" / "model")
    assert loaded_meta == meta
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
    loaded["weights"][0, 0] = 9.0  # writable


def test_saving_again_replaces_and_leaves_other_files_alone(tmp_path):
    (tmp_path / "reader").mkdir()
    (tmp_path / "notes.txt").write_text("kept")
    save_artefact(tmp_path, {"a": np.zeros(2)}, {"round": 1})
    save_artefact(tmp_path, {"b": np.ones(2)}, {"round": 2})
    arrays, meta = load_artefact(tmp_path)
    assert list(arrays) == ["b"]
    assert meta == {"round": 2}
    assert (tmp_path / "notes.txt").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 5  # manifest, arrays, meta, notes, reader


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save_artefact(tmp_path / name, {"b": np.ones(2), "a": np.zeros(3)}, {"y": 1, "x": 2})
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()


@pytest.mark.parametrize("pattern", ["arrays-*", "meta-*"])
def test_a_changed_or_missing_file_is_refused(tmp_path, pattern):
    save_artefact(tmp_path, {"a": np.zeros(64)}, {"k": "v"})
    file = next(tmp_path.glob(pattern))
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_artefact(tmp_path)
    assert caught.value.code == "models.artefact_damaged"
    file.unlink()
    with pytest.raises(ModelError) as caught:
        load_artefact(tmp_path)
    assert caught.value.code == "models.artefact_damaged"


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    save_artefact(tmp_path / "outside", {}, {"secret": True})
    save_artefact(tmp_path / "model", {}, {})
    manifest = json.loads((tmp_path / "outside/manifest.json").read_text())
    for entry in manifest["files"].values():
        entry["name"] = "../outside/" + entry["name"]
    (tmp_path / "model/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError):
        load_artefact(tmp_path / "model")


def test_no_artefact_an_unknown_format_and_a_broken_manifest_are_told_apart(tmp_path):
    def code():
        with pytest.raises(ModelError) as caught:
            load_artefact(tmp_path)
        return caught.value.code

    assert code() == "models.artefact_missing"
    save_artefact(tmp_path, {}, {})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    assert code() == "models.artefact_format"
    (tmp_path / "manifest.json").write_text("{")
    assert code() == "models.artefact_damaged"


def test_texts_and_objects_are_refused_as_arrays(tmp_path):
    with pytest.raises(TypeError, match="go into meta"):
        save_artefact(tmp_path, {"labels": np.array(["a", "b"])}, {})
    assert not (tmp_path / "manifest.json").exists()
