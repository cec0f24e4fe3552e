"""`ingest --watch` in a process of its own: edits, revocations and failures, asked from other processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workspace.tiny import replace_in, steelyard

LONG = 60.0


class Follower:
    """A running `ingest --watch --json` with the events it prints."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "steelyard", "-w", str(folder), "ingest", "--watch", "--json", *more]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )

    def next(self, event: str) -> dict[str, Any]:
        """The next event of this name; others before it are passed over."""
        assert self.process.stdout is not None
        begun = time.monotonic()
        while time.monotonic() - begun < LONG:
            line = self.process.stdout.readline()
            assert line, self.process.stderr and self.process.stderr.read().decode()
            found: dict[str, Any] = json.loads(line)
            if found["event"] == event:
                return found
        raise AssertionError(f"no event '{event}'")

    def end(self, number: int) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, the events that were left, and what was written to stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=LONG)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


@pytest.fixture
def lance(tool_library: Path) -> Path:
    """A tool library with the index that other processes can read, trained."""
    replace_in(tool_library / "steelyard.toml", 'store = "memory"', 'store = "lance"')
    return tool_library


@pytest.fixture
def follower(lance: Path) -> Iterator[Follower]:
    made = Follower(lance)
    yield made
    made.process.kill()
    made.process.communicate()


def asked(folder: Path, question: str, *more: str) -> dict[str, Any]:
    done = steelyard("-w", str(folder), "ask", question, "--candidate", "rag-bm25", "--json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


QUESTION = "How much is the zorble deposit?"


def page(price: int, front: str = "") -> str:
    return f"{front}# Zorbles\n\nThe zorble deposit is {price} euros.\n"


@pytest.mark.slow
def test_an_edit_is_answered_and_a_revocation_gone_from_another_process(follower: Follower) -> None:
    folder = follower.folder
    assert follower.next("watching")["polling"] is False
    assert follower.next("ingested")["generation"] == 1
    assert steelyard("-w", str(folder), "train", "answer/rag-bm25").returncode == 0

    document = folder / "docs" / "zorbles.md"
    document.write_text(page(40))
    assert follower.next("ingested")["added"] == 1
    assert "40 euros" in asked(folder, QUESTION)["answer"]

    document.write_text(page(55))
    done = follower.next("ingested")
    assert (done["generation"], done["updated"], done["parsed"]) == (3, 1, 1)
    assert 0 < done["lag_s"]["docs"] < LONG
    answer = asked(folder, QUESTION)
    assert "55 euros" in answer["answer"]
    assert "40 euros" not in json.dumps(answer)

    document.write_text(page(55, "---\nallow: [staff]\n---\n"))
    assert follower.next("ingested")["access_changed"] == 0  # other bytes: an update like any other
    assert "zorble" not in json.dumps(asked(folder, QUESTION)).replace(QUESTION, "")
    assert "55 euros" in asked(folder, QUESTION, "--group", "staff")["answer"]

    rules = folder / "docs" / "access.toml"
    rules.write_text('[[rules]]\nmatch = "zorbles.md"\ndeny = ["staff"]\n')
    assert follower.next("ingested")["access_changed"] == 1
    assert "zorble" not in json.dumps(asked(folder, QUESTION, "--group", "staff")).replace(QUESTION, "")
    rules.unlink()
    assert follower.next("ingested")["access_changed"] == 1
    assert "55 euros" in asked(folder, QUESTION, "--group", "staff")["answer"]

    status = json.loads(steelyard("-w", str(folder), "status", "--json").stdout)["corpus"]
    lags = {one["source"]: one for one in status["sources"]}
    assert (lags["docs"]["changes"], lags["docs-staff"]["changes"]) == (3, 0)
    assert 0 < lags["docs"]["lag_s"]["median"] <= lags["docs"]["lag_s"]["worst"] < LONG
    assert status["watched_since"]

    moved = document.rename(folder / "docs" / "moved.md")
    done = follower.next("ingested")
    assert (done["renamed"], done["parsed"], done["embedded"]) == (1, 0, 0)

    moved.unlink()
    assert follower.next("ingested")["deleted"] == 1
    assert "zorble" not in json.dumps(asked(folder, QUESTION, "--group", "staff")).replace(QUESTION, "")

    code, events, err = follower.end(signal.SIGTERM)
    assert (code, [one["event"] for one in events], err) == (0, ["stopped"], "")
    assert json.loads(steelyard("-w", str(folder), "status", "--json").stdout)["corpus"]["watched_since"] is None


@pytest.mark.slow
def test_a_burst_is_one_generation(follower: Follower) -> None:
    assert follower.next("ingested")["generation"] == 1
    for number in range(40):
        (follower.folder / "docs" / f"burst-{number}.md").write_text(f"Burst {number}.")
    done = follower.next("ingested")
    assert (done["generation"], done["added"]) == (2, 40)
    assert follower.end(signal.SIGINT)[0] == 0


@pytest.mark.slow
def test_what_fails_is_told_and_tried_again_while_the_last_good_version_answers(follower: Follower) -> None:
    folder = follower.folder
    before = follower.next("ingested")
    assert steelyard("-w", str(folder), "train", "answer/rag-bm25").returncode == 0

    good = asked(folder, "How long is the loan period?")
    (folder / "docs").rename(folder / "docs-away")
    failed = follower.next("failed")
    assert failed["error"]["code"] == "corpus.source_missing"
    assert failed["retry_s"] > 0
    assert asked(folder, "How long is the loan period?")["answer"] == good["answer"]
    (folder / "docs-away").rename(folder / "docs")
    mended = follower.next("ingested")
    assert (mended["generation"], mended["unchanged"]) == (1, before["added"])

    settings = folder / "steelyard.toml"
    text = settings.read_text()
    settings.write_text(text + "nonsense = 1\n")
    assert follower.next("failed")["error"]["code"] == "config.unknown_key"
    settings.write_text(text.replace('allow = ["everyone"]', 'allow = ["members"]', 1))
    assert follower.next("ingested")["access_changed"] > 0
    assert follower.end(signal.SIGINT)[0] == 0


@pytest.mark.slow
def test_sources_can_be_looked_at_in_intervals(lance: Path) -> None:
    follower = Follower(lance, "--poll", "0.2")
    try:
        assert follower.next("watching")["polling"] is True
        assert follower.next("ingested")["generation"] == 1
        (lance / "docs" / "new.md").write_text("New.")
        assert follower.next("ingested")["added"] == 1
        assert follower.end(signal.SIGTERM)[0] == 0
    finally:
        follower.process.kill()
        follower.process.communicate()


def test_an_interval_without_following_is_refused(tool_library: Path) -> None:
    done = steelyard("-w", str(tool_library), "ingest", "--poll", "3")
    assert done.returncode == 2
    assert "--watch" in done.stderr
