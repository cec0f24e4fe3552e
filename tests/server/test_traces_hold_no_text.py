"""What is kept of an answer holds no words of a document, so a revocation or an erasure has nothing to take back from it."""

from __future__ import annotations

from pathlib import Path

from server.served import Door
from steelyard.workspace import Workspace

QUESTION = "Where is the key of the till kept?"
KEPT = ("audit.sqlite", "requests.sqlite", "operations.sqlite", "trials.sqlite", "feedback.sqlite")


def runs(text: str, words: int = 4) -> set[bytes]:
    """Every run of so many words of a text."""
    found = text.split()
    return {" ".join(found[at : at + words]).encode() for at in range(len(found) - words + 1)}


def test_no_kept_trace_of_an_answer_holds_words_of_a_document_before_or_after_its_revocation(
    door: Door, folder: Path
) -> None:
    def everything(key: str) -> str:
        """What this caller is told through every way of asking, and may ask for again by id."""
        chat = {"model": "steelyard", "messages": [{"role": "user", "content": QUESTION}]}
        told = [
            door.call("POST", "/api/search", {"query": QUESTION}, key=key),
            door.call("POST", "/api/ask", {"question": QUESTION}, key=key),
            door.call("POST", "/api/respond", {"text": QUESTION}, key=key),
            door.call("POST", "/v1/chat/completions", chat, key=key),
        ]
        trace = told[1].json()["trace_id"]
        assert door.call("POST", "/api/feedback", {"trace_id": trace, "verdict": "right"}, key=key).status_code == 201
        Workspace(folder).ask(QUESTION, groups=["staff"] if key == "staff" else [])
        return "\n".join(answer.text for answer in told)

    library = door.site.running.parts.toolbox.library
    secret = {one.document: one.text for one in library.versions(library.in_force()) if "docs-staff" in one.document}
    words = set().union(*map(runs, secret.values()))
    before = everything("staff")
    assert "docs-staff/" in before
    assert any(run.decode() in before for run in words)
    door.site.observer.recorder.flush()
    state = folder / ".steelyard"
    kept = [path for name in KEPT for path in state.glob(f"{name}*") if path.is_file()]
    assert {path.name for path in kept} >= {"audit.sqlite", "requests.sqlite", "operations.sqlite", "feedback.sqlite"}
    for path in kept:
        data = path.read_bytes()
        assert [run for run in words if run in data] == [], path.name

    # From the next request on: answers, searches, traces and replays show nothing of it to those who lost it.
    Workspace(folder).access().say("docs-staff/**", "staff", "deny", why="closed")
    try:
        after = everything("staff")
        assert "docs-staff/" not in after
        assert not [run for run in words if run.decode() in after]
        [entry] = [one for one in door.site.workspace.answers(50) if one.evidence.get("kind") == "search"][-1:]
        replayed = door.call("GET", f"/audit/answer?id={entry.evidence['trace_id']}&question={QUESTION}", key="operate")
        assert replayed.status_code == 200
        assert "the asker may no longer see it" in replayed.text
        assert not [run for run in words if run.decode() in replayed.text]
    finally:
        Workspace(folder).access().reset("docs-staff/**", "staff")
    assert "docs-staff/" in everything("staff")
    assert door.site.audit.audit.verify().whole
