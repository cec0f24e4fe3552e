"""`train` on unchanged inputs does nothing, and the ledger keeps what every fit took."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.workspace import Workspace
from workspace.tiny import replace_in, steelyard


def test_unchanged_inputs_are_told_apart_without_reading_a_row(
    tool_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Workspace(tool_library).train("intent")

    def read(*_: object) -> None:
        raise AssertionError("rows were read")

    monkeypatch.setattr("steelyard.workspace.examples.read_items", read)
    again = Workspace(tool_library).train("intent")

    assert [one.name for one in again.skipped] == [one.name for one in first.versions]
    assert again.versions == ()


def test_unchanged_inputs_load_no_library_that_learns_or_searches(tool_library: Path) -> None:
    Workspace(tool_library).train("intent/knn")
    script = """
import sys
from pathlib import Path
from steelyard.workspace import Workspace
assert not Workspace(Path(sys.argv[1])).train("intent/knn").versions
heavy = {"sklearn", "torch", "scipy", "onnxruntime", "lancedb", "tokenizers"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script, str(tool_library)], check=True)


@pytest.mark.parametrize("change", ["row", "setting", "damage", "stamp", "registry"])
def test_what_changed_is_seen(change: str, tool_library: Path) -> None:
    (first,) = Workspace(tool_library).train("intent/knn").versions
    state = tool_library / ".steelyard"
    if change == "row":
        replace_in(tool_library / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,extend")
    elif change == "setting":
        replace_in(tool_library / "steelyard.toml", "[models]", "[measure]\nseed = 8\n[models]")
    elif change == "damage":
        next((state / first.folder).glob("*.safetensors")).write_bytes(b"")
    elif change == "stamp":
        (state / "checks" / "trained.json").write_text("[]", encoding="utf-8")
    else:
        shutil.copy(state / "checks" / "trained.json", tool_library / "stamps")
        shutil.rmtree(state)
        (state / "checks").mkdir(parents=True)
        shutil.copy(tool_library / "stamps", state / "checks" / "trained.json")

    again = Workspace(tool_library).train("intent/knn")

    if change == "stamp":
        assert [one.version for one in again.skipped] == [1]
    else:
        assert len(again.versions) == 1


def test_documents_that_change_are_seen_by_candidates_that_search(tool_library: Path) -> None:
    workspace = Workspace(tool_library)
    workspace.ingest()
    workspace.train("answer")
    replace_in(tool_library / "docs" / "lending.md", "once, by another 7 days", "once, by another 8 days")
    Workspace(tool_library).ingest()

    again = Workspace(tool_library).train("answer")

    assert [one.candidate for one in again.skipped] == ["closed-book"]
    assert {one.candidate for one in again.versions} == {"rag-bm25", "rag-hybrid"}


def test_the_ledger_keeps_seconds_energy_and_usd_of_every_fit(tool_library: Path) -> None:
    trained = Workspace(tool_library).train("intent")

    entries = Workspace(tool_library).ledger()

    assert [(one.candidate, one.version, one.kind) for one in entries] == [
        (version.candidate, version.version, "train") for version in trained.versions
    ]
    for entry, version in zip(entries, trained.versions, strict=True):
        assert entry.effort.seconds == version.seconds > 0
        assert entry.effort.energy_wh > 0
        assert entry.usd == version.cost_usd > 0
    assert len(Workspace(tool_library).ledger("intent/knn")) == 1
    database = sqlite3.connect(tool_library / ".steelyard" / "registry.sqlite")
    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        database.execute("UPDATE ledger SET usd = 0")
    database.close()


def test_the_ledger_is_shown(tool_library: Path) -> None:
    folder = ("-w", str(tool_library))
    assert "nothing was fitted yet" in steelyard(*folder, "train", "--ledger").stdout
    steelyard(*folder, "train", "intent/knn")

    text = steelyard(*folder, "train", "--ledger", COLUMNS="80").stdout
    found = json.loads(steelyard(*folder, "train", "intent", "--ledger", "--json").stdout)

    assert "intent/knn@1" in text
    assert "1 fits" in text
    assert max(map(len, text.splitlines())) <= 80
    assert set(found["entries"][0]) >= {
        "component",
        "candidate",
        "seconds",
        "cpu_seconds",
        "energy_wh",
        "energy_source",
        "usd",
    }
