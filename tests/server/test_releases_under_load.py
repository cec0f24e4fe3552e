"""Releases and rollbacks while clients stream: nothing fails, nothing is mixed, and what was cited can still be opened."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.live import Live, live_server
from steelyard.registry.keys import Keys
from steelyard.workspace import Workspace

CLIENTS = 12
QUESTIONS = (
    "How many tools may I have out at the same time?",
    "How long is the loan period?",
    "Until when is a reservation held at the desk?",
    "Where is the key of the till kept?",
)
FORCED = {"why": "for the test", "force": True}


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[Live, Path, str]]:
    """A server of two workers on a released workspace whose index lies on disk, and a key."""
    settings = folder / "steelyard.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace('store = "memory"', 'store = "lance"'), encoding="utf-8"
    )
    workspace = Workspace(folder)
    workspace.ingest()
    workspace.release(["intent/linear", "answer/rag-hybrid", "reply/exemplar"])
    _, token = Keys(workspace.state.keys).create("load", roles=("ask",))
    with live_server(folder, workers=2) as live:
        yield live, folder, token


class Client(threading.Thread):
    """Streams one answer after the other until told to stop, and keeps what it was told."""

    def __init__(self, url: str, token: str, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.number, self.stop_ = url, token, number, stop
        self.told: list[dict[str, Any]] = []
        self.failed: list[str] = []

    def run(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=120.0) as http:
            while not self.stop_.is_set():
                question = QUESTIONS[(self.number + len(self.told)) % len(QUESTIONS)]
                try:
                    self.told.append(self._ask(http, question))
                except (httpx.HTTPError, AssertionError, KeyError, ValueError) as error:
                    self.failed.append(repr(error))

    def _ask(self, http: httpx.Client, question: str) -> dict[str, Any]:
        body = {
            "model": "steelyard",
            "messages": [{"role": "user", "content": question}],
            "stream": True,
            "steelyard": {"slots": {"name": "Kim", "agent": "Lee"}},
        }
        with http.stream("POST", f"{self.url}/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            events = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
        assert events[-1] == "[DONE]", "the stream was cut"
        chunks = [json.loads(event) for event in events[:-1]]
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        return {"question": question, "text": text, **chunks[-1]["steelyard"]}


def wait_for(clients: list[Client], more: int) -> None:
    """Wait until every client was told `more` further answers."""
    goals = {client: len(client.told) + more for client in clients}
    deadline = time.monotonic() + 120
    while any(len(client.told) < goal for client, goal in goals.items()) and time.monotonic() < deadline:
        assert not any(client.failed for client in clients), [client.failed[:1] for client in clients]
        time.sleep(0.02)


def versions_of(told: Mapping[str, Any]) -> set[str]:
    return {part["name"] for part in told["parts"]}


def test_releases_and_rollbacks_under_load_fail_and_mix_nothing(running: tuple[Live, Path, str]) -> None:
    live, folder, token = running
    workspace = Workspace(folder)
    before = next(iter(workspace.releases())).number
    stop = threading.Event()
    clients = [Client(live.url, token, number, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_for(clients, 2)
    after = workspace.release(["intent/knn", "answer/rag-bm25", "reply/template"], **FORCED).release
    assert after is not None
    wait_for(clients, 2)
    workspace.rollback()
    wait_for(clients, 2)
    (folder / "docs" / "lending.md").write_text(
        (folder / "docs" / "lending.md").read_text(encoding="utf-8").replace("four", "five"), encoding="utf-8"
    )
    workspace.ingest()
    wait_for(clients, 2)
    workspace.rollback(after)
    wait_for(clients, 2)
    stop.set()
    for client in clients:
        client.join(120)
    assert [client.failed for client in clients if client.failed] == []
    told = [one for client in clients for one in client.told]
    made = {one.number: set(one.to_json()["versions"]) for one in workspace.releases()}
    assert {one["release"] for one in told} == {before, after}
    assert {one["generation"] for one in told} == {1, 2}
    for one in told:
        assert versions_of(one) <= made[one["release"]], "an answer mixes two releases"
    # Equal questions to equal versions on equal documents have one answer, whichever worker gave it.
    by_way: dict[tuple[Any, ...], set[str]] = {}
    for one in told:
        by_way.setdefault((one["question"], one["release"], one["generation"]), set()).add(one["text"])
    assert all(len(texts) == 1 for texts in by_way.values())
    fifth = [one for one in told if one["question"] == QUESTIONS[0] and one["generation"] == 2]
    assert fifth
    assert all("four" not in one["text"] for one in fifth)
    _still_open(live, token, told)


def _still_open(live: Live, token: str, told: list[dict[str, Any]]) -> None:
    """Every place that was cited opens at its quote, the old documents' too."""
    cited = {
        tuple(place[name] for name in ("document", "version", "start", "end", "quote"))
        for one in told
        for place in one["citations"]
    }
    assert len({version for _, version, *_ in cited}) > 1
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60.0) as http:
        for document, version, start, end, quote in cited:
            place = {"document": document, "version": version, "start": start, "end": end}
            answer = http.get(f"{live.url}/api/source", params=place)
            assert answer.json()["text"] == quote


def test_every_worker_follows_a_release_made_elsewhere(running: tuple[Live, Path, str]) -> None:
    live, folder, token = running
    workspace = Workspace(folder)
    # Its own two releases: which others there are depends on the tests that ran before in this process.
    first = workspace.release(["intent/knn", "answer/rag-hybrid", "reply/template"], **FORCED).release
    second = workspace.release(["intent/linear", "answer/rag-bm25", "reply/exemplar"], **FORCED).release
    assert first is not None
    assert second is not None
    for target in (first, second, first):
        workspace.rollback(target)
        streak, deadline = 0, time.monotonic() + 120
        while streak < 10 and time.monotonic() < deadline:
            # A connection of its own each time, so that both workers are asked.
            answer = httpx.post(
                f"{live.url}/api/route",
                json={"text": "hello"},
                headers={"Authorization": f"Bearer {token}"},
                timeout=60.0,
            )
            streak = streak + 1 if answer.json()["release"] == target else 0
        assert streak == 10
