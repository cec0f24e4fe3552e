"""What an ingest needs of memory hardly grows with the number of files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 400, 2400
MOST_MB = 30.0
"""Megabytes by which the peak of the second may be above that of the first; it is about 15. What grows is the list of files and of
passage ids; texts, vectors and words do not stay."""

PROGRAM = """
import json, sys, tempfile
from pathlib import Path
from steelyard.corpus import filling
from steelyard.corpus.ingest import IngestSettings, ingest
from steelyard.corpus.library import Library
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.own_ingest import PlantedEncoder, looking
from steelyard.stores.lance import LanceStore

count = int(sys.argv[1])
filling.STAGE_PASSAGES = 256  # the fewer files too are several parts
with tempfile.TemporaryDirectory() as folder, looking() as memory:
    root = Path(folder)
    (root / "docs").mkdir()
    for number in range(count):
        words = " ".join(f"w{(number * 37 + place * place) % 5000}" for place in range(120))
        (root / "docs" / f"{number}.txt").write_text(f"{number} {words}.")
    library, store = Library(root / "corpus.sqlite"), LanceStore(root / "index")
    done = ingest([SourceRule(path="docs", allow=("everyone",))], library, store, PlantedEncoder(), root=root,
                  settings=IngestSettings(workers=1))
    store.optimize()
    library.close()
print(json.dumps({"passages": done.passages, **memory}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says of a process's memory")
def test_six_times_as_many_files_take_hardly_more_memory():
    peaks = {}
    for count in (FEW, MANY):
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["passages"] == count
        peaks[count] = found["own_mb"]
    assert peaks[FEW] > 30  # something was measured
    assert peaks[MANY] - peaks[FEW] < MOST_MB, peaks
