"""A server that lives through many generations and releases keeps no more of them than it did after the first few."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fastapi.testclient import TestClient

from server.served import Door, open_to_the_public, with_keys
from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import OnDocuments
from steelyard.components.reader import Reader
from steelyard.corpus.database import Database
from steelyard.stores.segments import Segment
from steelyard.stores.snapshot import Snapshot
from steelyard.workspace import Workspace
from steelyard.workspace.running import KEPT_VERSIONS
from workspace.tiny import weighed_once

QUESTION = "How many tools may I have out at the same time?"
FIRST, LAST = 6, 14
WATCHED = (Reader, Snapshot, Segment, sqlite3.Connection)
OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weighed tool library with its index on disk, as it is served."""
    made = Path(shutil.copytree(weighed_once(), tmp_path_factory.mktemp("durable") / "tool-library"))
    settings = made / "steelyard.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('store = "memory"', 'store = "lance"'), "utf-8")
    open_to_the_public(made)
    return made


def watched() -> list[object]:
    gc.collect()
    # By its type: to ask some objects of other libraries for their class runs code, which may warn.
    return [one for one in gc.get_objects() if issubclass(type(one), WATCHED)]


@pytest.fixture(scope="module")
def others() -> list[object]:
    """What tests before left in this process: held, so that none of it goes, or comes back as another at its place, while it is counted."""
    return watched()


@pytest.fixture(scope="module")
def long_lived(durable: Path, others: list[object]) -> Iterator[Door]:
    from steelyard.server.app import make_app

    app = make_app(durable)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Door(client=client, site=app.state.site, keys=with_keys(app.state.site))


def held(door: Door, others: list[object]) -> Counter[str]:
    """How many of what a generation is made of are in memory, without the `others`, and how many files are open."""
    known = set(map(id, others))
    own = [one for one in watched() if id(one) not in known]
    found = Counter(kind.__name__ for one in own for kind in WATCHED if isinstance(one, kind))
    found["loaded versions"] = len(door.site.running._loaded)
    if OPEN_FILES.is_dir():
        found["open files"] = len(os.listdir(OPEN_FILES))
    return found


def ask(door: Door, **more: Any) -> dict[str, Any]:
    told = door.call("POST", "/api/ask", {"question": QUESTION, **more}, key="ask")
    assert told.status_code == 200, told.text
    answer: dict[str, Any] = told.json()
    return answer


def lived(door: Door, folder: Path, generation: int) -> None:
    """One more generation, another release, and questions about now and about every generation so far."""
    page = folder / "docs" / "lending.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(f"limit of year {generation - 1}", f"limit of year {generation}"), encoding="utf-8")
    assert Workspace(folder).ingest().generation == generation
    if generation % 3 == 0:
        other = ("rag-bm25", "rag-hybrid")[generation % 2]
        Workspace(folder).release((f"answer/{other}",), force=True, why="for the test")
    assert ask(door)["generation"] == generation
    for past in range(1, generation):
        assert ask(door, generation=past)["generation"] == past


def test_what_is_kept_does_not_grow_with_generations_and_releases(
    long_lived: Door, durable: Path, others: list[object]
) -> None:
    page = durable / "docs" / "lending.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nThis is the limit of year 1.\n", encoding="utf-8")
    first = ask(long_lived, generation=1)
    for generation in range(2, FIRST):
        lived(long_lived, durable, generation)
    early = held(long_lived, others)
    for generation in range(FIRST, LAST):
        lived(long_lived, durable, generation)
    late = held(long_lived, others)
    assert early["Reader"] == late["Reader"] <= KEPT_VERSIONS
    assert early["loaded versions"] == late["loaded versions"]
    assert late["Snapshot"] <= early["Snapshot"]
    # A binary counter of segments, one connection for each thread that lives and each database: never more of them by generation.
    for name in ("Segment", "Connection", "open files"):
        assert late[name] - early[name] < (LAST - FIRST) / 2, (name, early, late)
    place = {name: first["citations"][0][name] for name in ("document", "version", "start", "end")}
    opened = long_lived.call("GET", "/api/source", key="ask", params=place)
    assert opened.json()["text"] == first["citations"][0]["quote"]


def test_every_candidate_that_answers_from_documents_is_loaded_once_for_all_generations() -> None:
    for name in CANDIDATES.names():
        if CANDIDATES.part(name).needs_documents:
            assert issubclass(CANDIDATES.load(name), OnDocuments), name


def test_the_connection_of_a_thread_that_ended_is_closed(tmp_path: Path) -> None:
    database = Database(tmp_path / "one.sqlite", ("CREATE TABLE one (number INTEGER);",))
    seen: list[sqlite3.Connection] = []

    def use() -> None:
        database.connection.execute("INSERT INTO one VALUES (1)")
        seen.append(database.connection)

    for _ in range(3):
        thread = Thread(target=use)
        thread.start()
        thread.join()
    assert len(seen) == 3
    for connection in seen:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    assert database.connection.execute("SELECT count(*) FROM one").fetchone() == (3,)
    database.close()
