"""Who sees what through every door: the HTTP routes, the page and the library, against the slow evaluator that shares no code.

One check is one (asker, version of a document, generation, door): does it turn up exactly when the reference says so? The store and the
library below have a million such checks of their own (`components/test_access_matrix.py`).
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[1] / "components"))
from access_world import QUESTION, SOURCES, WORD, Asker, Copy, World

from steelyard.workspace import Workspace

pytestmark = pytest.mark.slow

ASKERS = 10
READ = 6
"""Passages that an answer is read from."""
MOST = 50
"""Hits of one search at most; the world stays smaller."""
LEAST_CHECKS = 15_000

DOCUMENT = re.compile(rf"(?:{'|'.join(SOURCES)})/(?:hr/)?(?:pay/)?[dm]\d+\.md")

SETTINGS = """
[workspace]
name = "access"
[models]
encoder = "fake"
[components.answer]
task = "answer"
questions = "questions.jsonl"
candidates = ["rag-bm25"]
[serve]
requests_per_minute = 0
"""


class ServedWorld(World):
    """The world of the access matrix as a workspace with settings, so that it can be served."""

    def __init__(self, root: Path, seed: int, documents: int) -> None:
        super().__init__(root, None, seed, documents)
        rows = [
            {"question": f"Where is the {WORD} number {at} kept?", "answers": [f"room {at * 7}"]}
            for at in range(1, documents + 1)
        ]
        (root / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def ingest(self) -> None:
        sources = "".join(
            f'[[sources]]\npath = "{one}"\nallow = {json.dumps(self.said.source_allow[one])}\n'
            f"deny = {json.dumps(self.said.source_deny[one])}\n"
            for one in SOURCES
        )
        (self.root / "steelyard.toml").write_text(SETTINGS + sources)
        report = Workspace(self.root).ingest()
        assert report.failed == (), report.failed
        for document in self.here:
            self.said.front[document] = self.fronts[document]
        self.held[report.generation] = set(self.here.values())
        self.copies |= self.held[report.generation]

    def named(self, passage: str) -> Copy:
        """The copy that a passage's id names."""
        document, _, rest = passage.rpartition("@")
        begin = rest.partition(":")[0]
        return next(one for one in self.copies if one.document == document and one.version.startswith(begin))


class Doors:
    """A client, a key for every asker, and what was compared through which door."""

    def __init__(self, world: ServedWorld, client: TestClient, site: Any, askers: list[Asker]) -> None:
        self.world, self.client = world, client
        self.checks: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.keys: dict[Asker, str] = {}
        for place, (user, groups) in enumerate(askers):
            # A key cannot carry the names that a scope passes over: nobody's, and a person's as a group.
            plain = [one for one in sorted(groups) if one and not one.startswith("user:")]
            self.keys[user, groups] = site.identity.keys.create(f"asker {place}", user=user or None, groups=plain)[1]

    def call(self, asker: Asker, method: str, path: str, **more: Any) -> Any:
        return self.client.request(
            method, path, headers={"Authorization": f"Bearer {self.keys[asker]}", "accept": "text/html"}, **more
        )

    def compare(self, door: str, asker: Asker, seen: set[Copy], expected: set[Copy], *, whole: bool) -> None:
        self.checks[door] += len(self.world.copies)
        if not seen <= expected or (whole and seen != expected):
            self.wrong.append(f"{door} {asker}: leaks {seen - expected}, hides {expected - seen if whole else '-'}")

    def check(self, *, sources: bool = True) -> None:
        """Every asker through every door; `sources` False leaves out those that take a request for each version."""
        generation = self.world.library.in_force()
        for asker in self.keys:
            allowed = self.world.expected(asker)
            self.searches(asker, allowed[generation])
            self.answers(asker, allowed[generation])
            if sources:
                self.sources(asker, allowed[0])
            self.pages(asker, allowed[generation])

    def searches(self, asker: Asker, expected: set[Copy]) -> None:
        for mode in ("fused", "lexical", "dense"):
            body = {"query": WORD, "k": MOST, "mode": mode}
            hits = self.call(asker, "POST", "/api/search", json=body).json()["hits"]
            assert len(hits) < MOST
            found = {Copy(hit["document"], hit["version"]) for hit in hits}
            # Twins are shown once and counted: what is shown stands for all that have its bytes.
            alike = {one for one in expected if one.version in {shown.version for shown in found}}
            self.compare(f"search {mode}", asker, found, expected, whole=False)
            self.compare(f"search {mode} with copies", asker, alike, expected, whole=True)
            if sum(1 + hit["copies"] for hit in hits) != len(expected):
                self.wrong.append(f"search {mode} {asker}: copies do not add up to {len(expected)}")

    def answers(self, asker: Asker, expected: set[Copy]) -> None:
        chat = {"model": "steelyard/answer", "messages": [{"role": "user", "content": QUESTION}]}
        told = {
            "ask": self.call(asker, "POST", "/api/ask", json={"question": QUESTION}).json(),
            "respond": self.call(asker, "POST", "/api/respond", json={"text": QUESTION}).json(),
            "chat": self.call(asker, "POST", "/v1/chat/completions", json=chat).json()["steelyard"],
        }
        events = self.call(asker, "POST", "/v1/chat/completions", json={**chat, "stream": True}).text.splitlines()
        lines = [json.loads(one[6:]) for one in events if one.startswith("data: {")]
        [told["chat, streamed"]] = [one["steelyard"] for one in lines if "steelyard" in one]
        for door, answer in told.items():
            parts = answer.get("component_trace") or answer["parts"]
            passages = [name for part in parts for name in part["passages"]]
            cited = [place for one in answer["citations"] for place in (one, *one["copies"])]
            seen = {self.world.named(name) for name in passages} | {
                Copy(one["document"], one["version"]) for one in cited
            }
            self.compare(door, asker, seen, expected, whole=False)
            if len(passages) != min(READ, len({one.version for one in expected})):
                self.wrong.append(f"{door} {asker}: read {len(passages)} passages of {len(expected)} that may be seen")

    def sources(self, asker: Asker, expected: set[Copy]) -> None:
        read: dict[str, set[Copy]] = {"/api/source": set(), "/source": set()}
        for copy in self.world.copies:
            for path, found in read.items():
                answer = self.call(
                    asker, "GET", path, params={"document": copy.document, "version": copy.version, "end": 1}
                )
                if answer.status_code == 200:
                    found.add(copy)
                elif answer.status_code != 404:
                    self.wrong.append(f"{path} {asker} {copy}: {answer.status_code}")
        for path, found in read.items():
            self.compare(path, asker, found, expected, whole=True)

    def pages(self, asker: Asker, expected: set[Copy]) -> None:
        for kind in ("answer", "search", "pipeline"):
            shown = html.unescape(self.call(asker, "POST", "/ask", data={"text": QUESTION, "kind": kind}).text)
            names = set(DOCUMENT.findall(shown))
            seen = {one for one in self.world.copies if one.document in names}
            # The page names documents: a name is right when some version of it may be seen.
            right = {one for one in self.world.copies if one.document in {own.document for own in expected}}
            self.compare(f"page, {kind}", asker, seen, right, whole=False)

    def past(self) -> None:
        """Every generation under the rules of now, asked of the library and over HTTP."""
        workspace = Workspace(self.world.root)
        for asker in list(self.keys)[:5]:
            user, groups = asker[0] or None, [one for one in asker[1] if one]
            for number, expected in self.world.expected(asker).items():
                if number:
                    answer = workspace.ask(QUESTION, user=user, groups=groups, generation=number, candidate="rag-bm25")
                    body = {"question": QUESTION, "generation": number}
                    told = self.call(asker, "POST", "/api/ask", json=body).json()
                    for door, trace in (("library", answer.component_trace), ("ask", told["component_trace"])):
                        [step] = trace
                        seen = {self.world.named(name) for name in step["passages"]}
                        self.compare(f"{door}, past", asker, seen, expected, whole=False)
                        if len(step["passages"]) != min(READ, len({one.version for one in expected})):
                            self.wrong.append(f"{door} {asker} generation {number}: read {len(step['passages'])}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServedWorld]:
    made = ServedWorld(tmp_path, seed=11, documents=24)
    yield made
    made.library.close()


def test_every_door_shows_what_the_reference_says_from_the_next_request_on(world: ServedWorld, capsys) -> None:
    from steelyard.server.app import make_app

    world.ingest()
    world.step()
    world.step()
    Workspace(world.root).train("answer/rag-bm25")
    app = make_app(world.root)
    with TestClient(app, raise_server_exceptions=False) as client:
        doors = Doors(world, client, app.state.site, world.askers(ASKERS))
        doors.check(sources=False)
        # While it serves, others say who may, move people, edit, delete, erase and go back a generation.
        world.operate(30)
        doors.check()
        world.regroup(24)
        doors.check(sources=False)
        world.step()
        doors.check(sources=False)
        world.operate(10)
        world.erase(documents=3, versions=5)
        world.library.switch(2)
        doors.check()
        doors.past()
    total = sum(doors.checks.values())
    with capsys.disabled():
        print(f"\naccess over HTTP: {total:,} checks by {len(doors.checks)} doors, {len(doors.wrong)} wrong")  # noqa: T201
    assert doors.wrong == []
    assert total >= LEAST_CHECKS, doors.checks
