"""Questions about the past over HTTP: the documents of then, and who may see them by the rules of now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.served import Door
from steelyard.workspace import Workspace

QUESTION = "How many tools may I have out at the same time?"
HIDDEN = "Where is the key of the till kept?"


@pytest.fixture(scope="module")
def edited(door: Door, folder: Path) -> datetime:
    """The moment between two generations of which the later says something else."""
    before = datetime.now(UTC)
    page = folder / "docs" / "lending.md"
    page.write_text(page.read_text(encoding="utf-8").replace("four", "seven"), encoding="utf-8")
    Workspace(folder).ingest()
    return before


def ask(door: Door, key: str = "ask", **more: Any) -> Any:
    return door.call("POST", "/api/ask", {"question": QUESTION, **more}, key=key)


def test_a_generation_and_a_moment_of_the_past_answer_from_the_documents_of_then(door: Door, edited: datetime) -> None:
    now, first = ask(door).json(), ask(door, generation=1).json()
    then = ask(door, as_of=edited.isoformat()).json()
    assert (now["generation"], first["generation"], then["generation"]) == (2, 1, 1)
    assert "seven" in now["answer"]
    assert "four" in first["answer"]
    assert then["answer"] == first["answer"]
    place = {name: first["citations"][0][name] for name in ("document", "version", "start", "end")}
    opened = door.call("GET", "/api/source", key="ask", params=place)
    assert opened.json()["text"] == first["citations"][0]["quote"]


def test_the_past_is_answered_under_the_rules_of_now(door: Door, edited: datetime, folder: Path) -> None:
    def cited(key: str) -> set[str]:
        told = door.call("POST", "/api/ask", {"question": HIDDEN, "generation": 1}, key=key).json()
        return {place["document"] for place in told["citations"]}

    hidden = cited("staff")
    assert any(name.startswith("docs-staff/") for name in hidden)
    assert not any(name.startswith("docs-staff/") for name in cited("ask"))
    Workspace(folder).erase(sorted(hidden), why="for the test")
    assert not cited("staff") & hidden


def test_what_was_asked_of_the_past_is_replayed_there(door: Door, edited: datetime, folder: Path) -> None:
    told = ask(door, as_of=edited.isoformat()).json()
    again = Workspace(folder).replay(told["trace_id"], QUESTION)
    assert again.record.as_of is not None
    assert datetime.fromisoformat(again.record.as_of) == edited
    assert again.same_passages
    assert again.same_answer


def test_a_past_that_is_not_there_is_said_in_words(door: Door, edited: datetime) -> None:
    both = ask(door, as_of=edited.isoformat(), generation=2)
    assert (both.status_code, both.json()["error"]["code"]) == (404, "ask.two_times")
    assert ask(door, as_of=edited.isoformat(), generation=1).status_code == 200
    early = ask(door, as_of=(edited - timedelta(days=3650)).isoformat())
    assert (early.status_code, early.json()["error"]["code"]) == (404, "corpus.before_first")
    assert ask(door, generation=99).status_code == 404
    assert ask(door, as_of="0001-01-01T00:00:00+05:00").status_code == 404
    for wrong in ("yesterday", "2026-03-01", "2026-02-31T00:00:00Z", "2026-03-01T12:00:00"):
        assert ask(door, as_of=wrong).status_code == 422, wrong


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_may_ask_for_the_head_alone(door: Door, path: str) -> None:
    head = door.client.head(path)
    assert head.status_code == 200
    assert not head.content
    assert int(head.headers["content-length"]) == len(door.client.get(path).content)
