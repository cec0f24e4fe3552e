"""Rules files and the group file: what they say, and every problem at once with its file and line."""

from __future__ import annotations

import pytest

from steelyard.corpus.sidecar import follow_files
from steelyard.corpus.sources import SourceRule
from steelyard.schema.errors import DataError
from steelyard.schema.scope import Access, Scope


def rule(bench, document="docs/hr/pay.md", allow=None, deny=None):
    found = follow_files(bench.rules, bench.root, bench.library.control).rule(document, "docs", allow, deny)
    assert found is not None
    return found.access


def test_the_more_specific_rule_wins_denies_add_and_the_document_speaks_last(bench) -> None:
    bench.rules = [SourceRule(path="docs", allow=("everyone",), deny=("robots",))]
    (bench.root / "access.toml").write_text(
        '[[rules]]\nmatch = "docs/hr/pay.md"\nallow = ["user:kim"]\n'
        '[[rules]]\nmatch = "docs/hr/**"\nallow = ["hr"]\ndeny = ["okta:contractors"]\n'
    )
    (bench.docs / "access.toml").write_text('[[rules]]\nmatch = "**"\nallow = ["staff"]\n')
    assert rule(bench) == Access(allow=("user:kim",), deny=("okta:contractors", "robots"))
    assert rule(bench, "docs/hr/leave.md") == Access(allow=("hr",), deny=("okta:contractors", "robots"))
    assert rule(bench, "docs/news.md") == Access(allow=("staff",), deny=("robots",))
    assert rule(bench, allow=["board"], deny=["user:eve"]) == Access(
        allow=("board",), deny=("okta:contractors", "robots", "user:eve")
    )
    assert rule(bench, allow=[]) == Access(allow=(), deny=("okta:contractors", "robots"))


def test_of_two_equally_specific_rules_the_later_wins(bench) -> None:
    (bench.docs / "access.toml").write_text(
        '[[rules]]\nmatch = "hr/*.md"\nallow = ["a"]\n[[rules]]\nmatch = "hr/*.md"\nallow = ["b"]\n'
    )
    assert rule(bench) == Access(allow=("b",))


def test_every_problem_is_named_with_file_and_line_and_nothing_changes(bench) -> None:
    bench.write("a.md", "Text.")
    bench.ingest()
    before = bench.library.control.epoch()
    (bench.root / "access.toml").write_text(
        '\n[[rules]]\nmtch = "a.md"\nallow = ["staff"]\n\n[[rules]]\nmatch = "../x"\n'
    )
    (bench.docs / "access.toml").write_text('[[rules]]\nmatch = "a.md"\nallow = "staff"\n[[rules]]\nmatch = "b.md"\n')
    (bench.root / "groups.toml").write_text('[groups]\nstaff = ["user:"]\neveryone = ["user:bo"]\nall = ["everyone"]\n')
    with pytest.raises(DataError) as caught:
        bench.ingest()
    found = [(one.file, one.row, one.code) for one in caught.value.findings]
    assert found == [
        ("access.toml", 2, "access.unknown_key"),
        ("access.toml", 2, "access.bad_match"),
        ("access.toml", 6, "access.bad_match"),
        ("access.toml", 6, "access.empty_rule"),
        ("docs/access.toml", 1, "access.bad_names"),
        ("docs/access.toml", 4, "access.empty_rule"),
        ("groups.toml", 2, "access.bad_name"),
        ("groups.toml", 3, "access.bad_group"),
        ("groups.toml", 4, "access.everyone_member"),
    ]
    assert bench.library.control.epoch() == before
    (bench.root / "access.toml").write_text("[[rules]\n")
    with pytest.raises(DataError) as caught:
        bench.ingest()
    assert next((one.file, one.row, one.code) for one in caught.value.findings) == ("access.toml", 1, "access.not_toml")


def test_a_rules_file_that_changes_is_an_access_change_without_parsing_or_a_generation(bench) -> None:
    bench.write("a.md", "Text.")
    bench.write("b.md", "Text of another.")
    bench.ingest()
    (bench.docs / "access.toml").write_text('[[rules]]\nmatch = "a.md"\nallow = ["staff"]\n')
    report = bench.ingest()
    assert (report.updated, report.access_changed, report.unchanged, report.parsed) == (1, 1, 1, 0)
    assert report.generation == 1
    assert bench.library.access_now("docs/a.md").allow == ("staff",)
    bench.check()
    (bench.docs / "access.toml").unlink()
    assert bench.ingest().access_changed == 1
    assert bench.library.access_now("docs/a.md").allow == ("everyone",)


def test_a_changed_rule_holds_for_a_withdrawn_document_too(bench) -> None:
    bench.write("a.md", "Text.")
    bench.write("b.md", "---\nallow: [guild]\n---\nText.")
    bench.ingest()
    for name in ("a.md", "b.md"):
        (bench.docs / name).unlink()
    bench.ingest()
    assert bench.library.access_now("docs/a.md").allow == ("everyone",)
    bench.rules = [SourceRule(path="docs", allow=("staff",), deny=("user:eve",))]
    bench.ingest()
    assert bench.library.access_now("docs/a.md") == Access(allow=("staff",), deny=("user:eve",))
    assert bench.library.access_now("docs/b.md") == Access(allow=("guild",), deny=("user:eve",))


def test_what_was_erased_is_not_taken_in_again_and_named(bench) -> None:
    bench.write("a.md", "Secret.")
    bench.write("b.md", "Fine.")
    bench.ingest()
    version = next(bench.library.versions(1)).version
    bench.library.control.erase(documents=["docs/a.md"], versions=[("", version)], by="ada")
    bench.write("copy.md", "Secret.")
    report = bench.ingest()
    assert [path for path, _ in report.failed] == ["docs/a.md", "docs/copy.md"]
    assert "erased" in report.failed[0][1]
    assert [one.document for one in bench.library.versions(report.generation)] == ["docs/b.md"]


def test_between_two_versions_nobody_sees_what_either_rule_hides(bench) -> None:
    bench.write("a.md", "---\nallow: [staff]\n---\nThe secret.")
    bench.ingest()
    bench.write("a.md", "---\nallow: [guild]\n---\nWithout it.")
    seen = []
    stage = bench.index.stage

    def look(*arguments: object) -> None:
        stage(*arguments)
        now = bench.library.access_now("docs/a.md")
        seen.extend(now.permits(Scope(groups=frozenset({group}))) for group in ("staff", "guild"))

    bench.index.stage = look
    bench.ingest()
    assert seen == [False, False]
    assert bench.library.access_now("docs/a.md").allow == ("guild",)
    bench.check()
