from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from corpus_bench import git

from steelyard.corpus.past_sources import snapshot
from steelyard.corpus.scanning import scan
from steelyard.corpus.sources import SourceRule
from steelyard.schema.errors import ConfigError, NotFoundError
from steelyard.schema.scope import Access

DOCS = [SourceRule(path="docs", allow=("everyone",))]


def write(root: Path, name: str, text: str = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def listed(root: Path, rules=DOCS) -> list[str]:
    return [file.document for file in scan(rules, root).files]


def test_files_come_in_document_order_with_hash_and_rule(tmp_path):
    for name in ("docs/b.md", "docs/a/z.txt", "docs/a.md", "docs/B.rst"):
        write(tmp_path, name, name)
    files = scan(DOCS, tmp_path).files
    assert [file.document for file in files] == ["docs/B.rst", "docs/a.md", "docs/a/z.txt", "docs/b.md"]
    assert files[0].version == hashlib.sha256(b"docs/B.rst").hexdigest()
    assert {file.access for file in files} == {Access(allow=("everyone",))}
    assert (files[0].format, files[0].size, files[0].source) == ("rst", 10, "docs")


def test_hidden_files_and_other_formats_are_passed_over(tmp_path):
    for name in ("docs/.git/a.md", "docs/.hidden.md", "docs/.x/b.md", "docs/c.png", "docs/d", "docs/e.md"):
        write(tmp_path, name)
    assert listed(tmp_path) == ["docs/e.md"]


def test_links_do_not_leave_their_source(tmp_path):
    write(tmp_path, "secret/s.md")
    write(tmp_path, "docs/real.md")
    write(tmp_path, "docs/.drafts/d.md")
    write(tmp_path, "docs/sub/x.md")
    (tmp_path / "docs/out.md").symlink_to(tmp_path / "secret/s.md")
    (tmp_path / "docs/outdir").symlink_to(tmp_path / "secret")
    (tmp_path / "docs/hidden.md").symlink_to(tmp_path / "docs/.drafts/d.md")
    (tmp_path / "docs/broken.md").symlink_to(tmp_path / "docs/none.md")
    (tmp_path / "docs/loop").symlink_to(tmp_path / "docs")
    (tmp_path / "docs/in.md").symlink_to("real.md")
    assert listed(tmp_path) == ["docs/in.md", "docs/real.md", "docs/sub/x.md"]


def test_a_link_does_not_carry_a_document_into_a_wider_rule(tmp_path):
    write(tmp_path, "docs/staff/s.md")
    (tmp_path / "docs/open.md").symlink_to("staff/s.md")
    rules = [*DOCS, SourceRule(path="docs/staff", allow=("staff",))]
    assert [(f.document, f.access.allow) for f in scan(rules, tmp_path).files] == [("docs/staff/s.md", ("staff",))]


def test_special_files_are_passed_over(tmp_path):
    write(tmp_path, "docs/a.md")
    os.mkfifo(tmp_path / "docs/pipe.md")
    assert listed(tmp_path) == ["docs/a.md"]


def test_nested_sources_belong_to_the_innermost_rule_whatever_the_order(tmp_path):
    write(tmp_path, "docs/a.md")
    write(tmp_path, "docs/staff/b.md")
    inner = SourceRule(path="docs/staff", allow=("staff",))
    for rules in ([*DOCS, inner], [inner, *DOCS]):
        found = {file.document: file.access.allow for file in scan(rules, tmp_path).files}
        assert found == {"docs/a.md": ("everyone",), "docs/staff/b.md": ("staff",)}


def test_no_rule_means_nobody(tmp_path):
    write(tmp_path, "docs/a.md")
    for rule in (SourceRule(path="docs"), SourceRule(path="docs", allow=None)):
        assert scan([rule], tmp_path).files[0].access == Access(allow=(), deny=())


def test_wrong_sources_are_named(tmp_path):
    (tmp_path / "docs").mkdir()
    with pytest.raises(ConfigError, match="'nowhere' does not exist"):
        scan([SourceRule(path="nowhere")], tmp_path)
    with pytest.raises(ConfigError, match="same folder"):
        scan([SourceRule(path="docs"), SourceRule(path="./docs/")], tmp_path)


def test_a_source_may_be_the_workspace_one_file_or_a_folder_beside_it(tmp_path):
    root = tmp_path / "space"
    write(root, "docs/a.md")
    write(root, "one.txt")
    write(tmp_path, "beside/c.md")
    assert listed(root, [SourceRule(path=".")]) == ["docs/a.md", "one.txt"]
    assert listed(root, [SourceRule(path="one.txt")]) == ["one.txt"]
    assert listed(root, [SourceRule(path="../beside")]) == ["../beside/c.md"]
    assert listed(root, [SourceRule(path=str(root / "docs"))]) == ["docs/a.md"]


def test_names_that_are_not_utf8_are_reported(tmp_path):
    write(tmp_path, "docs/a.md")
    with open(os.fsencode(tmp_path) + b"/docs/b\xff.md", "w"):
        pass
    listing = scan(DOCS, tmp_path)
    assert [file.document for file in listing.files] == ["docs/a.md"]
    assert listing.failed == (("docs/b?.md", "the file name is not valid UTF-8"),)


def test_large_files_are_reported_and_not_read(tmp_path):
    write(tmp_path, "docs/a.md", "x" * 2000)
    listing = scan(DOCS, tmp_path, max_bytes=1000)
    assert listing.files == ()
    assert listing.failed[0][0] == "docs/a.md"
    assert "too large" in listing.failed[0][1]


def test_the_date_is_the_modification_time_outside_git_and_stays_with_known_bytes(tmp_path):
    path = write(tmp_path, "docs/a.md")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    [file] = scan(DOCS, tmp_path).files
    assert file.valid_from == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    path.touch()
    known = {"docs/a.md": (file.version, file.valid_from)}
    assert scan(DOCS, tmp_path, known=known).files == (file,)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    write(tmp_path, "space/docs/a.md", "one")
    write(tmp_path, "space/docs/sub/ü b.md", "bee")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "1", date="2024-01-02T00:00:00Z")
    write(tmp_path, "space/docs/a.md", "two")
    git(tmp_path, "commit", "-qam", "2", date="2024-02-02T00:00:00Z")
    return tmp_path


def test_the_date_is_the_commit_that_brought_these_bytes(repository):
    write(repository, "space/docs/new.md")
    write(repository, "space/docs/sub/ü b.md", "edited")
    dates = {
        file.document: file.valid_from.year * 100 + file.valid_from.month
        for file in scan(DOCS, repository / "space").files
    }
    today = datetime.now(UTC)
    assert dates["docs/a.md"] == 202402
    assert dates["docs/new.md"] == dates["docs/sub/ü b.md"] == today.year * 100 + today.month


def test_work_on_a_branch_counts_from_its_merge(repository):
    git(repository, "checkout", "-qb", "side")
    write(repository, "space/docs/side.md", "side")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "s", date="2024-03-01T00:00:00Z")
    git(repository, "checkout", "-q", "-")
    git(repository, "merge", "-q", "--no-ff", "-m", "m", "side", date="2024-05-01T00:00:00Z")
    found = {file.document: file.valid_from for file in scan(DOCS, repository / "space").files}
    assert found["docs/side.md"] == datetime(2024, 5, 1, tzinfo=UTC)
    april = snapshot(DOCS, repository / "space", datetime(2024, 4, 1, tzinfo=UTC))
    assert "docs/side.md" not in {file.document for file in april.files}


def test_a_snapshot_gives_the_same_records_as_a_scan(repository):
    now = scan(DOCS, repository / "space")
    then = snapshot(DOCS, repository / "space", datetime.now(UTC))
    assert [replace(file, path=None) for file in now.files] == [replace(file, blob=None) for file in then.files]
    assert [content for _, content in now.contents(now.files)] == [content for _, content in then.contents(then.files)]


def test_a_snapshot_shows_the_folder_as_it_was(repository):
    january = snapshot(DOCS, repository / "space", datetime(2024, 1, 15, tzinfo=UTC))
    assert [(file.document, content) for file, content in january.contents(january.files)] == [
        ("docs/a.md", b"one"),
        ("docs/sub/ü b.md", b"bee"),
    ]
    assert {file.valid_from for file in january.files} == {datetime(2024, 1, 2, tzinfo=UTC)}
    assert snapshot(DOCS, repository / "space", datetime(2023, 1, 1, tzinfo=UTC)).files == ()


def test_a_snapshot_of_a_folder_that_is_gone_and_of_one_without_history(repository, tmp_path_factory):
    git(repository, "rm", "-rq", "space")
    git(repository, "commit", "-qm", "gone", date="2024-06-01T00:00:00Z")
    (repository / "space").mkdir(exist_ok=True)
    assert len(snapshot(DOCS, repository / "space", datetime(2024, 3, 1, tzinfo=UTC)).files) == 2
    elsewhere = tmp_path_factory.mktemp("plain")
    write(elsewhere, "docs/a.md")
    with pytest.raises(NotFoundError, match="no history"):
        snapshot(DOCS, elsewhere, datetime(2024, 3, 1, tzinfo=UTC))


def test_a_snapshot_keeps_nested_rules_hidden_files_and_links_apart(repository):
    write(repository, "space/docs/staff/s.md", "s")
    write(repository, "space/docs/.x.md", "h")
    (repository / "space/docs/l.md").symlink_to("a.md")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "3", date="2024-03-02T00:00:00Z")
    rules = [*DOCS, SourceRule(path="docs/staff", allow=("staff",))]
    found = snapshot(rules, repository / "space", datetime.now(UTC))
    assert [(file.document, file.access.allow[0]) for file in found.files] == [
        ("docs/a.md", "everyone"),
        ("docs/staff/s.md", "staff"),
        ("docs/sub/ü b.md", "everyone"),
    ]


def test_a_file_edited_after_the_listing_comes_with_its_own_version(tmp_path):
    path = write(tmp_path, "docs/a.md", "one")
    listing = scan(DOCS, tmp_path)
    path.write_text("two")
    [(file, content)] = listing.contents(listing.files)
    assert (content, file.version) == (b"two", hashlib.sha256(b"two").hexdigest())
    path.unlink()
    [(_, error)] = listing.contents(listing.files)
    assert isinstance(error, OSError)
