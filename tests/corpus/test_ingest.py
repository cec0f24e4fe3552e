from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from corpus_bench import git

from steelyard.corpus.ingest import IngestSettings
from steelyard.corpus.parsing.limits import Limits
from steelyard.corpus.passages import SplitSettings
from steelyard.corpus.sources import SourceRule
from steelyard.corpus.staging import Staging
from steelyard.schema.corpus import Citation
from steelyard.schema.errors import ConfigError, NotFoundError, UserError
from steelyard.schema.scope import Access


def names(bench, generation: int | None = None) -> list[str]:
    return [version.document for version in bench.library.versions(generation or bench.library.in_force())]


def test_first_ingest_makes_generation_1_and_lets_it_answer(bench):
    bench.write("a.md", "# Prices\n\nThe plan costs 12 dollars.")
    bench.write("b.txt", "Opening hours are nine to five.")
    report = bench.ingest()
    assert (report.generation, report.added, report.unchanged, report.passages, report.parsed) == (1, 2, 0, 2, 2)
    assert bench.library.in_force() == 1
    assert names(bench) == ["docs/a.md", "docs/b.txt"]
    bench.check()


def test_unchanged_sources_are_not_parsed_or_embedded_and_make_no_generation(bench):
    bench.write("a.md", "# Prices\n\nThe plan costs 12 dollars.")
    bench.ingest()
    bench.encoder.encoded.clear()
    report = bench.ingest()
    assert (report.generation, report.added, report.updated, report.deleted, report.unchanged) == (1, 0, 0, 0, 1)
    assert (report.parsed, report.embedded, bench.encoder.encoded) == (0, 0, [])
    assert len(bench.library.generations()) == 1


def test_an_empty_folder_is_a_generation_of_nothing(bench):
    report = bench.ingest()
    assert (report.generation, report.passages) == (1, 0)
    assert names(bench) == []


def test_add_update_delete_are_counted_and_only_the_changed_is_staged(bench):
    for name in "abc":
        bench.write(f"{name}.md", f"Text of {name}.")
    bench.ingest()
    bench.write("a.md", "New text of a.")
    (bench.docs / "b.md").unlink()
    bench.write("d.md", "Text of d.")
    bench.encoder.encoded.clear()
    report = bench.ingest()
    assert (report.added, report.updated, report.deleted, report.unchanged) == (1, 1, 1, 1)
    assert report.embedded == 2
    assert bench.index.staged[-1] == (2, 2, 2)
    assert names(bench) == ["docs/a.md", "docs/c.md", "docs/d.md"]
    assert names(bench, 1) == ["docs/a.md", "docs/b.md", "docs/c.md"]
    bench.check()


def test_a_renamed_document_is_neither_parsed_nor_embedded_again(bench):
    path = bench.write("old.md", "# Refunds\n\nWithin 14 days.")
    bench.ingest()
    path.rename(bench.docs / "new.md")
    report = bench.ingest()
    assert (report.added, report.deleted, report.renamed, report.parsed, report.embedded) == (1, 1, 1, 0, 0)
    assert names(bench) == ["docs/new.md"]
    bench.check()


def test_two_identical_documents_are_two_and_deleting_one_leaves_the_other(bench):
    bench.write("a.md", "The same words.")
    bench.write("b.md", "The same words.")
    report = bench.ingest()
    assert (report.added, report.parsed) == (2, 1)
    assert names(bench) == ["docs/a.md", "docs/b.md"]
    (bench.docs / "a.md").unlink()
    bench.ingest()
    assert names(bench) == ["docs/b.md"]
    assert [p.text for p in bench.library.passages(2)] == ["The same words."]
    bench.check()


def test_a_changed_source_rule_reaches_every_document_without_parsing(bench):
    bench.write("a.md", "For all.")
    bench.write("g.md", "---\nallow: [guild]\n---\nFor the guild.")
    bench.ingest()
    bench.rules = [SourceRule(path="docs", allow=("staff",), deny=("interns",))]
    report = bench.ingest()
    assert (report.updated, report.access_changed, report.parsed, report.embedded) == (2, 2, 0, 0)
    assert bench.library.access_now("docs/a.md") == Access(allow=("staff",), deny=("interns",))
    assert bench.library.access_now("docs/g.md") == Access(allow=("guild",), deny=("interns",))
    bench.check()


def test_a_changed_front_matter_rule_is_an_update(bench):
    bench.write("g.md", "---\nallow: [guild]\n---\nText.")
    bench.ingest()
    bench.write("g.md", "---\nallow: []\n---\nText.")
    assert bench.ingest().updated == 1
    assert bench.library.access_now("docs/g.md") == Access()


def test_no_access_rule_means_nobody(bench):
    bench.rules = [SourceRule(path="docs", allow=None)]
    bench.write("a.md", "Text.")
    bench.ingest()
    assert bench.library.access_now("docs/a.md") == Access(allow=())
    assert bench.library.access_now("docs/absent.md") == Access(allow=())


def test_a_failed_update_keeps_the_last_good_version_and_is_reported(bench):
    bench.write("a.pdf", b"not a pdf at all")
    bench.write("b.md", "Good.")
    bench.write("c.md", "Good too.")
    report = bench.ingest()
    assert [path for path, _ in report.failed] == ["docs/a.pdf"]
    bench.write("b.md", b"\x00\x01 no text")
    report = bench.ingest()
    assert [path for path, _ in report.failed] == ["docs/a.pdf", "docs/b.md"]
    assert report.unchanged == 2
    assert [p.text for p in bench.library.passages(report.generation)] == ["Good.", "Good too."]
    assert bench.library.failing() == report.failed
    again = bench.ingest()
    assert (again.failed, again.parsed) == (report.failed, 0)


def test_a_narrowed_source_rule_holds_for_a_document_that_fails(bench):
    bench.write("b.md", "Good.")
    bench.ingest()
    bench.write("b.md", b"\x00")
    bench.rules = [SourceRule(path="docs", allow=("staff",))]
    bench.ingest()
    assert bench.library.access_now("docs/b.md").allow == ("staff",)


def test_a_file_over_the_limit_keeps_its_last_version(bench):
    bench.settings = IngestSettings(workers=1, limits=Limits(file_bytes=100))
    bench.write("a.txt", "short")
    bench.ingest()
    bench.write("a.txt", "long " * 100)
    report = bench.ingest()
    assert "too large" in report.failed[0][1]
    assert (report.deleted, report.unchanged, report.generation) == (0, 1, 1)
    bench.settings = IngestSettings(workers=1)
    assert bench.ingest().updated == 1


def test_another_encoder_or_splitting_makes_the_whole_index_anew(bench):
    bench.write("a.md", "# A\n\n" + " ".join(f"Sentence number {n} has some length." for n in range(40)))
    bench.write("b.md", "Short.")
    bench.ingest()
    bench.encoder = type(bench.encoder)(name="other")
    report = bench.ingest()
    assert (report.generation, report.unchanged, report.embedded) == (2, 2, report.passages)
    assert report.remade
    bench.check()
    assert not bench.ingest().remade
    bench.settings = replace(bench.settings, splitting=SplitSettings(size=300))
    report = bench.ingest()
    assert (report.generation, report.parsed) == (3, 0)
    assert report.passages > bench.library.generation(2).passages
    bench.check()


def test_rollback_moves_the_pointer_and_the_next_change_builds_on_the_newest(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    bench.write("a.md", "Two.")
    bench.ingest()
    bench.library.switch(1)
    assert [p.text for p in bench.library.passages(bench.library.in_force())] == ["One."]
    assert bench.ingest().generation == 1  # nothing changed: the rollback holds
    bench.write("a.md", "Three.")
    assert bench.ingest().generation == 3
    assert [p.text for p in bench.library.passages(3)] == ["Three."]
    bench.check()
    with pytest.raises(NotFoundError, match="generations 1 to 3"):
        bench.library.switch(9)


def test_citations_resolve_in_the_stored_version_also_after_an_update(bench):
    bench.write("a.md", "# Refunds\n\nWithin 14 days. **Always.**")
    bench.ingest()
    [passage] = bench.library.passages(1)
    citation = Citation(
        document=passage.document,
        version=passage.version,
        start=passage.start,
        end=passage.end,
        quote=passage.text,
        heading=(),
        page=None,
    )
    assert passage.text == "Within 14 days. Always."
    bench.write("a.md", "Gone.")
    bench.ingest()
    assert bench.library.resolve(citation).title == "Refunds"
    assert bench.library.resolve(replace(citation, quote="Within 15 days. Always.")) is None
    assert bench.library.resolve(replace(citation, version="0" * 64)) is None
    assert bench.library.resolve(replace(citation, end=10_000)) is None


def test_history_lists_every_state_with_its_time(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    bench.write("a.md", "Two.")
    bench.ingest()
    (bench.docs / "a.md").unlink()
    bench.ingest()
    one, two = bench.library.history("docs/a.md")
    assert (one.text, two.text) == ("One.", "Two.")
    assert one.valid_to is not None
    assert two.valid_to is not None
    assert one.valid_to <= two.valid_to
    assert bench.library.version("docs/a.md", one.version).text == "One."
    with pytest.raises(NotFoundError):
        bench.library.version("docs/a.md", "0" * 64)


def test_a_second_ingest_at_the_same_time_is_refused(bench):
    with Staging(bench.library).lock(), pytest.raises(UserError, match="another ingest"):
        bench.ingest()
    assert bench.ingest().generation == 1


def test_a_missing_source_stops_before_anything_is_deleted(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    (bench.docs / "a.md").rename(bench.root / "a.md")
    bench.docs.rmdir()
    with pytest.raises(ConfigError, match="does not exist"):
        bench.ingest()
    assert names(bench) == ["docs/a.md"]


def test_an_interrupted_staging_is_discarded_first(bench):
    bench.write("a.md", "One.")
    bench.ingest()
    bench.write("a.md", "Two.")

    def broken(generation, add, retire):
        stage(generation, add, retire)
        raise OSError("disk full")

    stage, bench.index.stage = bench.index.stage, broken
    with pytest.raises(OSError, match="disk full"):
        bench.ingest()
    assert bench.library.in_force() == 1
    bench.index.stage = stage
    bench.encoder.encoded.clear()
    report = bench.ingest()
    assert (report.generation, report.parsed, bench.encoder.encoded) == (2, 0, [])  # what was done is not done again
    bench.check()


def test_progress_tells_done_total_and_rate(bench):
    for number in range(3):
        bench.write(f"{number}.md", f"Text {number}.")
    seen = []
    bench.ingest(progress=seen.append)
    assert [(p.stage, p.done, p.total) for p in seen] == [("parse", 3, 3), ("embed", 3, 3)]
    assert all(p.rate > 0 for p in seen)
    assert replace(seen[0], done=1, rate=0.5).eta_s == 4.0  # 2 left / 0.5 a second


def test_readers_in_other_threads_see_old_or_new(bench):
    bench.write("a.md", "0")
    bench.ingest()
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            number = bench.library.in_force()
            texts = [p.text for p in bench.library.passages(number)]
            if texts != [str(number - 1)]:
                wrong.append((number, texts))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 4):
        bench.write("a.md", str(number))
        bench.ingest()
    stop.set()
    reader.join()
    assert wrong == []


def test_replay_gives_the_generations_that_git_history_tells(bench):
    git(bench.root, "init", "-q")
    history = [
        ("2024-01-10", {"a.md": "Price 10.", "b.md": "Hours 9."}),
        ("2024-02-10", {"a.md": "Price 12."}),
        ("2024-03-10", {"c.md": "New page."}),
    ]
    for day, files in history:
        for name, text in files.items():
            bench.write(name, text)
        git(bench.root, "add", "docs")
        git(bench.root, "commit", "-qm", day, date=f"{day}T12:00:00Z")
    git(bench.root, "rm", "-q", "docs/b.md")
    git(bench.root, "commit", "-qm", "gone", date="2024-04-10T12:00:00Z")
    for month in (1, 2, 3, 4, 5):
        bench.ingest(at=datetime(2024, month, 1, tzinfo=UTC))
    assert bench.library.in_force() == 5
    texts = [[p.text for p in bench.library.passages(number)] for number in range(1, 6)]
    assert texts == [
        [],
        ["Price 10.", "Hours 9."],
        ["Price 12.", "Hours 9."],
        ["Price 12.", "Hours 9.", "New page."],
        ["Price 12.", "New page."],
    ]
    assert bench.library.generation_at(datetime(2024, 3, 20, tzinfo=UTC)).number == 3
    assert [v.valid_from.date().isoformat() for v in bench.library.history("docs/a.md")] == ["2024-01-10", "2024-02-10"]
    assert bench.library.history("docs/a.md")[0].valid_to == datetime(2024, 2, 10, 12, tzinfo=UTC)
    with pytest.raises(NotFoundError, match="begins on 2024-01-01"):
        bench.library.generation_at(datetime(2023, 1, 1, tzinfo=UTC))
    with pytest.raises(UserError, match="cannot go back"):
        bench.ingest(at=datetime(2024, 2, 1, tzinfo=UTC))
    report = bench.ingest()  # the working tree is what the last step held
    assert (report.generation, report.unchanged, report.parsed) == (5, 2, 0)
    bench.check()


def test_a_large_ingest_is_staged_in_parts_and_is_the_same_generation(bench, monkeypatch):
    from steelyard.corpus import filling

    monkeypatch.setattr(filling, "STAGE_PASSAGES", 3)
    monkeypatch.setattr(filling, "CUT_BATCH", 2)
    for number in range(8):
        bench.write(f"{number}.md", f"# Page {number}\n\nText of page {number}.\n")
    parts = []
    extend = bench.index.extend
    monkeypatch.setattr(bench.index, "extend", lambda *call: (parts.append(len(call[1].passages)), extend(*call)))
    told = []
    report = bench.ingest(progress=told.append)
    assert parts == [3, 2]
    assert (report.passages, report.embedded) == (8, 8)
    assert [(one.done, one.total) for one in told if one.stage == "embed"] == [(3, 8), (6, 8), (8, 8)]
    bench.check()
