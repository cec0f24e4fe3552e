"""`steelyard data`: versions, differences and cards of a workspace, in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from steelyard.dataset.rows import read_items
from steelyard.dataset.split import dataset_hash
from steelyard.workspace import Workspace
from workspace.tiny import replace_in, steelyard


def run(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = steelyard("-w", str(folder), *arguments, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_committed_version_can_be_shown_and_compared_after_the_file_changed(tool_library: Path) -> None:
    messages = tool_library / "messages.csv"
    before = messages.read_text(encoding="utf-8")
    first = run(tool_library, "data", "commit", "intent", "--note", "as exported")["versions"][0]
    replace_in(messages, "Do aliens exist,out_of_scope\n", "")
    replace_in(messages, "Renew my heat gun please,return", "Renew my heat gun please,extend")

    found = run(tool_library, "data", "diff", "intent@1", "intent")
    again = run(tool_library, "data", "commit", "intent")["versions"][0]
    listed = run(tool_library, "data", "versions")["versions"]
    shown = steelyard("-w", str(tool_library), "data", "show", "intent@1").stdout

    assert (first["name"], first["new"], first["note"]) == ("intent@1", True, "as exported")
    assert found["counts"] == {"added": 0, "removed": 1, "changed": 1, "relabelled": 1, "unchanged": first["rows"] - 2}
    assert found["changed"][0]["fields"] == {"label": {"before": "return", "after": "extend"}}
    assert [(one["name"], one["parent"]) for one in listed] == [("intent@1", None), ("intent@2", 1)]
    assert again["dataset"] != first["dataset"]
    (tool_library / "old.jsonl").write_text(shown, encoding="utf-8")
    old = read_items(tool_library / "old.jsonl", "classify").items
    assert dataset_hash(old) == first["dataset"]
    messages.write_text(before, encoding="utf-8")
    assert run(tool_library, "data", "diff", first["dataset"][:12], "intent")["counts"]["unchanged"] == first["rows"]


def test_what_a_version_of_a_candidate_learned_from_is_kept(tool_library: Path) -> None:
    trained = Workspace(tool_library).train("intent/knn").versions[0]

    kept = Workspace(tool_library).datasets.versions("intent")

    assert [one.current for one in kept] == [trained.dataset]
    assert not Workspace(tool_library).datasets.commit("intent")[0][1]


def test_cards_are_written_for_every_component_and_the_same_each_time(tool_library: Path) -> None:
    replace_in(tool_library / "steelyard.toml", 'task = "classify"', 'task = "classify"\nlicence = "made up for tests"')

    files = run(tool_library, "data", "card")["files"]
    cards = [(tool_library / name).read_bytes() for name in files]
    run(tool_library, "data", "card")

    assert files == ["data-card-intent.md", "data-card-answer.md", "data-card-reply.md"]
    assert cards == [(tool_library / name).read_bytes() for name in files]
    assert b"made up for tests" in cards[0]


def test_wrong_names_are_answered_with_the_nearest(tool_library: Path) -> None:
    run(tool_library, "data", "commit", "intent")

    assert (
        run(tool_library, "data", "diff", "intent@1", "intent@2", code=2)["error"]["code"] == "dataset.unknown_version"
    )
    assert run(tool_library, "data", "card", "intnt", code=2)["error"]["code"] == "workspace.unknown_component"


def test_tables_fit_the_terminal(tool_library: Path) -> None:
    steelyard("-w", str(tool_library), "data", "commit")
    replace_in(tool_library / "messages.csv", "Renew my heat gun please,return", "Renew my heat gun please,extend")

    for arguments in (["versions"], ["diff", "intent@1", "intent"], ["commit"]):
        done = steelyard("-w", str(tool_library), "data", *arguments, COLUMNS="80")
        assert done.returncode == 0, done.stderr
        assert max(map(len, done.stdout.splitlines())) <= 80
