"""kill -9 at many points of an ingest: afterwards the old or the new generation answers, and the next ingest completes the work."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from corpus_bench import Bench

SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from corpus_bench import Bench

bench, point, after = Bench(Path(sys.argv[2])), sys.argv[3], int(sys.argv[4])

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def killing(method, before):
    def call(*arguments, **named):
        if before:
            die()
        method(*arguments, **named)
        die()
    return call

progress = lambda seen: None
if point in ("parse", "embed"):
    progress = lambda seen: seen.stage == point and die()
elif point == "staging":
    bench.index.stage = killing(bench.index.stage, before=True)
elif point == "staged":
    bench.index.stage = killing(bench.index.stage, before=False)
elif point == "statement":
    # Dies at the n-th SQL statement that the library runs: also inside its transactions.
    count = iter(range(10**9))
    bench.library.database.connection.set_trace_callback(lambda statement: next(count) == after and die())
bench.ingest(progress=progress)
"""


def prepare(root: Path) -> None:
    """A library with generation 1, and sources that have moved on: one added, changed, deleted, renamed and narrowed document each."""
    bench = Bench(root)
    for name in ("stays", "changes", "goes", "renames", "narrows"):
        bench.write(f"{name}.md", f"# {name}\n\nThe page that {name}.")
    bench.ingest()
    bench.write("new.md", "A new page.")
    bench.write("changes.md", "# changes\n\nChanged.")
    (bench.docs / "goes.md").unlink()
    (bench.docs / "renames.md").rename(bench.docs / "renamed.md")
    bench.write("narrows.md", "---\nallow: [staff]\n---\n# narrows\n\nThe page that narrows.")
    bench.close()


OLD = ["docs/changes.md", "docs/goes.md", "docs/narrows.md", "docs/renames.md", "docs/stays.md"]
NEW = ["docs/changes.md", "docs/narrows.md", "docs/new.md", "docs/renamed.md", "docs/stays.md"]


def killed_at(root: Path, point: str, after: int = 0) -> bool:
    """Runs the ingest in a process that kills itself; False when it came to the end first."""
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, here, str(root), point, str(after)], capture_output=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def check(root: Path) -> None:
    bench = Bench(root)
    try:
        number = bench.library.in_force()
        held = [version.document for version in bench.library.versions(number)]
        assert (number, held) in ((1, OLD), (2, NEW))
        # What answers is whole in the index too, whatever is staged beside it.
        assert [name for name, _ in bench.index.held(number)] == sorted(p.id for p in bench.library.passages(number))
        report = bench.ingest()
        assert (report.generation, report.failed) == (2, ())
        assert [version.document for version in bench.library.versions(2)] == NEW
        assert bench.library.access_now("docs/narrows.md").allow == ("staff",)
        bench.check()
        assert bench.ingest().generation == 2
    finally:
        bench.close()


@pytest.mark.parametrize("point", ["parse", "embed", "staging", "staged"])
def test_killed_at_a_step_leaves_old_or_new(tmp_path, point):
    prepare(tmp_path)
    assert killed_at(tmp_path, point)
    check(tmp_path)


@pytest.mark.slow
def test_killed_at_any_statement_leaves_old_or_new(tmp_path):
    after, killed = 0, True
    while killed:
        root = tmp_path / str(after)
        root.mkdir()
        prepare(root)
        killed = killed_at(root, "statement", after)
        check(root)
        after += 3
    assert after > 60  # statements of one ingest, every third of them a crash
