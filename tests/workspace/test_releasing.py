"""`release`, `rollback` and what stands behind them, on a real workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steelyard.schema.errors import ModelError, NotFoundError, UserError
from steelyard.workspace import Workspace
from workspace.tiny import replace_in, steelyard

QUESTION = "How many tools may I have out at the same time?"
MESSAGES = ("What does it cost to be late?", "is the sander free on monday", "tell me a joke")
FORCED = {"why": "for the test", "force": True}


def said(folder: Path) -> str:
    """Everything that answers say, without what is measured anew or counted on."""
    workspace = Workspace(folder)
    asked = workspace.ask(QUESTION).to_json()
    routed = [workspace.route(text).to_json() for text in MESSAGES]
    for one in (asked, *routed):
        for name in ("latency_ms", "cost_usd", "trace_id", "release"):
            one.pop(name, None)
    return json.dumps([asked, routed], sort_keys=True)


def test_without_a_release_the_recommended_versions_answer_and_with_one_production_does(weighed: Path) -> None:
    workspace = Workspace(weighed)
    assert workspace.ask(QUESTION).release is None
    done = workspace.release()
    assert (done.release, done.previous, done.refused) == (1, None, False)
    assert all(gate.passed for gate in done.gates)
    assert {gate.metric for gate in done.gates} >= {"leaks", "export_parity", "accuracy"}
    assert workspace.ask(QUESTION).release == 1
    workspace.train("intent")  # what is only trained does not answer
    assert workspace.route(MESSAGES[0]).release == 1
    assert workspace.release().unchanged
    assert len(workspace.releases()) == 1


def test_a_rollback_gives_byte_equal_answers_and_trains_nothing(weighed: Path) -> None:
    workspace = Workspace(weighed)
    workspace.release(["intent/linear", "answer/rag-hybrid"])
    before = said(weighed)
    workspace.release(["intent/knn", "answer/closed-book"], **FORCED)
    between = said(weighed)
    versions = len(workspace.versions())
    now, left = workspace.rollback(why="worse in the shop")
    assert (now.number, left.number) == (1, 2)
    assert said(weighed) == before
    assert between != before
    assert len(workspace.versions()) == versions
    workspace.rollback(2)
    assert said(weighed) == between


def test_a_release_of_one_component_keeps_the_others(weighed: Path) -> None:
    workspace = Workspace(weighed)
    first = workspace.release(["intent/linear", "answer/rag-bm25"])
    second = workspace.release(["intent/knn@1"], **FORCED)
    assert first.versions == ("intent/linear@1", "answer/rag-bm25@1")
    assert second.versions == ("intent/knn@1", "answer/rag-bm25@1")
    assert {gate.component for gate in second.gates} == {"intent"}


def test_a_failing_gate_refuses_says_why_and_can_be_forced_with_a_reason(weighed: Path) -> None:
    workspace = Workspace(weighed)
    workspace.release(["intent/linear"])
    refused = workspace.release(["intent/majority"])
    assert (refused.release, refused.previous, refused.refused) == (None, 1, True)
    assert [one.number for one in workspace.releases()] == [1]
    failed = [gate for gate in refused.gates if not gate.passed]
    assert failed
    assert all("looks worse" in gate.detail or "not enough data" in gate.detail for gate in failed)
    with pytest.raises(UserError, match="needs a reason"):
        workspace.release(["intent/majority"], force=True)
    forced = workspace.release(["intent/majority"], **FORCED)
    assert (forced.release, forced.forced, forced.refused) == (2, True, False)
    last = workspace.history()[-1]
    assert (last.what, last.why, last.evidence["forced"]) == ("release.made", "for the test", True)
    assert set(last.evidence["runs"]) == {"intent/linear@1", "intent/majority@1"}


def test_a_dry_run_checks_and_changes_nothing(weighed: Path) -> None:
    workspace = Workspace(weighed)
    done = workspace.release(dry_run=True)
    assert done.release is None
    assert done.gates
    assert workspace.releases() == []


def test_the_corpus_is_followed_unless_it_is_pinned(weighed: Path) -> None:
    question = "What does a lost key to a locker cost?"
    old, new = "A lost key to a locker costs 15 EUR.", "A lost key to a locker costs 21 EUR."
    workspace = Workspace(weighed)
    workspace.release(["answer/rag-bm25"])
    pinned = workspace.release(pin_corpus=True, targets=["answer/rag-bm25"])
    assert pinned.release == 2
    replace_in(weighed / "docs" / "fees.txt", old, new)
    workspace.ingest()
    held = workspace.ask(question)
    assert ("15 EUR" in held.answer, held.generation) == (True, 1)
    workspace.rollback()
    followed = workspace.ask(question)
    assert ("21 EUR" in followed.answer, followed.generation) == (True, 2)


def test_a_pinned_corpus_needs_one(tool_library: Path) -> None:
    with pytest.raises(UserError, match="no corpus to pin"):
        Workspace(tool_library).release(pin_corpus=True)
    with pytest.raises(UserError, match="nothing is recommended yet"):
        Workspace(tool_library).release()


def test_a_request_leads_to_the_versions_that_answered_it(weighed: Path) -> None:
    workspace = Workspace(weighed)
    workspace.release(["intent/linear", "answer/rag-bm25"])
    asked, routed = workspace.ask(QUESTION), workspace.route(MESSAGES[0])
    trace, record = workspace.request(asked.trace_id)
    assert (record.name, trace.release, trace.generation) == ("answer/rag-bm25@1", 1, asked.generation)
    assert (trace.dataset, trace.text) == (record.dataset, None)
    assert workspace.request(routed.trace_id[:12])[1].name == "intent/linear@1"
    with pytest.raises(NotFoundError):
        workspace.request("0" * 32)
    text = (weighed / "steelyard.toml").read_text(encoding="utf-8")
    (weighed / "steelyard.toml").write_text(text + "\n[releases]\nkeep_questions = true\n", encoding="utf-8")
    kept = Workspace(weighed)
    assert kept.request(kept.ask(QUESTION).trace_id)[0].text == QUESTION


def test_a_changed_file_is_named_when_it_is_loaded_and_by_verify(weighed: Path) -> None:
    workspace = Workspace(weighed)
    workspace.release(["intent/linear"])
    assert workspace.verify_registry().whole
    record = next(one for one in workspace.versions() if one.candidate == "linear")
    file = next((weighed / ".steelyard" / record.folder).glob("arrays-*"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"{file.name} was changed") as caught:
        workspace.route(MESSAGES[0])
    assert caught.value.code == "registry.artefact_changed"
    assert any(file.name in line for line in workspace.verify_registry().broken)
    (again,) = workspace.train("intent/linear").versions  # what the error advises
    assert again.version == 2


def test_what_a_version_came_from_is_all_there(weighed: Path) -> None:
    record = next(one for one in Workspace(weighed).versions() if one.candidate == "linear")
    assert set(record.files) >= {"manifest.json"}
    assert len(record.artefact) == len(record.dataset) == 64
    assert record.code_version.startswith("0.")
    assert record.cost_usd > 0
    assert (record.parity["agreement"], record.parity["flipped"]) == (1.0, [])
    assert record.seed == 7


def test_prune_takes_what_no_release_and_no_alias_needs_and_asks_first(weighed: Path) -> None:
    settings = weighed / "steelyard.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + "\n[releases]\nkeep_releases = 1\n", encoding="utf-8")
    for seed in (8, 9, 10):
        Workspace(weighed).train("intent/linear")
        Workspace(weighed).release([f"intent/linear@{seed - 7}"], **FORCED)
        text = settings.read_text(encoding="utf-8").split("\n[measure]")[0]
        settings.write_text(f"{text}\n[measure]\nseed = {seed}\n", encoding="utf-8")
    workspace = Workspace(weighed)
    workspace.train("intent/linear")
    names = [one.name for one in workspace.versions() if one.candidate == "linear"]
    assert names == [f"intent/linear@{number}" for number in (1, 2, 3, 4)]
    assert [one.versions for one in workspace.prune()] == [("intent/linear@1",)]  # 3 is in force, 2 a rollback away
    workspace.alias("stable", "intent/linear@1", why="the auditors look at it")
    assert workspace.prune() == []
    workspace.alias("stable", "intent/linear@4")
    root = weighed / ".steelyard"
    (gone,) = workspace.prune(delete=True)
    assert not (root / gone.folder).exists()
    assert workspace.history()[-1].what == "artefacts.pruned"
    assert workspace.verify_registry().whole
    assert workspace.route(MESSAGES[0]).version == 3
    workspace.rollback()
    assert workspace.route(MESSAGES[0]).version == 2
    assert workspace.prune() == []


def test_names_that_lead_nowhere_name_the_nearest(weighed: Path) -> None:
    workspace = Workspace(weighed)
    workspace.alias("stable", "intent/linear@1")
    assert workspace.release(["intent@stable"]).versions == ("intent/linear@1",)
    for target, message in {
        "intent/linaer": "no candidate 'linaer'",
        "intent/linear@9": "no version 'intent/linear@9'",
        "intent@stabel": "no alias 'stabel'",
        "intnt/linear": "no component 'intnt'",
    }.items():
        with pytest.raises(NotFoundError, match=message):
            workspace.release([target])
    with pytest.raises(UserError, match="names no version"):
        workspace.release(["intent"])
    with pytest.raises(UserError, match="two versions"):
        workspace.release(["intent/linear", "intent/knn"])


def test_a_served_form_that_answers_otherwise_is_refused(weighed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from steelyard.candidates.classify_router import LinearRouter

    whole = LinearRouter._restore

    def worn(self: LinearRouter, arrays: dict, meta: dict) -> None:
        whole(self, {**arrays, "dense": arrays["dense"] * -1.0}, meta)

    monkeypatch.setattr(LinearRouter, "_restore", worn)
    replace_in(weighed / "messages.csv", "Renew my heat gun please,return", "Renew my big heat gun please,return")
    workspace = Workspace(weighed)
    workspace.train("intent/linear")
    done = workspace.release(["intent/linear"])
    parity = next(gate for gate in done.gates if gate.metric == "export_parity")
    assert done.refused
    assert not parity.passed
    assert parity.flipped
    assert parity.flipped[0].reference != parity.flipped[0].served


def test_release_rollback_and_versions_print_the_keys_of_the_contract(weighed: Path) -> None:
    def run(*arguments: str, code: int = 0) -> dict:
        done = steelyard("-w", str(weighed), *arguments, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    first = run("release", "intent/linear", "--why", "the first")
    assert {"release", "previous", "gates"} <= set(first)
    assert (first["release"], first["previous"]) == (1, None)
    assert all({"metric", "passed", "detail"} <= set(gate) for gate in first["gates"])
    assert run("release", "intent/majority", code=1)["release"] is None
    assert run("release", "intent/majority", "--force", "--why", "try")["release"] == 2
    assert (run("rollback")["release"], run("rollback", code=2)["error"]["code"]) == (1, "registry.first_release")
    routed = run("route", MESSAGES[0])
    assert run("versions", "--request", routed["trace_id"])["version"]["candidate"] == "linear"
    listed = run("versions")
    assert (listed["production"], len(listed["releases"])) == (1, 2)
    assert run("versions", "verify")["whole"]
    assert run("versions", "alias", "stable", "intent/linear@1") == {"alias": "stable", "version": "intent/linear@1"}
    assert [one["what"] for one in run("versions", "history", "--last", "2")["history"]] == [
        "release.rolled_back",
        "alias.moved",
    ]
    assert run("versions", "prune") == {"deleted": False, "folders": []}
    exported = run("versions", "export", "--history", str(weighed / "history.jsonl"))
    lines = (weighed / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert exported["history"]["records"] == len(lines)
    head = json.loads(lines[-1])["hash"]
    assert run("versions", "verify", "--head", head)["whole"]
    assert run("versions", "verify", "--head", "f" * 64, code=1)["broken"]
