"""A look at the documents that were heard of comes to the same as a look at all of them, and opens no other."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime

import pytest

from steelyard.corpus import scanning
from steelyard.corpus.freshness import Freshness
from steelyard.corpus.kept import MOST_ALONE, Burst, Kept
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.seen_files import read_whole
from steelyard.corpus.sources import SourceRule
from steelyard.schema.errors import ConfigError

HISTORIES = 12
STEPS = 12
CHANGES = ("add", "edit", "move", "delete", "close", "break", "link", "swap_link")


@pytest.fixture
def kept(bench):
    made = Kept(bench.library.path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def parsers():
    with ParsePool(Limits(), workers=1) as pool:
        yield pool


@pytest.fixture
def opened(monkeypatch):
    """The files that looks open."""
    names = []

    def counting(path, max_bytes):
        names.append(os.path.basename(path))
        return read_whole(path, max_bytes)

    monkeypatch.setattr(scanning, "read_whole", counting)
    return names


def touched(*paths) -> Burst:
    return Burst(paths=frozenset(map(str, paths)), until=datetime.now(UTC))


def answers(bench) -> list[tuple[str, str, str]]:
    """What the corpus answers from: each document with its text and who may see it."""
    found = bench.library.versions(bench.library.in_force())
    return [(one.document, one.text, str(one.access)) for one in found]


def test_only_what_was_heard_of_is_opened(bench, kept, opened):
    for name in "abc":
        bench.write(f"{name}.md", f"Text {name}.")
    bench.ingest(kept=kept)
    opened.clear()
    path = bench.write("b.md", "Another text.")
    done = bench.ingest(kept=kept, burst=touched(path))
    assert (done.updated, done.unchanged, done.parsed, done.generation) == (1, 2, 1, 2)
    assert opened == ["b.md"]
    assert bench.library.newest().documents == 3
    bench.check()


def test_adding_renaming_and_deleting_are_counted_as_by_a_look_at_all(bench, kept):
    one, two = bench.write("one.md", "One."), bench.write("two.md", "Two.")
    bench.ingest(kept=kept)
    added = bench.ingest(kept=kept, burst=touched(bench.write("new.md", "New.")))
    assert (added.added, added.unchanged, added.deleted) == (1, 2, 0)
    one.rename(bench.docs / "moved.md")
    renamed = bench.ingest(kept=kept, burst=touched(one, bench.docs / "moved.md"))
    assert (renamed.renamed, renamed.added, renamed.deleted, renamed.unchanged) == (1, 1, 1, 2)
    two.unlink()
    deleted = bench.ingest(kept=kept, burst=touched(two))
    assert (deleted.deleted, deleted.unchanged, bench.library.newest().documents) == (1, 2, 2)
    assert bench.ingest(kept=kept).generation == deleted.generation  # a look at all finds nothing more
    bench.check()


def test_a_rule_in_a_file_that_was_not_heard_of_reaches_every_document(bench, kept):
    path = bench.write("a.md", "A.")
    bench.write("b.md", "B.")
    bench.ingest(kept=kept)
    bench.write("access.toml", '[[rules]]\nmatch = "*.md"\nallow = ["staff"]\n')
    done = bench.ingest(kept=kept, burst=touched(path))
    assert done.access_changed == 2
    bench.rules = [SourceRule(path="docs", allow=("everyone",), deny=("interns",))]
    assert bench.ingest(kept=kept, burst=touched(path)).access_changed == 2
    bench.check()


def test_what_failed_elsewhere_stays_named(bench, kept):
    bad = bench.write("bad.pdf", b"no pdf")
    good = bench.write("good.md", "Good.")
    assert [name for name, _ in bench.ingest(kept=kept).failed] == ["docs/bad.pdf"]
    bench.write("good.md", "Better.")
    assert [name for name, _ in bench.ingest(kept=kept, burst=touched(good)).failed] == ["docs/bad.pdf"]
    bad.unlink()
    assert bench.ingest(kept=kept, burst=touched(bad)).failed == ()


def test_a_link_follows_its_file_though_only_the_file_was_heard_of(bench, kept):
    file = bench.write("file.md", "Before.")
    (bench.docs / "link.md").symlink_to("file.md")
    os.link(bench.write("first.md", "One."), bench.docs / "second.md")
    bench.ingest(kept=kept)
    file.write_text("After.")
    (bench.docs / "first.md").write_text("Two.")
    bench.ingest(kept=kept, burst=touched(file, bench.docs / "first.md"))
    assert {document: text for document, text, _ in answers(bench)} == {
        "docs/file.md": "After.",
        "docs/link.md": "After.",
        "docs/first.md": "Two.",
        "docs/second.md": "Two.",
    }


def test_a_source_that_went_deletes_nothing(bench, kept):
    path = bench.write("a.md", "A.")
    bench.ingest(kept=kept)
    bench.docs.rename(bench.root / "away")
    with pytest.raises(ConfigError, match="does not exist"):
        bench.ingest(kept=kept, burst=touched(path))
    assert len(answers(bench)) == 1


def test_a_document_belongs_to_the_innermost_source(bench, kept):
    bench.rules = [*bench.rules, SourceRule(path="docs/inner", allow=("staff",))]
    bench.write("outer.md", "Outer.")
    path = bench.write("inner/a.md", "Inner.")
    bench.ingest(kept=kept)
    path.write_text("Changed.")
    bench.ingest(kept=kept, burst=touched(path))
    [own] = [one for one in bench.library.versions(2) if one.document == "docs/inner/a.md"]
    assert (own.source, own.text, own.access.allow) == ("docs/inner", "Changed.", ("staff",))
    assert bench.ingest(kept=kept).generation == 2


def test_paths_of_no_source_and_large_bursts_are_left_to_a_look_at_all(bench, kept):
    bench.write("a.md", "A.")
    bench.ingest(kept=kept)
    bench.write("b.md", "B.")
    assert bench.ingest(kept=kept, burst=touched("/elsewhere/x.md")).added == 1
    bench.write("c.md", "C.")
    assert bench.ingest(kept=kept, burst=touched(*map(str, range(MOST_ALONE + 1)))).added == 1


def test_another_encoder_or_splitting_is_a_look_at_all(bench, kept):
    path = bench.write("a.md", "A.")
    bench.write("b.md", "B.")
    bench.ingest(kept=kept)
    bench.encoder.name = "another"
    path.write_text("Changed.")
    assert bench.ingest(kept=kept, burst=touched(path)).embedded == 2
    bench.check()


def test_removed_caches_are_made_again(bench, kept):
    path = bench.write("a.md", "A.")
    bench.ingest(kept=kept)
    for name in ("sources.sqlite", "vectors.sqlite"):
        for file in bench.library.path.parent.glob(f"{name}*"):
            file.unlink()
    path.write_text("B.")
    assert bench.ingest(kept=kept, burst=touched(path)).updated == 1
    assert (bench.library.path.parent / "vectors.sqlite").stat().st_size > 0
    assert bench.ingest(kept=kept).unchanged == 1
    assert Freshness(kept.sources).sources()[0].documents == 1


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_any_history_heard_of_bit_by_bit_is_that_of_looks_at_all(bench, kept, parsers, seed):
    draw = random.Random(seed)
    bench.rules = [*bench.rules, SourceRule(path="docs/inner", allow=("staff",))]
    bench.write("inner/z.md", "Z.")
    bench.ingest(kept=kept, parsers=parsers)
    for step in range(STEPS):
        paths = {path for _ in range(draw.randint(1, 3)) for path in changed(bench, draw, step)}
        bench.ingest(kept=kept, parsers=parsers, burst=touched(*paths))
        generation, state = bench.library.newest().number, answers(bench)
        again = bench.ingest(parsers=parsers)
        assert (again.generation, again.added, again.updated, again.deleted, again.access_changed) == (
            generation,
            *(0, 0, 0, 0),
        )
        assert again.unchanged == bench.library.newest().documents == len(state)
        assert answers(bench) == state
    bench.check()


def changed(bench, draw, step):
    """Make one change; the paths that a follower hears of."""
    names = sorted(path.relative_to(bench.docs).as_posix() for path in bench.docs.rglob("*.md"))
    name = draw.choice(names)
    path, kind = bench.docs / name, draw.choice(CHANGES)
    new = bench.docs / draw.choice(["", "inner"]) / f"{step}-{draw.randint(0, 9)}.md"
    text = f"Text {draw.randint(0, 5)}."
    if kind == "add":
        new.write_text(text)
        return [new, new.resolve()]
    if kind == "edit":
        if not path.is_symlink() or path.exists():
            path.write_text(text)
        return [path.resolve()]
    if kind == "move":
        path.rename(new)
        return [path, new]
    if kind == "delete":
        path.unlink()
        bench.write("inner/z.md", text)
        return [path, bench.docs / "inner" / "z.md", (bench.docs / "inner" / "z.md").resolve()]
    if kind == "close":
        if not path.is_symlink() or path.exists():
            path.write_text(f"---\nallow: [{draw.choice(['staff', 'ada'])}]\n---\n{text}")
        return [path.resolve()]
    if kind == "break":
        if not path.is_symlink() or path.exists():
            path.write_bytes(b"\x00\x01" * 50)
        return [path.resolve()]
    if not new.exists() and not new.is_symlink():
        new.symlink_to(path.name if path.parent == new.parent else path)
    return [new]
