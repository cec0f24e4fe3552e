"""kill -9 at 500 random moments of ingest, update, compaction, rollback and erasure, on the real library and index.

Afterwards a fresh process finds every document once and whole, in the old state or the new one, and the next command completes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

KILLS = {"first": 60, "update": 180, "compact": 100, "rollback": 60, "erase": 100}
PART = 20
"""Kills in one test, so that several processes share the work."""

PARTS = [(kind, part) for kind, count in KILLS.items() for part in range(count // PART)]


def test_there_are_500_kills():
    assert sum(KILLS.values()) >= 500
    assert len(PARTS) * PART == sum(KILLS.values())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_killed_at_any_moment_nothing_is_lost_doubled_or_half_there(tmp_path, kind, part):
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path, prefix="kill-") as folder:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "kill_nursery.py", kind, str(part), str(PART), folder],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["failures"], found["kills"]) == ([], PART), f"{found}\n{done.stderr}"
