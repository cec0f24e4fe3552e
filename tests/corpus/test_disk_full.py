"""A full disk: said so with a code, what answered before still answers, and the next command completes.

The limit on the size of a file (RLIMIT_FSIZE) stands in for the disk: a write beyond it fails as one without room does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMITS = (1, 2_000, 5_000, 9_000, 20_000, 40_000, 80_000)
"""Bytes a file may have: with 1 nothing at all can be written, the others stop the work at different files."""

SCRIPT = """
import json, resource, shutil, signal, sys
from pathlib import Path
from kill_nursery import NEXT, SEVERAL, child, do_compact, do_ingest, ended, held, listed, names, opened, template, whole
from steelyard.schema.errors import SteelyardError

folder, work = Path(sys.argv[1]), sys.argv[2]
last = NEXT if work == "ingest" else SEVERAL[2]

def limited(root, limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    bench = opened(root)
    bench.index.count(3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    said = None
    try:
        (do_compact if work == "compact" else do_ingest)(bench)
    except SteelyardError as error:
        said = [error.code, error.remedy]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (root / "said.json").write_text(json.dumps(said))

def check(root):
    bench = opened(root)
    number = bench.library.in_force()
    assert names(bench, number) == listed(SEVERAL[2] if number == 3 else NEXT), number
    whole(bench)
    if work == "ingest":
        assert bench.ingest().generation == 4
        assert names(bench, 4) == listed(NEXT)
    else:
        do_compact(bench)
        assert held(bench) == [3]
    whole(bench)

assert ended(child(lambda: template(folder / "template", SEVERAL, last))) == 0
said = []
for limit in map(int, sys.argv[3:]):
    root = folder / str(limit)
    shutil.copytree(folder / "template", root)
    assert ended(child(lambda: limited(root, limit))) == 0, limit
    said.append(json.loads((root / "said.json").read_text()))
    assert ended(child(lambda: check(root))) == 0, limit
sys.stdout.write(json.dumps(said))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and a limit on file sizes")
@pytest.mark.parametrize("work", ["ingest", "compact"])
def test_a_full_disk_is_said_and_loses_nothing(tmp_path, work):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), work, *map(str, LIMITS)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [answer for answer in json.loads(done.stdout) if answer is not None]
    assert len(said) >= 3
    for code, remedy in said:
        assert code in ("corpus.disk_full", "stores.disk_full"), said
        assert "Make room" in remedy
