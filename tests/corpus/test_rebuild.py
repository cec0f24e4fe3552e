from __future__ import annotations

import random
import shutil

import pytest
from corpus_bench import Bench, FileIndex, HashEncoder

from steelyard.corpus.rebuild import rebuild


def test_a_lost_index_is_made_again_for_every_generation(bench):
    bench.write("a.md", "One.")
    bench.write("b.md", "---\nallow: [guild]\n---\nTwo.")
    bench.ingest()
    bench.write("a.md", "Three.")
    bench.ingest()
    bench.write("b.md", "---\nallow: [staff]\n---\nTwo.")
    bench.ingest()
    bench.index.close()
    bench.index = FileIndex(bench.root / "new.sqlite")
    bench.encoder.encoded.clear()
    assert rebuild(bench.library, bench.index, bench.encoder) == [1, 2, 3]
    assert bench.encoder.encoded == []
    bench.check()


def test_generations_of_another_encoder_are_left_out(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    bench.encoder = HashEncoder("other")
    bench.ingest()
    bench.index.close()
    bench.index = FileIndex(bench.root / "new.sqlite")
    assert rebuild(bench.library, bench.index, bench.encoder) == [2]
    assert bench.index.held(1) == []
    assert len(bench.index.held(2)) == 1


def test_an_empty_library_has_nothing_to_rebuild(bench):
    assert rebuild(bench.library, bench.index, bench.encoder) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_history_of_edits_equals_an_ingest_from_scratch(tmp_path, seed):
    draw = random.Random(seed)
    (tmp_path / "long").mkdir()
    long = Bench(tmp_path / "long")
    for step in range(12):
        for _ in range(draw.randint(0, 4)):
            name = f"{draw.randint(0, 6)}.{draw.choice(['md', 'txt'])}"
            path = long.docs / name
            match draw.choice(["write", "write", "copy", "delete", "break", "narrow", "rename"]):
                case "write":
                    long.write(name, f"# T\n\n{draw.randint(0, 3)} words. " * draw.randint(1, 60))
                case "narrow":
                    long.write(name, f"---\nallow: [g{draw.randint(0, 2)}]\n---\nNarrow.")
                case "break" if not path.exists():
                    long.write(name, b"\x00")
                case "delete":
                    path.unlink(missing_ok=True)
                case "copy" | "rename" as act if path.exists():
                    other = long.docs / f"{draw.randint(0, 6)}.{path.suffix[1:]}"
                    if other != path:
                        (shutil.copy if act == "copy" else shutil.move)(path, other)
                        # What was broken before would keep a last good version here, and cannot from scratch.
                        if other.read_bytes() == b"\x00":
                            other.unlink()
        if draw.random() < 0.2 and long.library.in_force() > 1:
            long.library.switch(draw.randint(1, long.library.in_force()))
        before = long.library.newest()
        report = long.ingest()
        root = tmp_path / f"scratch{step}"
        shutil.copytree(long.docs, root / "docs")
        scratch = Bench(root)
        expected = scratch.ingest()
        newest = long.library.newest()
        assert newest is not None
        assert [(p.id, p.access) for p in long.library.passages(newest.number)] == [
            (p.id, p.access) for p in scratch.library.passages(1)
        ]
        assert newest.passages == expected.passages
        changed = before is None or report.added + report.updated + report.deleted > 0
        assert newest.number == (before.number if before else 0) + changed
        long.check()
        scratch.close()
    long.close()
